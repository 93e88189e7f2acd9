//! Settings that are refused, said by the environment: which snapshots do not set.

use crate::behaviour::{folder, orderflow, run, stderr};

/// What `config show` says on stderr with this variable set.
fn refused(variable: &str, value: &str) -> String {
    let folder = folder();
    let output = run(orderflow(folder.path(), &["config", "show"]).env(variable, value));
    assert_eq!(output.status.code(), Some(2), "{variable}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_variable_that_is_not_known_suggests_the_one_that_was_meant() {
    assert_eq!(
        refused("ORDERFLOW_BROKER", "x"),
        "error[config-unknown-key]: the environment variable ORDERFLOW_BROKER is not known\n\
         hint: did you mean ORDERFLOW_BROKERS?\n"
    );
    assert_eq!(
        refused("ORDERFLOW_QQQ", "x"),
        "error[config-unknown-key]: the environment variable ORDERFLOW_QQQ is not known\n\
         hint: orderflow config show lists every setting\n"
    );
    // Only of a secret is there a variable that names a file.
    let said = refused("ORDERFLOW_BROKERS_FILE", "x");
    assert!(said.contains("ORDERFLOW_BROKERS_FILE is not known"), "{said}");
}

#[test]
fn topics_are_not_made_too_small_for_a_batch() {
    assert_eq!(
        refused("ORDERFLOW_TOPICS_RECORD_BYTES", "1048575"),
        "error[config-invalid]: topics.record_bytes: 1048575 is less than 1MiB, and a full batch of the producers would be \
         refused\nhint: it was said by the environment variable ORDERFLOW_TOPICS_RECORD_BYTES\n"
    );
    let folder = folder();
    for enough in ["1MiB", "auto"] {
        let mut show = orderflow(folder.path(), &["config", "show"]);
        let output = run(show.env("ORDERFLOW_TOPICS_RECORD_BYTES", enough));
        assert!(output.status.success(), "{enough}: {}", stderr(&output));
    }
}
