//! The `orderflow` binary: command line to program.
fn main() {}
