//! A name behind which there are several servers, as a service of Kubernetes without an address of its own has it.

mod support;

use std::fs;

use support::namespace::where_mounted;
use support::postgres::server::Server;
use support::process::{output_of, shown, unsettle};

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn behind_one_name_the_server_that_takes_writes_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let standby = Server::start_with(|_| vec!["-c default_transaction_read_only=on".to_owned()]);
    let port = standby.port();
    let primary = |port: &str| {
        let options = format!("-c listen_addresses=127.0.0.2 -p {port}");
        Server::start_with(|_| vec![options])
    };
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 shop.test\n127.0.0.2 shop.test\n").expect("the folder can be written");
    let migrate = || {
        let mut command = where_mounted("mount --bind \"$1\" /etc/hosts", &[hosts.as_os_str()]);
        unsettle(&mut command);
        command
            .current_dir(folder.path())
            .arg(env!("CARGO_BIN_EXE_orderflow"))
            .args(["db", "migrate", "inventory", "--database"])
            .arg(format!("postgres://orderflow@shop.test:{port}/postgres"));
        output_of(&mut command)
    };

    let alone = migrate();
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert_eq!(alone.status.code(), Some(4), "{}", shown(&alone));
    assert!(
        said.contains("takes no writes") && said.contains("does not answer"),
        "{said}"
    );

    let _primary = primary(&port);
    let both = migrate();
    assert!(both.status.success(), "{}", shown(&both));
}
