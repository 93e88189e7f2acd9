//! Mounts that are there for one process and nobody else, so that nothing stays mounted, whatever ends it.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use super::process::output_of;

/// Root's own, or one in which we are root.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];

/// A command, whose program is its next argument, that runs where `mount` has mounted something. That is a line of bash,
/// which has the arguments as `$1` and so on.
///
/// # Panics
/// When no namespace can be had, or nothing is mounted in it.
pub(crate) fn where_mounted(mount: &str, arguments: &[&OsStr]) -> Command {
    let script = format!("{mount} && shift {} && exec \"$@\"", arguments.len());
    let inside = |namespace: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(namespace).args(["bash", "-c", &script, "bash"]);
        command.args(arguments).stdin(Stdio::null());
        command
    };
    let had = |namespace: &&[&str]| output_of(inside(namespace).arg("true")).status.success();
    let namespace = NAMESPACES.iter().copied().find(had);
    inside(namespace.expect("something is mounted by root, or in a user namespace, if the kernel lets us"))
}
