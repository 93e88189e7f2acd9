//! An authority and the certificates it signs, made by openssl in a folder of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::process::output_of;

/// Who a certificate is for, and whether it still holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Names of hosts as openssl takes them.
    pub(crate) names: &'static str,
    /// One that has expired ended years ago.
    pub(crate) expired: bool,
}

/// How openssl keeps the books of an authority: only that command of its takes a day of the past.
const BOOKS: &str = "[ca]
default_ca = tests
[tests]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
default_days = 2
policy = anybody
[anybody]
commonName = supplied
";

/// An authority of the test's own. Its files go when it is dropped.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self {
            folder: TempDir::with_prefix("orderflow-authority").expect("a temporary folder"),
        };
        let mut request = authority.openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        request.args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=tests",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        run(&mut request);
        std::fs::write(authority.path("ca.conf"), BOOKS).expect("a file");
        std::fs::write(authority.path("index"), "").expect("a file");
        authority
    }

    /// The certificate that signs all others.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Signs a certificate for `name`; `NAME.pem` holds it, `NAME.key` its key, `NAME.both` the key and then the certificate.
    pub(crate) fn sign(&self, name: &str, wanted: Wanted) {
        let (key, request, signed) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let mut asking = self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]);
        asking.args(["-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &request]);
        run(&mut asking);
        let names = format!("{name}.names");
        std::fs::write(self.path(&names), format!("subjectAltName={}\n", wanted.names)).expect("a file");
        let mut signing = self.openssl(&["ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.pem"]);
        signing.args([
            "-keyfile", "ca.key", "-extfile", &names, "-in", &request, "-out", &signed,
        ]);
        if wanted.expired {
            signing.args(["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]);
        }
        run(&mut signing);
        let read = |file: &str| std::fs::read_to_string(self.path(file)).expect("what openssl wrote");
        let both = format!("{}{}", read(&key), read(&signed));
        std::fs::write(self.path(&format!("{name}.both")), both).expect("a file");
    }

    /// A file of this authority.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The key of `name` under a password, in a file of its own.
    pub(crate) fn lock_key(&self, name: &str, password: &str) -> PathBuf {
        let locked = format!("{name}.locked");
        let mut locking = self.openssl(&["pkey", "-aes256", "-in", &format!("{name}.key"), "-out", &locked]);
        locking.arg("-passout").arg(format!("pass:{password}"));
        run(&mut locking);
        self.path(&locked)
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path() as &Path).args(arguments);
        command
    }
}

fn run(command: &mut Command) {
    let output = output_of(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
}
