//! `completions` and `man`.

use std::fs;
use std::io;
use std::path::Path;

use clap_mangen::Man;

use super::tree;
use crate::args::{CompletionsArgs, ManArgs};
use crate::exit::Exit;
use crate::output::{Output, print};
use crate::report::{Failure, Outcome};
use crate::slug::Slug;

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree(), "orderflow", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints one manual page, or writes all of them.
pub(super) fn man(args: &ManArgs, output: Output) -> Outcome {
    let root = built();
    if let Some(dir) = &args.dir {
        let pages = write_all(&root, dir).map_err(|error| {
            let message = format!("cannot write the manual pages to {}", dir.display());
            Failure::new(Slug::OutputFailed, message).caused_by(&error)
        })?;
        output.note(&format!("{pages} pages written to {}", dir.display()));
        return Ok(Exit::Done);
    }
    let page = render(find(&root, &args.command)?).map_err(|error| Failure::from_error(Slug::Internal, &error))?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

/// The tree with the names that manual pages bear: `orderflow-order-place`.
fn built() -> clap::Command {
    let mut root = tree().disable_help_subcommand(true);
    root.build();
    root
}

fn find<'a>(root: &'a clap::Command, path: &[String]) -> Result<&'a clap::Command, Failure> {
    path.iter().try_fold(root, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            Failure::new(Slug::Usage, format!("{} has no command {name:?}", command.get_name()))
                .hint("orderflow --help")
        })
    })
}

fn write_all(command: &clap::Command, dir: &Path) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(dir.join(format!("{name}.1")), render(command)?)?;
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown
        .map(|command| write_all(command, dir))
        .try_fold(1, |sum, pages| Ok(sum + pages?))
}

fn render(command: &clap::Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command.clone().name(name)).render(&mut page)?;
    Ok(page)
}
