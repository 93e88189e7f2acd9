//! Who is let in: versions, rights, passwords, certificates.

mod postgres;

use std::path::Path;
use std::process::Command;

use orderflow_runtime::store::postgres::{OpenError, PostgresAddress, PostgresOptions, PostgresReader, PostgresStore};
use orderflow_runtime::store::{Store, StoreError, Turn, Unit, Unusable};
use tempfile::TempDir;

use self::postgres::Schema;
use self::postgres::server::{Server, write_private};

const MIGRATES: bool = true;

/// The name by which tests reach a server, as a certificate has it.
const NAMED: &str = "subjectAltName=DNS:localhost\n";

async fn open(url: &str, migrate: bool) -> Result<PostgresStore, OpenError> {
    let address = PostgresAddress::parse(url, "opening").expect("a URL");
    let options = PostgresOptions {
        migrate,
        ..PostgresOptions::default()
    };
    PostgresStore::open(address, options).await
}

async fn refused(url: &str) -> OpenError {
    open(url, MIGRATES).await.expect_err("refused")
}

/// As a tool does, on a thread of its own.
async fn read(url: &str) -> Result<PostgresReader, OpenError> {
    let address = PostgresAddress::parse(url, "opening").expect("a URL");
    let opened = tokio::task::spawn_blocking(move || PostgresReader::open(&address)).await;
    opened.expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_schema_is_made_by_whoever_may_and_by_one_at_a_time() {
    let schema = Schema::fresh();
    let url = schema.url();
    assert!(matches!(open(&url, !MIGRATES).await, Err(OpenError::Missing { .. })));
    assert!(matches!(read(&url).await, Err(OpenError::Missing { .. })));
    let at_once = [0; 6].map(|_| {
        tokio::spawn({
            let url = url.clone();
            async move { open(&url, MIGRATES).await.map(drop) }
        })
    });
    for opening in at_once {
        opening.await.expect("no panic").expect("made, or found made");
    }
    open(&url, !MIGRATES).await.expect("it is there");
    let reader = read(&url).await.expect("it is there");
    let summary = tokio::task::spawn_blocking(move || reader.summary()).await;
    assert_eq!(summary.expect("no panic").expect("read").group, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_newer_schema_is_refused_and_left_alone() {
    let schema = Schema::fresh();
    drop(open(&schema.url(), MIGRATES).await.expect("made"));
    schema
        .run("INSERT INTO SCHEMA.schema_versions (version, name) VALUES (99, 'to come')")
        .await;
    for refused in [
        refused(&schema.url()).await,
        read(&schema.url()).await.expect_err("refused"),
    ] {
        assert!(
            matches!(refused, OpenError::NewerVersion { found: 99, .. }),
            "{refused:?}"
        );
        assert!(matches!(
            StoreError::from(refused),
            StoreError::Unusable {
                kind: Unusable::Unfit,
                ..
            }
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_newer_schema_stops_whoever_connects_again() {
    let schema = Schema::fresh();
    let store = open(&schema.url(), MIGRATES).await.expect("made");
    let claims = store.claim(&[0, 1]).await.expect("claimed");
    schema
        .run("INSERT INTO SCHEMA.schema_versions (version, name) VALUES (99, 'to come')")
        .await;
    let unit = store.begin(claims[0].at, 0).await.expect("on the connection there is");
    let stopped = store.resolve(claims[1].at).await.expect_err("another one is refused");
    assert!(
        matches!(&stopped, StoreError::Unusable { kind: Unusable::Unfit, why } if why.contains("version 99")),
        "{stopped:?}"
    );
    unit.commit().await.expect("what was begun is finished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn tables_of_another_program_are_left_alone() {
    let schema = Schema::fresh();
    schema
        .run("CREATE SCHEMA SCHEMA; CREATE TABLE SCHEMA.theirs (id int)")
        .await;
    assert!(matches!(refused(&schema.url()).await, OpenError::Foreign { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_user_without_rights_is_told_what_to_ask_for() {
    let schema = Schema::fresh();
    let role = schema.role_without_schema("").await;
    let forbidden = refused(&schema.url_of(&role)).await;
    assert!(
        matches!(&forbidden, OpenError::Forbidden { what, .. } if what.contains("CREATE")),
        "{forbidden:?}"
    );
    drop(open(&schema.url(), MIGRATES).await.expect("made by its owner"));
    let forbidden = refused(&schema.url_of(&role)).await;
    assert!(
        matches!(&forbidden, OpenError::Forbidden { what, .. } if what.contains("USAGE")),
        "{forbidden:?}"
    );
    schema.run(&format!(
        "GRANT USAGE ON SCHEMA SCHEMA TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA SCHEMA TO {role}"
    ))
    .await;
    let store = open(&schema.url_of(&role), MIGRATES)
        .await
        .expect("all that a service needs");
    let claims = store.claim(&[0]).await.expect("claimed");
    store
        .begin(claims[0].at, 0)
        .await
        .expect("begun")
        .commit()
        .await
        .expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn what_is_withdrawn_at_work_is_named_and_not_called_damage() {
    let schema = Schema::fresh();
    let role = schema.role("").await;
    let store = open(&schema.url_of(&role), MIGRATES).await.expect("made by its owner");
    let at = store.claim(&[0]).await.expect("claimed")[0].at;
    for (withdrawn, given_back, expected) in [
        (
            format!("REVOKE UPDATE ON SCHEMA.lanes FROM {role}"),
            format!("GRANT UPDATE ON SCHEMA.lanes TO {role}"),
            Unusable::Right,
        ),
        (
            format!("REVOKE USAGE ON SCHEMA SCHEMA FROM {role}"),
            format!("GRANT USAGE ON SCHEMA SCHEMA TO {role}"),
            // To a session that is open, the tables look as if they were not there.
            Unusable::Unfit,
        ),
        (
            "ALTER TABLE SCHEMA.outbox RENAME TO elsewhere".to_owned(),
            "ALTER TABLE SCHEMA.elsewhere RENAME TO outbox".to_owned(),
            Unusable::Unfit,
        ),
    ] {
        schema.run(&withdrawn).await;
        let stopped = write_nothing(&store, at).await.expect_err("refused");
        assert!(
            matches!(&stopped, StoreError::Unusable { kind, why } if *kind == expected && !why.contains("backup")),
            "{withdrawn}: {stopped:?}"
        );
        schema.run(&given_back).await;
        store.outbox(0, 0, 1).await.expect("all is as it was");
    }
}

/// A unit on a session of this moment, and a look at the outbox.
async fn write_nothing(store: &PostgresStore, at: Turn) -> Result<(), StoreError> {
    drop(store.begin(at, 0).await?);
    store.outbox(0, 0, 1).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_missing_database_and_a_server_that_is_not_there() {
    let schema = Schema::fresh();
    let nowhere = schema.url().replace("/postgres?", "/no_such_database?");
    assert!(
        matches!(refused(&nowhere).await, OpenError::Missing { .. }),
        "{nowhere}"
    );
    let nobody = refused("postgres://me@127.0.0.1:1/shop").await;
    assert!(
        matches!(&nobody, OpenError::Unavailable(why) if why.contains("127.0.0.1:1")),
        "{nobody:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_host_that_is_away_is_waited_for_whatever_another_says() {
    let schema = Schema::fresh();
    let nowhere = schema.url().replace("/postgres?", "/no_such_database?");
    let server = postgres::host();
    for hosts in [format!("127.0.0.1:1,{server}"), format!("{server},127.0.0.1:1")] {
        let away = refused(&nowhere.replace(&server, &hosts)).await;
        let told = matches!(&away, OpenError::Unavailable(why)
            if why.contains("127.0.0.1:1/") && why.contains("no such database"));
        assert!(told, "{hosts}: {away:?}");
    }
    let twice = refused(&nowhere.replace(&server, &format!("{server},{server}"))).await;
    assert!(matches!(twice, OpenError::Missing { .. }), "each refuses: {twice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn the_host_that_takes_writes_is_found() {
    let schema = Schema::fresh();
    let role = schema.role("").await;
    drop(
        open(&schema.url_of(&role), MIGRATES)
            .await
            .expect("made, while writes are taken"),
    );
    schema
        .run(&format!("ALTER ROLE {role} SET default_transaction_read_only = on"))
        .await;
    let read_only = refused(&schema.url_of(&role)).await;
    assert!(
        matches!(&read_only, OpenError::Unavailable(why) if why.contains("takes no writes")),
        "{read_only:?}"
    );
    let server = postgres::host();
    let both = schema.url().replace(&server, &format!("127.0.0.1:1,{server}"));
    assert_ne!(both, schema.url());
    open(&both, MIGRATES).await.expect("the second host lets us in");
}

/// What the guarantees rest on is set by each session, whatever its user has for a default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_session_sets_what_its_user_would_have_otherwise() {
    const DEFAULTS: [(&str, &str, &str); 3] = [
        ("synchronous_commit", "off", "on"),
        ("default_transaction_isolation", "serializable", "read committed"),
        ("idle_in_transaction_session_timeout", "0", "10s"),
    ];
    let schema = Schema::fresh();
    let role = schema.role("").await;
    for (name, default, _) in DEFAULTS {
        schema.run(&format!("ALTER ROLE {role} SET {name} = '{default}'")).await;
    }
    let store = open(&schema.url_of(&role), MIGRATES).await.expect("opens");
    // Every claim writes down what its session is set to.
    let watched = "CREATE TABLE SCHEMA.seen (name text, value text); \
        CREATE FUNCTION SCHEMA.see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
        'BEGIN INSERT INTO SCHEMA.seen SELECT name, current_setting(name) FROM pg_catalog.pg_settings; RETURN NULL; END'; \
        CREATE TRIGGER see AFTER INSERT ON SCHEMA.lanes EXECUTE FUNCTION SCHEMA.see()";
    schema.run(watched).await;
    store.claim(&[0]).await.expect("claimed");
    for (name, _, expected) in DEFAULTS {
        let sql = format!(
            "SELECT count(*) FROM {}.seen WHERE name = '{name}' AND value = '{expected}'",
            schema.name()
        );
        assert_eq!(postgres::ask(&schema.url(), &sql).await, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn passwords_are_found_in_files_and_shown_nowhere() {
    let server = Server::start();
    let made = "CREATE ROLE guarded LOGIN PASSWORD 'hunter2'; CREATE SCHEMA guarded AUTHORIZATION guarded";
    postgres::connect(&server.url("orderflow", ""))
        .await
        .batch_execute(made)
        .await
        .expect("made");
    let rules = "SELECT 1 FROM (SELECT pg_reload_conf()) AS r";
    server.rewrite(
        "pg_hba.conf",
        "host all orderflow all trust\nhost all guarded all scram-sha-256\n",
    );
    postgres::ask(&server.url("orderflow", ""), "SELECT 1::bigint").await;
    postgres::connect(&server.url("orderflow", ""))
        .await
        .batch_execute(rules)
        .await
        .expect("reloaded");
    let folder = TempDir::new().expect("a folder");
    let passwords = folder.path().join("pgpass");
    let url = server.url("guarded", &format!("schema=guarded&passfile={}", passwords.display()));
    for (text, right) in [
        ("localhost:*:postgres:guarded:hunter2\n", true),
        ("*:*:*:guarded:hunter3\n", false),
    ] {
        write_mine(&passwords, text, 0o600);
        let opened = open(&url, MIGRATES).await;
        assert_eq!(opened.is_ok(), right, "{text}");
        let Err(error) = opened else { continue };
        assert!(matches!(error, OpenError::Credentials { .. }), "{error:?}");
        assert!(!format!("{error:?}{error}").contains("hunter"), "{error:?}");
    }
    write_mine(&passwords, "*:*:*:guarded:hunter2\n", 0o644);
    let open_to_all = refused(&url).await;
    assert!(open_to_all.to_string().contains("chmod 600"), "{open_to_all}");
    let in_url = server.url("guarded:hunter2", "schema=guarded");
    open(&in_url, MIGRATES).await.expect("the URL holds it");
}

fn write_mine(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its rights are set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_server_proves_who_it_is_as_far_as_it_is_asked() {
    let folder = TempDir::new().expect("a folder");
    let (ours, theirs) = (authority(folder.path(), "ours"), authority(folder.path(), "theirs"));
    let server = Server::start_with(|data| {
        certificate(folder.path(), ("ours", "2", NAMED), data);
        vec!["-c ssl=on".to_owned()]
    });
    let url = |parameters: &str| server.url("orderflow", parameters);
    let by_number = |parameters: &str| url(parameters).replace("localhost", "127.0.0.1");
    for good in [
        url("sslmode=disable"),
        url("sslmode=prefer"),
        url("sslmode=require"),
        url(&format!("sslmode=verify-ca&sslrootcert={ours}")),
        url(&format!("sslmode=verify-full&sslrootcert={ours}")),
        by_number(&format!("sslmode=verify-ca&sslrootcert={ours}")),
    ] {
        let store = open(&good, MIGRATES).await;
        assert!(store.is_ok(), "{good}: {store:?}");
    }
    for bad in [
        url(&format!("sslmode=verify-full&sslrootcert={theirs}")),
        url(&format!("sslmode=require&sslrootcert={theirs}")),
        by_number(&format!("sslmode=verify-full&sslrootcert={ours}")),
    ] {
        let error = refused(&bad).await;
        assert!(matches!(error, OpenError::Certificate { .. }), "{bad}: {error:?}");
    }
    let encrypted = url("sslmode=require");
    let plain = Server::start();
    let insisting = refused(&encrypted.replace(&server.port(), &plain.port())).await;
    assert!(matches!(&insisting, OpenError::Unfit { .. }), "{insisting:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_certificate_that_has_expired_proves_nothing() {
    let folder = TempDir::new().expect("a folder");
    let ours = authority(folder.path(), "ours");
    let server = Server::start_with(|data| {
        certificate(folder.path(), ("ours", "-1", NAMED), data);
        vec!["-c ssl=on".to_owned()]
    });
    for mode in ["verify-ca", "verify-full"] {
        let url = server.url("orderflow", &format!("sslmode={mode}&sslrootcert={ours}"));
        let expired = refused(&url).await;
        let told = matches!(&expired, OpenError::Certificate { why, .. } if why.contains("Expired"));
        assert!(told, "{mode}: {expired:?}");
    }
    let unasked = open(&server.url("orderflow", "sslmode=require"), MIGRATES).await;
    assert!(unasked.is_ok(), "nobody looks at it: {unasked:?}");
}

/// What PostgreSQL's own recipes make, too: where no proof is asked for, any certificate will do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn of_certificates_that_prove_less_only_proof_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let (ours, own) = (authority(folder.path(), "ours"), folder.path().join("server.crt"));
    let of_version_1 = Server::start_with(|data| {
        certificate(folder.path(), ("ours", "2", ""), data);
        assert!(
            shown(&own).contains("Version: 1 "),
            "this OpenSSL makes no others than of version 3"
        );
        vec!["-c ssl=on".to_owned()]
    });
    assert_proves(&of_version_1, &ours, &[]).await;
    let without_a_name = Server::start_with(|data| {
        certificate(folder.path(), ("ours", "2", "basicConstraints=CA:FALSE\n"), data);
        vec!["-c ssl=on".to_owned()]
    });
    assert_proves(&without_a_name, &ours, &["verify-ca"]).await;
    for (extension, proven) in [
        ("basicConstraints=critical,CA:FALSE", &["verify-ca", "verify-full"][..]),
        ("basicConstraints=critical,CA:TRUE", &[]),
    ] {
        let signed_by_itself = Server::start_with(|data| {
            certificate_of_its_own(folder.path(), extension, data);
            vec!["-c ssl=on".to_owned()]
        });
        assert_proves(&signed_by_itself, &own.display().to_string(), proven).await;
    }
}

/// It is let in where nothing is asked of it, and of the modes that ask for proof in these alone.
async fn assert_proves(server: &Server, authorities: &str, proven: &[&str]) {
    for mode in ["prefer", "require"] {
        let opened = open(&server.url("orderflow", &format!("sslmode={mode}")), MIGRATES).await;
        assert!(opened.is_ok(), "{mode}: {opened:?}");
    }
    for mode in ["verify-ca", "verify-full"] {
        let url = server.url("orderflow", &format!("sslmode={mode}&sslrootcert={authorities}"));
        let opened = open(&url, MIGRATES).await;
        if proven.contains(&mode) {
            assert!(opened.is_ok(), "{mode}: {opened:?}");
        } else {
            assert!(
                matches!(opened, Err(OpenError::Certificate { .. })),
                "{mode}: {opened:?}"
            );
        }
    }
}

/// A certificate authority; gives the path of its certificate.
fn authority(folder: &Path, name: &str) -> String {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &format!("/CN={name}"),
        "-keyout",
        &key.display().to_string(),
        "-out",
        &certificate.display().to_string(),
    ]);
    certificate.display().to_string()
}

/// A key and a certificate for `localhost`, signed by an authority for so many days and with such extensions, where the
/// server looks for them. Without any it is one of version 1.
fn certificate(folder: &Path, (authority, days, extensions): (&str, &str, &str), data: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &path("server.key"),
        "-out",
        &path("server.csr"),
    ]);
    let file = path("server.ext");
    std::fs::write(&file, extensions).expect("written");
    let extended: &[&str] = if extensions.is_empty() {
        &[]
    } else {
        &["-extfile", &file]
    };
    let signed = [
        "x509",
        "-req",
        "-in",
        &path("server.csr"),
        "-CA",
        &path(&format!("{authority}.pem")),
        "-CAkey",
        &path(&format!("{authority}.key")),
        "-CAcreateserial",
        "-days",
        days,
        "-out",
        &path("server.crt"),
    ];
    openssl(&[&signed[..], extended].concat());
    give(folder, data);
}

/// A certificate for `localhost` that is signed by nobody else, with such an extension.
fn certificate_of_its_own(folder: &Path, extension: &str, data: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (path("server.key"), path("server.crt"));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        NAMED.trim_end(),
        "-addext",
        extension,
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    give(folder, data);
}

/// Puts a key and its certificate where the server looks for them.
fn give(folder: &Path, data: &Path) {
    for name in ["server.key", "server.crt"] {
        let text = std::fs::read_to_string(folder.join(name)).expect("made");
        write_private(&data.join(name), &text);
    }
}

/// A certificate in words.
fn shown(certificate: &Path) -> String {
    let mut openssl = Command::new("openssl");
    let text = openssl
        .args(["x509", "-noout", "-text", "-in"])
        .arg(certificate)
        .output();
    String::from_utf8_lossy(&text.expect("openssl runs").stdout).into_owned()
}

fn openssl(arguments: &[&str]) {
    let ran = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
