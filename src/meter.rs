//! How far a long command is: a bar on a terminal, a line now and then elsewhere, on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Tells how far a command is.
#[derive(Debug)]
pub(crate) enum Meter {
    /// Redrawn in place.
    Bar(ProgressBar),
    /// A line every ten seconds.
    Lines(Instant),
    /// Nothing at all.
    Silent,
}

impl Meter {
    /// The meter that fits: none with `-q` or `--json`, a bar on a terminal, lines elsewhere.
    pub(crate) fn new(output: Output) -> Self {
        if !output.talks() {
            Self::Silent
        } else if io::stderr().is_terminal() {
            Self::Bar(ProgressBar::with_draw_target(
                None,
                ProgressDrawTarget::stderr_with_hz(10),
            ))
        } else {
            Self::Lines(Instant::now())
        }
    }

    /// So much of so much is done, in `unit`; nobody may know the whole.
    pub(crate) fn tell(&mut self, done: u64, of: Option<u64>, unit: &str) {
        match self {
            Self::Bar(bar) => draw(bar, done, of),
            Self::Lines(last) if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                let _nobody_reads = writeln!(anstream::stderr(), "{done}{of} {unit}");
            }
            Self::Lines(_) | Self::Silent => {}
        }
    }

    /// Takes the bar away, for what is printed next.
    pub(crate) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, done: u64, of: Option<u64>) {
    if let Some(of) = of.filter(|of| bar.length() != Some(*of)) {
        bar.set_length(of);
        bar.set_style(style("{bar:32} {human_pos}/{human_len}  {per_sec}  {eta} left"));
    } else if of.is_none() && bar.position() == 0 {
        bar.set_style(style("{spinner} {human_pos}  {per_sec}"));
    }
    bar.set_position(done);
}

/// The templates are our own, so the fallback is never seen.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
