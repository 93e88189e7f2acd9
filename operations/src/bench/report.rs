//! Figures, ratios, targets.

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::Error;
use super::postgres::ServerFacts;
use super::watch::float;

/// What was measured, where, and how often.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// The server of PostgreSQL, where one was measured.
    pub server: Option<ServerFacts>,
    /// Orders of a round.
    pub orders: u64,
    /// Rounds.
    pub rounds: u32,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What was found of the limits.
    pub limits: Vec<Limit>,
}

impl Report {
    /// The names of what misses its target or its limit. A server that is not durable is the first of them: beside it no other
    /// figure counts.
    #[must_use]
    pub fn missed(&self) -> Vec<&str> {
        let server = self.server.iter().filter(|server| !server.is_durable());
        let figures = self.figures.iter().filter(|figure| figure.verdict() == Some("missed"));
        let limits = self.limits.iter().filter(|limit| limit.verdict() == "missed");
        server
            .map(|_| ServerFacts::DURABLE)
            .chain(figures.map(|figure| figure.name.as_str()))
            .chain(limits.map(|limit| limit.name.as_str()))
            .collect()
    }
}

/// What to know of the machine to judge the figures.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors this process may use.
    pub processors: usize,
    /// Runnable processes over the last minute, when it began; `None` where it is not told. Others' work blurs figures.
    pub load_before: Option<f64>,
    /// The same at the end; the benchmark itself is in it.
    pub load_after: Option<f64>,
    /// How long one small durable write takes on the databases' disk, microseconds, the median of 100.
    pub sync_micros: u64,
}

/// A figure of both sides, a value per round or repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// Of both sides' values.
    pub unit: &'static str,
    /// Which way it should go.
    pub better: Better,
    /// What ours is held against.
    pub beside: Beside,
    /// The values of that; none where ours stands alone.
    pub theirs: Vec<f64>,
    /// Ours.
    pub ours: Vec<f64>,
    /// What the ratio should be.
    pub target: Option<Target>,
}

/// What a figure of ours is held against, measured in the same rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The same job with nothing but rdkafka.
    Raw,
    /// One instance of ours.
    OneInstance,
    /// Ours on 12 partitions.
    TwelvePartitions,
    /// Ours with batches of the usual size.
    UsualBatch,
    /// Nothing: it stands alone.
    Nothing,
}

impl Beside {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw rdkafka",
            Self::OneInstance => "one instance",
            Self::TwelvePartitions => "12 partitions",
            Self::UsualBatch => "the usual batches",
            Self::Nothing => "–",
        }
    }
}

/// Which way a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The more the better.
    More,
    /// The less the better.
    Less,
}

/// What a ratio of ours to theirs should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    /// At least, or at most.
    pub must: f64,
    /// What is aimed at.
    pub aim: f64,
}

impl Figure {
    /// Median of the rounds' ratios of ours to theirs; `None` without a round, or with nothing beside it.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        median(
            self.theirs
                .iter()
                .zip(&self.ours)
                .map(|(theirs, ours)| ours / theirs)
                .collect(),
        )
    }

    /// How the ratio stands to its target: `aim`, `must` or `missed`; `None` without a target.
    #[must_use]
    pub fn verdict(&self) -> Option<&'static str> {
        let (ratio, target) = (self.ratio()?, self.target?);
        let reaches = |bound: f64| match self.better {
            Better::More => ratio >= bound,
            Better::Less => ratio <= bound,
        };
        Some(match (reaches(target.aim), reaches(target.must)) {
            (true, _) => "aim",
            (false, true) => "must",
            (false, false) => "missed",
        })
    }
}

/// An absolute number that the program must not exceed, on two cores.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// What it is.
    pub name: String,
    /// Of all its numbers.
    pub unit: &'static str,
    /// What was found.
    pub found: f64,
    /// What it may be.
    pub at_most: f64,
    /// What is aimed at, where that is less.
    pub aim: Option<f64>,
}

impl Limit {
    pub(super) fn new(name: &str, unit: &'static str, found: f64, at_most: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            found,
            at_most,
            aim: None,
        }
    }

    pub(super) fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// `aim`, `pass` or `missed`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.aim {
            Some(aim) if self.found <= aim => "aim",
            _ if self.found <= self.at_most => "pass",
            _ => "missed",
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Limit", 6)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("unit", self.unit)?;
        object.serialize_field("found", &self.found)?;
        object.serialize_field("at_most", &self.at_most)?;
        object.serialize_field("aim", &self.aim)?;
        object.serialize_field("verdict", self.verdict())?;
        object.end()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, at_most) = (short(Some(self.found)), short(Some(self.at_most)));
        write!(
            f,
            "| {} | {} | {found} | {at_most} | {} | {} |",
            self.name,
            self.unit,
            short(self.aim),
            self.verdict()
        )
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Figure", 11)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("unit", self.unit)?;
        object.serialize_field("better", &self.better)?;
        object.serialize_field("beside", self.beside.name())?;
        object.serialize_field("theirs", &self.theirs)?;
        object.serialize_field("ours", &self.ours)?;
        object.serialize_field("theirs_median", &median(self.theirs.clone()))?;
        object.serialize_field("ours_median", &median(self.ours.clone()))?;
        object.serialize_field("ratio", &self.ratio())?;
        object.serialize_field("target", &self.target)?;
        object.serialize_field("verdict", &self.verdict())?;
        object.end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processors,
            sync_micros,
            load_before,
            ..
        } = &self.machine;
        let load = load_before.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        writeln!(
            f,
            "{} rounds of {} orders; {processors} processors, load before {load}, a sync {:.2} ms\n",
            self.rounds,
            self.orders,
            float(*sync_micros) / 1e3
        )?;
        if let Some(server) = &self.server {
            writeln!(f, "{server}\n")?;
        }
        if !self.figures.is_empty() {
            writeln!(
                f,
                "| medians | unit | beside | its value | ours | ratio | must | aim | |"
            )?;
            writeln!(f, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
            self.figures.iter().try_for_each(|figure| writeln!(f, "{figure}"))?;
            writeln!(f)?;
        }
        if !self.limits.is_empty() {
            writeln!(f, "| limits | unit | found | at most | aim | |")?;
            writeln!(f, "| --- | --- | ---: | ---: | ---: | --- |")?;
            self.limits.iter().try_for_each(|limit| writeln!(f, "{limit}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (theirs, ours) = (median(self.theirs.clone()), median(self.ours.clone()));
        let (must, aim) = (
            self.target.map(|target| target.must),
            self.target.map(|target| target.aim),
        );
        write!(
            f,
            "| {} | {} | {} | {} | {} |",
            self.name,
            self.unit,
            self.beside.name(),
            short(theirs),
            short(ours)
        )?;
        let ratio = self
            .ratio()
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let verdict = self.verdict().unwrap_or_default();
        write!(f, " {ratio} | {} | {} | {verdict} |", short(must), short(aim))
    }
}

/// As many digits as one looks at.
fn short(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 1_000.0 => format!("{value:.0}"),
        Some(value) if value >= 20.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

impl Machine {
    /// Looks at it before anything is measured; `folder` is where databases will be.
    pub(super) fn look(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load(),
            load_after: None,
            sync_micros: sync(folder).map_err(Error::io("writing to the databases' folder"))?,
        })
    }

    pub(super) fn and_now(self) -> Self {
        Self {
            load_after: load(),
            ..self
        }
    }
}

fn load() -> Option<f64> {
    let told = fs::read_to_string("/proc/loadavg").ok()?;
    told.split_whitespace().next()?.parse().ok()
}

fn sync(folder: &Path) -> std::io::Result<u64> {
    fs::create_dir_all(folder)?;
    let path = folder.join("sync.probe");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..100 {
        file.write_all(&[0; 4_096])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(better: Better, raw: &[f64], ours: &[f64]) -> Figure {
        Figure {
            name: "catch-up".to_owned(),
            unit: "orders/s",
            better,
            beside: Beside::Raw,
            theirs: raw.to_vec(),
            ours: ours.to_vec(),
            target: Some(Target { must: 0.25, aim: 0.5 }),
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_its_rounds() {
        let figure = figure(Better::More, &[100.0, 200.0, 400.0], &[50.0, 60.0, 160.0]);
        assert_eq!(figure.ratio(), Some(0.4));
        assert_eq!(median(vec![1.0, 3.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_verdict_goes_the_way_that_is_better() {
        for (ours, more, less) in [(10.0, "missed", "aim"), (40.0, "must", "aim"), (60.0, "aim", "missed")] {
            assert_eq!(figure(Better::More, &[100.0], &[ours]).verdict(), Some(more));
            let mut less_is_better = figure(Better::Less, &[100.0], &[ours]);
            less_is_better.target = Some(Target { must: 0.5, aim: 0.45 });
            assert_eq!(less_is_better.verdict(), Some(less));
        }
    }

    #[test]
    fn a_limit_is_kept_or_missed() {
        let limit = |found| Limit::new("resident", "MiB", found, 96.0).aim(64.0);
        assert_eq!(
            [64.0, 96.0, 96.1].map(|found| limit(found).verdict()),
            ["aim", "pass", "missed"]
        );
        assert_eq!(Limit::new("help", "ms", 20.0, 20.0).verdict(), "pass");
        assert_eq!(
            limit(70.5).to_string(),
            "| resident | MiB | 70.5 | 96.0 | 64.0 | pass |"
        );
    }

    #[test]
    fn a_report_names_what_is_missed_of_both_kinds() {
        let report = |limit| Report {
            machine: Machine {
                processors: 2,
                load_before: None,
                load_after: None,
                sync_micros: 100,
            },
            server: None,
            orders: 1_000,
            rounds: 1,
            figures: vec![figure(Better::More, &[100.0], &[10.0])],
            limits: vec![Limit::new("help", "ms", limit, 20.0)],
        };
        assert_eq!(report(30.0).missed(), ["catch-up", "help"]);
        assert_eq!(report(10.0).missed(), ["catch-up"]);
        let told = report(30.0).to_string();
        assert!(told.contains("| help | ms | 30.0 | 20.0 | – | missed |"), "{told}");
    }

    #[test]
    fn figures_of_a_server_that_is_not_durable_are_missed() {
        let missed = |setting: &str, value: &str| {
            let report = Report {
                machine: Machine {
                    processors: 2,
                    load_before: None,
                    load_after: None,
                    sync_micros: 100,
                },
                server: Some(ServerFacts {
                    settings: vec![(setting.to_owned(), value.to_owned())],
                }),
                orders: 1_000,
                rounds: 1,
                figures: vec![figure(Better::More, &[100.0], &[60.0])],
                limits: Vec::new(),
            };
            report.missed().join(", ")
        };
        assert_eq!(missed("fsync", "on"), "");
        for setting in ["fsync", "full_page_writes"] {
            assert_eq!(missed(setting, "off"), ServerFacts::DURABLE);
        }
    }

    #[test]
    fn the_table_names_ratio_and_targets() {
        let row = figure(Better::More, &[100_000.0], &[50_000.0]).to_string();
        assert_eq!(
            row,
            "| catch-up | orders/s | raw rdkafka | 100000 | 50000 | 0.50 | 0.25 | 0.50 | aim |"
        );
    }
}
