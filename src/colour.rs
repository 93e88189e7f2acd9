//! Whether to colour: decided once for both streams, by flag, environment and terminal.

use std::ffi::OsString;

use clap::ColorChoice;

/// What `--color` says, before the command line is understood: its own errors are coloured as well.
pub(crate) fn asked_for(arguments: &[OsString]) -> ColorChoice {
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    while let Some(word) = words.next() {
        let said = if word == "--color" {
            words.next()
        } else {
            word.strip_prefix("--color=")
        };
        if let Some(choice) = said {
            return choice.parse().unwrap_or(ColorChoice::Auto);
        }
    }
    ColorChoice::Auto
}

/// Sets it for the process. `NO_COLOR` beats `FORCE_COLOR` and `CLICOLOR_FORCE`; a flag beats all of them.
pub(crate) fn choose(choice: ColorChoice) {
    match choice {
        ColorChoice::Always => anstream::ColorChoice::AlwaysAnsi,
        ColorChoice::Never => anstream::ColorChoice::Never,
        ColorChoice::Auto if is_set("FORCE_COLOR") && !is_set("NO_COLOR") => anstream::ColorChoice::AlwaysAnsi,
        ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_in_both_its_forms() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            asked_for(&arguments(&["orderflow", "--color", "never", "x"])),
            ColorChoice::Never
        );
        assert_eq!(
            asked_for(&arguments(&["orderflow", "--color=always"])),
            ColorChoice::Always
        );
        assert_eq!(asked_for(&arguments(&["orderflow", "--color"])), ColorChoice::Auto);
    }
}
