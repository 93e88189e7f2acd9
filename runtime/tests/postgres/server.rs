//! A server of a test's own, for tests that kill it or let nobody in.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The variable that names the folder of `initdb` and `postgres`; `./tests/run` sets it.
const PROGRAMS: &str = "ORDERFLOW_TEST_POSTGRES_BIN";

/// The longest that a server may take to start or to recover.
const STARTED: Duration = Duration::from_mins(1);

/// A server on a port and in a folder of its own. Dropped, it is killed and its folder goes.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
}

impl Server {
    /// Starts a fresh server whose user `orderflow` needs no password.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same, prepared in its folder of data and started with options.
    pub(crate) fn start_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        Self::start_in(&std::env::temp_dir(), prepare)
    }

    /// The same with its folder in this one.
    pub(crate) fn start_in(place: &Path, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let mut initdb = program("initdb");
        initdb.args([
            "-A",
            "trust",
            "-U",
            "orderflow",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        Self::make(place, initdb, prepare)
    }

    /// Starts a standby, which has what the primary has and takes no writes before it is promoted.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let mut copy = program("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-U", "orderflow", "-p", &primary.port()]);
        copy.args([
            "--no-sync",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--write-recovery-conf",
        ]);
        Self::make(&std::env::temp_dir(), copy, |_| Vec::new())
    }

    /// Starts what a program makes in the folder of data.
    fn make(place: &Path, mut maker: Command, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = TempDir::with_prefix_in("orderflow-postgres", place).expect("a temporary folder");
        own(folder.path());
        let made = maker.arg("-D").arg(folder.path().join("data")).output();
        let made = made.expect("the program runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let options = prepare(&folder.path().join("data"));
        let mut server = Self { folder, port, options };
        server.launch();
        server
    }

    /// A URL of its database `postgres`, for a user and with parameters.
    pub(crate) fn url(&self, user: &str, parameters: &str) -> String {
        format!("postgres://{user}@localhost:{}/postgres?{parameters}", self.port)
    }

    /// The port, as text.
    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    /// Writes one of the server's files anew.
    pub(crate) fn rewrite(&self, name: &str, text: &str) {
        write_private(&self.data().join(name), text);
    }

    /// Kills every process of the server at once, as a machine that loses its power does to them, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        let promoted = program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .args(["-w", "-s", "promote"])
            .status();
        assert!(promoted.expect("pg_ctl runs").success(), "the standby is promoted");
    }

    fn launch(&mut self) {
        let deadline = Instant::now() + STARTED;
        let log = self.folder.path().join("log");
        // What the killed server held is free once its last process is gone: then it starts.
        loop {
            let started = program("pg_ctl")
                .arg("-D")
                .arg(self.data())
                .args(["-w", "-s", "-l"])
                .arg(&log)
                .arg("-o")
                .arg(format!(
                    "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {}",
                    self.port,
                    self.options.join(" ")
                ))
                .arg("start")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("pg_ctl runs");
            if started.success() {
                return;
            }
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not start\n{said}");
        }
    }

    /// Kills every process of the server at once.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Stops every process of the server at once: connections stay, and nothing is said on them, nor to who asks for one.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    fn signal(&self, name: &str) {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return;
        };
        let Some(first) = text.lines().next() else { return };
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let mut kill = Command::new("kill");
        kill.args(["-s", name, first]).args(children.split_whitespace());
        let _some_may_be_gone = kill.stderr(Stdio::null()).status();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program of the server's; it refuses to run as root.
fn program(name: &str) -> Command {
    let folder = std::env::var(PROGRAMS)
        .unwrap_or_else(|_| panic!("{PROGRAMS} names no folder; ./tests/run finds PostgreSQL and sets it"));
    let path = Path::new(&folder).join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path).current_dir("/");
    command
}

fn own(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(path).status();
        assert!(owned.expect("chown runs").success());
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// Writes a file that the server may read, and only it.
pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its rights are set");
    own(path);
}
