//! The command line as its users see it: what it prints, where, and how it ends.

#[path = "cli/behaviour.rs"]
mod behaviour;
#[path = "cli/embedded.rs"]
mod embedded;
#[path = "cli/input.rs"]
mod input;
#[path = "cli/ledger.rs"]
mod ledger;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/servers.rs"]
mod servers;
#[path = "cli/settings.rs"]
mod settings;
#[path = "support/shape.rs"]
mod shape;
#[path = "cli/shapes.rs"]
mod shapes;
#[path = "cli/terminal.rs"]
mod terminal;

/// Each file under `tests/cli/` holds commands with everything they print; `TRYCMD=overwrite` writes them anew.
#[test]
fn commands_print_what_is_written_down() {
    trycmd::TestCases::new()
        .env("ORDERFLOW_TEST_TRYCMD", "1")
        .case("tests/cli/*.trycmd")
        .case("docs/command-line.md");
}
