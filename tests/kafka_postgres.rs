//! Services on PostgreSQL and a real Kafka: killed, many of them, and audited.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use support::disk::Disk;
use support::fleet::Fleet;
use support::postgres::Database;
use support::postgres::server::{Server, write_private};
use support::process::{Daemon, orderflow, output_of, shown, stdout_of};
use support::system::System;
use support::wait_until;

const ENDED: Duration = Duration::from_secs(15);

/// The longest that daemons may take for what a test gives them to do.
const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn services_killed_while_orders_flow_leave_a_clean_audit() {
    let fleet = Fleet::on(System::start(4));
    let mut inventory = fleet.run("inventory", "inventory");
    let payment = fleet.run("payment", "payment");
    fleet.stock_up();
    fleet.place(1_000);
    wait_until("the first orders", Duration::from_mins(1), || {
        let facts = "SELECT count(*) FROM inventory.v_outbox WHERE topic = 'inventory'";
        fleet.database.number(facts).is_some_and(|facts| facts > 0)
    });
    inventory.kill();
    fleet.place(500);
    let mut inventory = fleet.run("inventory", "inventory");
    fleet.wait_applied(1_500, SOON);
    fleet.assert_clean(&[&inventory, &payment]);

    let mut show = fleet.system.orderflow();
    show.args(["stock", "show", "--json"])
        .env("ORDERFLOW_DATABASE", fleet.database.url());
    let shown = stdout_of(&mut show);
    assert!(shown.contains("\"reserved\":1500"), "{shown}");
    assert_eq!(inventory.stop(ENDED).code(), Some(0), "{}", inventory.log());
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn members_come_and_go_and_one_of_them_sleeps() {
    let fleet = Fleet::on(System::start(6));
    let mut first = fleet.run("inventory", "first");
    let payment = fleet.run("payment", "payment");
    fleet.stock_up();
    fleet.place(500);
    let second = fleet.run("inventory", "second");
    fleet.place(500);
    let mut third = fleet.run("inventory", "third");
    fleet.place(500);
    fleet.wait_applied(1_500, SOON);
    // Past its session: its lanes go to the others, and what it wakes up with is fenced.
    second.signal(Signal::STOP);
    third.kill();
    fleet.place(500);
    fleet.wait_applied(2_000, SOON);
    second.signal(Signal::CONT);
    fleet.place(500);
    fleet.wait_applied(2_500, SOON);
    fleet.assert_clean(&[&first, &second, &payment]);
    assert!(first.is_running(), "{}", first.log());
}

#[test]
#[ignore = "needs Kafka's jars, PostgreSQL and a mount namespace; run by ./tests/run"]
fn on_a_server_whose_disk_is_full_daemons_wait_for_room_and_go_on() {
    Disk::small(
        256,
        "on_a_server_whose_disk_is_full_daemons_wait_for_room_and_go_on",
        |disk| {
            // So little log that all there can be of it is there before the disk is filled.
            let options = ["-c max_wal_size=32MB", "-c min_wal_size=32MB"].map(str::to_owned);
            let server = Server::start_in(disk.folder(), |_| options.to_vec());
            let fleet = Fleet::with(System::start(2), Database::on(server.url("orderflow", "")));
            let mut services = [fleet.run("inventory", "inventory"), fleet.run("payment", "payment")];
            fleet.stock_up();
            fleet.place(100);
            fleet.wait_applied(100, SOON);

            disk.fill();
            fleet.place(5_000);
            for service in &mut services {
                service.wait_for_log("the server's disk is full; free some space there", SOON);
            }
            let facts = "SELECT count(*) FROM inventory.v_outbox WHERE topic = 'inventory'";
            assert_eq!(
                fleet.database.number(facts),
                Some(fleet.applied()),
                "a transaction is there or is not"
            );
            // It tries again now and then, and does not fill the next disk with what it says of it.
            let lines = services[0].log().lines().count();
            assert!(lines < 200, "{lines} lines in the log");

            disk.make_room();
            fleet.wait_applied(5_100, SOON);
            fleet.assert_clean(&[&services[0], &services[1]]);
            for service in &mut services {
                assert_eq!(service.stop(ENDED).code(), Some(0), "{}", service.log());
            }
        },
    );
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_database_that_cannot_be_used_is_said_with_the_documented_code() {
    let fleet = made_and_stopped();
    fleet
        .database
        .run("INSERT INTO inventory.schema_versions (version, name) VALUES (99, 'to come')");
    let ended = |url: String, code: i32, words: [&str; 2]| {
        let mut command = fleet.system.orderflow();
        let output = output_of(command.args(["run", "inventory"]).env("ORDERFLOW_DATABASE", url));
        let said = shown(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(words.iter().all(|text| said.contains(text)), "{words:?}: {said}");
    };
    let url = fleet.database.url();
    ended(url.clone(), 5, ["error[store-refused]", "schema version 99"]);
    let missing = ["error[store-missing]", "no such database"];
    ended(format!("{url}_missing"), 4, missing);
    let away = ["error[store-unavailable]", "does not answer"];
    ended("postgres://me@127.0.0.1:1/shop".to_owned(), 4, away);

    let name = fleet.database.name();
    let ascii = format!("{name}_ascii");
    fleet.database.run(&format!(
        "CREATE DATABASE {ascii} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let encoding = ["error[store-refused]", "its encoding is SQL_ASCII"];
    ended(format!("{url}_ascii"), 5, encoding);
    fleet.database.run(&format!("DROP DATABASE {ascii}"));

    // As a service sees it, the same as a standby.
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    fleet.database.run(&read_only);
    ended(url, 4, ["error[store-unavailable]", "takes no writes: it is a standby"]);
}

/// A database with one lane, whose inventory has ended in good order.
fn made_and_stopped() -> Fleet {
    let fleet = Fleet::on(System::start(1));
    let mut made = fleet.run("inventory", "made");
    fleet.stock_up();
    let turns = "SELECT count(*) FROM inventory.v_lanes WHERE turn > 0";
    wait_until("the schema", SOON, || fleet.database.number(turns) == Some(1));
    assert_eq!(made.stop(ENDED).code(), Some(0), "{}", made.log());
    fleet
}

/// The server answers: nobody is sent to look whether it runs.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn rows_that_the_program_never_wrote_are_called_damage() {
    let fleet = made_and_stopped();
    let refused = |log: &str| {
        let mut daemon = fleet.run("inventory", log);
        assert_eq!(daemon.wait(SOON).code(), Some(5), "{}", daemon.log());
        let said = daemon.log();
        for text in [
            "error[database-damaged]",
            "holds what this program never wrote",
            "restore a backup",
        ] {
            assert!(said.contains(text), "nothing of {text:?}\n{said}");
        }
        assert!(!said.contains("does not answer"), "{said}");
    };
    let retyped = "ALTER TABLE inventory.topics ALTER COLUMN partition_count TYPE";
    fleet.database.run(&format!("{retyped} bigint"));
    refused("retyped");
    fleet.database.run(&format!("{retyped} integer"));
    fleet.database.run("TRUNCATE inventory.meta");
    refused("emptied");
}

/// Whoever stands in the server's place has no certificate of an authority that is believed.
#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn a_server_with_a_strangers_certificate_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(|data| {
        for (name, text) in ["server.key", "server.crt"]
            .into_iter()
            .zip(self_signed(folder.path(), "theirs"))
        {
            write_private(&data.join(name), &text);
        }
        vec!["-c ssl=on".to_owned()]
    });
    self_signed(folder.path(), "ours");
    let believed = folder.path().join("ours.crt").display().to_string();
    let url = server.url("orderflow", &format!("sslmode=verify-full&sslrootcert={believed}"));
    let mut command = orderflow();
    command.current_dir(folder.path()).env("ORDERFLOW_DATABASE", url);
    let output = output_of(command.args(["db", "status", "inventory"]));
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let said = shown(&output);
    for text in ["error[database-untrusted]", "does not prove who it is", "sslrootcert"] {
        assert!(said.contains(text), "nothing of {text:?}\n{said}");
    }
}

/// Accepted, and so on its way through all that a daemon does.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn the_password_of_a_database_is_in_no_log_at_any_level() {
    const CANARY: &str = "canary-in-the-database";
    let rules = "local all all trust\n\
                 host all keeper 127.0.0.1/32 scram-sha-256\n\
                 host all all 127.0.0.1/32 trust\n";
    let server = Server::start_with(|data| {
        std::fs::write(data.join("pg_hba.conf"), rules).expect("the rules of who is let in");
        Vec::new()
    });
    let fleet = Fleet::with(System::start(1), Database::on(server.url("orderflow", "")));
    fleet.database.run(&format!(
        "CREATE ROLE keeper LOGIN PASSWORD '{CANARY}'; GRANT CREATE ON DATABASE {} TO keeper",
        fleet.database.name()
    ));
    let url = fleet.database.url_of("keeper");
    let written = |name: &str, text: String| {
        let file = fleet.system.folder().join(name);
        write_private(&file, &text);
        file.display().to_string()
    };
    let file = written("passwords", format!("*:*:*:keeper:{CANARY}\n"));
    let whole = written("url", url.replace("keeper@", &format!("keeper:{CANARY}@")));
    let mut orders = 0;
    for (name, value, database) in [
        ("PGPASSWORD", CANARY, Some(&url)),
        ("PGPASSFILE", &file, Some(&url)),
        ("ORDERFLOW_DATABASE_FILE", &whole, None),
    ] {
        let mut command = fleet.system.orderflow();
        command
            .args(["run", "inventory", "--log-level", "trace"])
            .env(name, value);
        command.envs(database.map(|url| ("ORDERFLOW_DATABASE", url)));
        let mut daemon = Daemon::start(&mut command, &fleet.system.log_file(name));
        fleet.place(10);
        orders += 10;
        wait_until("the orders", SOON, || {
            assert!(daemon.is_running(), "{name}: {}", daemon.log());
            fleet.applied() == orders
        });
        assert_eq!(daemon.stop(ENDED).code(), Some(0), "{name}: {}", daemon.log());
        let log = daemon.log();
        assert!(log.contains("\"level\":\"TRACE\""), "{name}: everything is said");
        assert!(!log.contains(CANARY), "{name}: {log}");
    }
}

/// A key and a certificate for `localhost` that nobody else has signed.
fn self_signed(folder: &Path, name: &str) -> [String; 2] {
    let files = ["key", "crt"].map(|kind| folder.join(format!("{name}.{kind}")));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost", "-keyout"]);
    let output = output_of(openssl.arg(&files[0]).arg("-out").arg(&files[1]));
    assert!(output.status.success(), "{}", shown(&output));
    files.map(|file| std::fs::read_to_string(file).expect("made"))
}

/// A stranger does what the message says: whoever is told of damage sets a sound database back.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn what_is_withdrawn_from_a_daemon_at_work_is_named_and_is_no_damage() {
    let fleet = Fleet::on(System::start(1));
    let role = format!("{}_user", fleet.database.name());
    fleet.database.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {} TO {role}",
        fleet.database.name()
    ));
    let url = fleet.database.url_of(&role);
    let run = |log: &str| fleet.run_with("inventory", log, &[("ORDERFLOW_DATABASE", url.as_str())]);
    let payment = fleet.run("payment", "payment");
    let mut made = run("made");
    fleet.stock_up();
    fleet.place(10);
    fleet.wait_applied(10, SOON);
    assert_eq!(made.stop(ENDED).code(), Some(0), "{}", made.log());

    let end_sessions = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'");
    let newer = "INSERT INTO inventory.schema_versions (version, name) VALUES (99, 'to come')";
    let mut applied = 10;
    for (withdrawn, given_back, code, slug) in [
        (
            format!("REVOKE INSERT ON inventory.inbox FROM {role}"),
            format!("GRANT INSERT ON inventory.inbox TO {role}"),
            3,
            "database-forbidden",
        ),
        (
            format!("ALTER ROLE {role} NOLOGIN; {end_sessions}"),
            format!("ALTER ROLE {role} LOGIN"),
            3,
            "database-unauthenticated",
        ),
        (
            format!("{newer}; {end_sessions}"),
            "DELETE FROM inventory.schema_versions WHERE version = 99".to_owned(),
            5,
            "store-refused",
        ),
    ] {
        let mut at_work = run(slug);
        fleet.place(1);
        applied += 1;
        fleet.wait_applied(applied, SOON);
        fleet.database.run(&withdrawn);
        fleet.place(1);
        applied += 1;
        // The same, whether it is noticed at work or at the start.
        let mut started = None;
        for daemon in [&mut at_work, started.insert(run(slug))] {
            let ended = daemon.wait(SOON);
            assert_eq!(ended.code(), Some(code), "{slug}: {}", daemon.log());
        }
        let (log, named) = (at_work.log(), format!("error[{slug}]"));
        assert_eq!(log.matches(&named).count(), 2, "{log}");
        assert!(!log.contains("restore a backup"), "{log}");
        fleet.database.run(&given_back);
    }
    let service = run("again");
    fleet.wait_applied(applied, SOON);
    fleet.assert_clean(&[&service, &payment]);
    drop(service);
    fleet.database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
