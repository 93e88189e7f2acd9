//! An open session of `psql` in the database's container: a process for each look would take a second, and that is what the
//! looks are to tell apart.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::stage::docker;
use super::watch::Lane;

/// Ends an answer.
const END: &str = ".";

/// Sees how far each lane of some services has come in `orders`.
#[derive(Debug)]
pub(crate) struct Eye {
    container: String,
    services: [&'static str; 2],
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    psql: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Eye {
    /// On the database in this container.
    pub(crate) fn on(container: String, services: [&'static str; 2]) -> Self {
        Self {
            container,
            services,
            session: None,
        }
    }

    /// The next offset of each lane; nothing while the database cannot be asked.
    pub(crate) fn look(&mut self) -> Vec<(Lane, i64)> {
        let of = |service| {
            format!("SELECT '{service}', partition, next_offset FROM {service}.v_progress WHERE topic = 'orders'")
        };
        let query = self.services.map(of).join(" UNION ALL ");
        let container = &self.container;
        let session = self.session.get_or_insert_with(|| Session::open(container));
        let Some(lines) = session.ask(&query) else {
            self.session = None;
            return Vec::new();
        };
        let row = |line: &String| {
            let mut cells = line.split('|');
            let said = cells.next()?;
            let service = self.services.into_iter().find(|service| *service == said)?;
            Some(((service, cells.next()?.parse().ok()?), cells.next()?.parse().ok()?))
        };
        lines.iter().filter_map(row).collect()
    }
}

impl Session {
    fn open(container: &str) -> Self {
        let mut psql = docker()
            .args(["exec", "-i", "-e", "PGOPTIONS=-c statement_timeout=5s", container])
            .args(["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "orderflow"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker runs");
        let questions = psql.stdin.take().expect("it is piped");
        let answers = BufReader::new(psql.stdout.take().expect("it is piped"));
        Self {
            psql,
            questions,
            answers,
        }
    }

    /// The lines of the answer; `None` when the session has ended, which an answer that does not come ends too.
    fn ask(&mut self, query: &str) -> Option<Vec<String>> {
        writeln!(self.questions, "{query};\n\\echo {END}").ok()?;
        let mut lines = Vec::new();
        for line in self.answers.by_ref().lines() {
            match line.ok()? {
                end if end == END => return Some(lines),
                line => lines.push(line),
            }
        }
        None
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.psql.kill());
        drop(self.psql.wait());
    }
}
