//! Waiting until every group has handled and published what the topics held.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_runtime::store::{Database, Lane, Reader, Sequence};

use super::cluster::Ends;
use super::system::{Group, System};
use super::{AuditError, Databases as Paths};

/// How long between two looks at the databases: little at first, since most waits are short, and twice as much each
/// time, since a look takes from the services what they need to get there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How many things that are missing are named.
const NAMED: usize = 5;

/// The groups' databases, open for reading.
#[derive(Debug)]
pub(super) struct Databases([Reader; 2]);

impl Databases {
    pub(super) fn open(paths: &Paths, system: &System) -> Result<Self, AuditError> {
        let open = |group, database| {
            let reader = Reader::open(database)?;
            check(&reader, system, (group, database)).map(|()| reader)
        };
        Ok(Self([
            open(Group::Inventory, &paths.inventory)?,
            open(Group::Payment, &paths.payment)?,
        ]))
    }

    pub(super) fn of(&self, group: Group) -> &Reader {
        &self.0[group as usize]
    }
}

/// The database is the group's, and knows the topics by the names they have here.
fn check(reader: &Reader, system: &System, (group, database): (Group, &Database)) -> Result<(), AuditError> {
    let name = group.name();
    match reader.summary()?.group {
        Some(found) if found == name => {}
        Some(found) => {
            let why = format!("{database} is the database of group {found}, not of {name}: give the right one");
            return Err(AuditError::Missing(why));
        }
        None => {
            let why = format!("{database} belongs to no group yet: its service has never run");
            return Err(AuditError::Missing(why));
        }
    }
    match reader
        .progress()?
        .iter()
        .find(|row| system.index_of(&row.topic).is_none())
    {
        Some(row) => Err(AuditError::Missing(format!(
            "{database} has read topic {}, which is not among the topics to audit: use the topic names its service uses",
            row.topic
        ))),
        None => Ok(()),
    }
}

/// Returns when each group's positions have passed `due`, what it asked of the outside until then is answered, and what
/// it announced until then is published.
pub(super) fn until_passed(
    databases: &Databases,
    system: &System,
    due: &Ends,
    (timeout, stop): (Duration, &Stop),
) -> Result<(), AuditError> {
    let began = Instant::now();
    let mut stages = Group::ALL.map(|_| Stage::Reading);
    let mut pause = FIRST_PAUSE;
    loop {
        let mut behind = Vec::new();
        for (group, stage) in Group::ALL.into_iter().zip(&mut stages) {
            let looking = Looking {
                group,
                reader: databases.of(group),
                system,
                due,
            };
            behind.extend(looking.advance(stage)?);
        }
        if behind.is_empty() {
            return Ok(());
        }
        if stop.is_requested() {
            return Err(AuditError::Stopped);
        }
        if began.elapsed() >= timeout {
            behind.truncate(NAMED);
            return Err(AuditError::Deadline {
                waited: timeout,
                behind,
            });
        }
        std::thread::sleep(pause.min(timeout.saturating_sub(began.elapsed())));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How far a group is known to be. Each stage fixes what the next one waits for, so that a system that is never idle
/// does not have to be.
#[derive(Debug)]
enum Stage {
    /// Its positions have not passed the watermarks yet.
    Reading,
    /// Effects written up to this time, milliseconds, may have no answer yet.
    Asking(i64),
    /// Facts up to these sequences may not be published yet.
    Publishing(HashMap<Lane, Sequence>),
}

struct Looking<'a> {
    group: Group,
    reader: &'a Reader,
    system: &'a System,
    due: &'a Ends,
}

impl Looking<'_> {
    /// Goes on as far as it can; says what is missing, or nothing.
    fn advance(&self, stage: &mut Stage) -> Result<Vec<String>, AuditError> {
        loop {
            let missing = match stage {
                Stage::Reading => self.unread()?,
                Stage::Asking(until) => self.unanswered(*until)?,
                Stage::Publishing(until) => return self.unpublished(until),
            };
            if !missing.is_empty() {
                return Ok(missing);
            }
            *stage = match stage {
                Stage::Reading => Stage::Asking(self.last_asked()?),
                Stage::Asking(_) | Stage::Publishing(_) => Stage::Publishing(self.written()?),
            };
        }
    }

    fn unread(&self) -> Result<Vec<String>, AuditError> {
        let rows = self.reader.progress()?;
        let mut missing = Vec::new();
        for (index, topic) in self.system.read_by(self.group) {
            for (partition, due) in (0..).zip(self.due.of(index)) {
                let row = rows
                    .iter()
                    .find(|row| *row.topic == *topic.name && row.partition == partition);
                let next = row.map_or(0, |row| row.next_offset.get());
                if next < *due {
                    let (group, topic) = (self.group.name(), &topic.name);
                    missing.push(format!("{group} is at offset {next} of {due} in {topic}/{partition}"));
                }
            }
        }
        Ok(missing)
    }

    fn last_asked(&self) -> Result<i64, AuditError> {
        let mut last = i64::MIN;
        self.reader.each_open_effect(|effect| {
            last = last.max(effect.created_at);
            Ok::<_, AuditError>(())
        })?;
        Ok(last)
    }

    fn unanswered(&self, until: i64) -> Result<Vec<String>, AuditError> {
        let mut open = 0_u64;
        self.reader.each_open_effect(|effect| {
            open += u64::from(effect.created_at <= until);
            Ok::<_, AuditError>(())
        })?;
        let group = self.group.name();
        let missing = (open > 0).then(|| format!("{group} has {open} calls to the outside without an answer"));
        Ok(missing.into_iter().collect())
    }

    fn written(&self) -> Result<HashMap<Lane, Sequence>, AuditError> {
        let lanes = self.reader.lanes()?.into_iter();
        Ok(lanes.map(|lane| (lane.at.owner.lane, lane.next_sequence - 1)).collect())
    }

    fn unpublished(&self, until: &HashMap<Lane, Sequence>) -> Result<Vec<String>, AuditError> {
        let mut missing = Vec::new();
        for row in self.reader.lanes()? {
            let (lane, published) = (row.at.owner.lane, row.published);
            let written = until.get(&lane).copied().unwrap_or(0);
            if published < written {
                let group = self.group.name();
                missing.push(format!(
                    "{group} has published {published} of {written} facts of lane {lane}"
                ));
            }
        }
        Ok(missing)
    }
}
