//! How long after an order is due its fact can be read, at a steady rate.
//!
//! From the due time, not from the time of sending: an order that has to wait for a stalled client has waited.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use orderflow_domain::OrderPlaced;
use orderflow_producers::emit::Generator;
use orderflow_producers::{Sink, SinkOptions};
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::Contract as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::child::Child;
use super::ground::{Ground, PARTITIONS};
use super::inventory::Tuning;
use super::report::{Beside, Better, Figure, Target};
use super::store::{Kind, Store};
use super::watch::Watch;
use super::workload::Workload;
use super::{Bench, Error, load};

/// Share of the orders, at the beginning, that are sent and not counted: connections, caches, first pages.
const WARM_UP_TENTHS: usize = 2;

/// How long a fact may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is measured: the relay, or inventory on a database that holds its stock.
type Contender<'a> = Option<&'a (Kind, Store)>;

impl Bench<'_> {
    pub(super) fn latency(&mut self) -> Result<(), Error> {
        let workload = self.made_up();
        self.tell(&format!("latency, {workload}, {} orders/s", self.options.rate));
        let ground = Ground::make(self.connection, "latency", PARTITIONS)?;
        let server = self.options.database.is_some().then_some(Kind::Postgres);
        let kinds = std::iter::once(Kind::Sqlite).chain(server);
        let stocked = kinds.map(|kind| Ok((kind, self.stocked(&ground, &workload, kind)?)));
        let stocked = stocked.collect::<Result<Vec<_>, Error>>()?;
        let mut contenders: Vec<Contender<'_>> = std::iter::once(None).chain(stocked.iter().map(Some)).collect();
        let mut steadies = vec![Vec::new(); contenders.len()];
        for round in 0..self.options.rounds {
            let first = round as usize % contenders.len();
            for at in (first..contenders.len()).chain(0..first) {
                steadies[at].push(self.latency_of(&ground, contenders[at], (&workload, round))?);
            }
        }
        let raw = steadies.remove(0);
        contenders.remove(0);
        for (contender, ours) in contenders.into_iter().flatten().zip(&steadies) {
            self.figures.extend(figures(contender.0, &raw, ours));
        }
        Ok(())
    }

    fn latency_of(
        &mut self,
        ground: &Ground,
        contender: Contender<'_>,
        (workload, round): (&Workload, u32),
    ) -> Result<(f64, f64), Error> {
        let (mut child, target) = match contender {
            None => (self.start_relay(ground, "relay")?, &*ground.relayed),
            Some((_, stocked)) => {
                let child = self.start_inventory(ground, &stocked.place(), Tuning::default())?;
                (child, ground.inventory())
            }
        };
        let (p50, p99) = self.steady(ground, target, (workload, round), &mut child)?;
        child.end()?;
        let name = contender.map_or("raw", |(kind, _)| kind.name());
        let round = round + 1;
        self.tell(&format!("  round {round}, {name}: p50 {p50:.2} ms, p99 {p99:.2} ms"));
        Ok((p50, p99))
    }

    /// Percentiles 50 and 99, milliseconds.
    fn steady(
        &mut self,
        ground: &Ground,
        target: &str,
        (workload, round): (&Workload, u32),
        child: &mut Child,
    ) -> Result<(f64, f64), Error> {
        let mut sink = self.sink(ground)?;
        self.catch_up_first(&mut sink, target, (workload, round), child)?;
        let orders = self.orders(workload, round)?;
        let expected: HashMap<_, _> = orders
            .iter()
            .zip(0..)
            .map(|(order, at)| (order.key().into_owned(), at))
            .collect();
        let reader = reader(self.connection, target)?;
        let interval = Duration::from_secs(1) / self.options.rate;
        let began = Instant::now() + Duration::from_millis(100);
        let seen = std::thread::scope(|scope| {
            let read = scope.spawn(|| read(&reader, &expected, orders.len()));
            for (order, due) in orders.iter().zip((0..).map(|at| began + interval * at)) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                sink.send(order).map_err(|error| failed(ground, &error))?;
            }
            sink.finish().map_err(|error| failed(ground, &error))?;
            read.join().unwrap_or_else(|_| Err(stalled(child, 0, orders.len())))
        })?;
        if seen.len() < orders.len() {
            return Err(stalled(child, seen.len(), orders.len()));
        }
        Ok(percentiles(&seen, |at| began + interval * at))
    }

    /// Makes sure that whatever waited is done: an order of now has come through.
    fn catch_up_first(
        &mut self,
        sink: &mut Sink,
        target: &str,
        (workload, round): (&Workload, u32),
        child: &mut Child,
    ) -> Result<(), Error> {
        let reader = reader(self.connection, target)?;
        let mut generator = generator(workload, u64::from(round) << 32)?;
        let mut order = generator.blank();
        generator.fill(&mut order, load::now());
        let expected = HashMap::from([(order.key().into_owned(), 0)]);
        sink.send(&order)
            .and_then(|()| sink.finish())
            .map_err(|error| Error::Load {
                topic: target.to_owned(),
                cause: error.to_string(),
            })?;
        let seen = read(&reader, &expected, 1)?;
        child.check()?;
        if seen.is_empty() {
            Err(stalled(child, 0, 1))
        } else {
            Ok(())
        }
    }

    fn orders(&self, workload: &Workload, round: u32) -> Result<Vec<OrderPlaced>, Error> {
        let count = u64::from(self.options.rate) * self.options.lasting.as_secs().max(1);
        let mut generator = generator(workload, u64::from(round))?;
        let made = (0..count).map(|_| {
            let mut order = generator.blank();
            generator.fill(&mut order, load::now());
            order
        });
        Ok(made.collect())
    }

    fn sink(&self, ground: &Ground) -> Result<Sink, Error> {
        let options = SinkOptions::single(ground.orders());
        Sink::open(&ground.connection, options, self.stop).map_err(|error| failed(ground, &error))
    }
}

fn generator(workload: &Workload, seed: u64) -> Result<Generator, Error> {
    Generator::new(&workload.made_up()?, load::SOURCE, seed).map_err(|error| Error::Load {
        topic: workload.to_string(),
        cause: error.to_string(),
    })
}

fn failed(ground: &Ground, error: &orderflow_producers::SinkError) -> Error {
    Error::Load {
        topic: ground.orders().to_owned(),
        cause: error.to_string(),
    }
}

fn stalled(child: &Child, found: usize, expected: usize) -> Error {
    Error::Stalled {
        job: child.job(),
        found: found as u64,
        expected: expected as u64,
        waited: PATIENCE,
    }
}

/// Reads a topic from its end on, without a group.
fn reader(connection: &Connection, topic: &str) -> Result<BaseConsumer<DefaultConsumerContext>, Error> {
    let watch = Watch::new(connection, topic, PARTITIONS)?;
    let reader: BaseConsumer<DefaultConsumerContext> = connection
        .client(&[
            ("group.id", "orderflow-bench-reads"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "100"),
        ])
        .create()
        .map_err(Error::kafka("a client that reads facts"))?;
    let mut from = TopicPartitionList::new();
    for (partition, end) in (0..PARTITIONS).zip(watch.from()) {
        from.add_partition_offset(topic, partition, Offset::Offset(*end))
            .map_err(Error::kafka("a client that reads facts"))?;
    }
    reader
        .assign(&from)
        .map_err(Error::kafka("a client that reads facts"))?;
    Ok(reader)
}

/// When the fact of each expected order was first read, by the order's number. Ends early when nothing comes.
fn read(
    reader: &BaseConsumer<DefaultConsumerContext>,
    expected: &HashMap<String, u32>,
    count: usize,
) -> Result<HashMap<u32, Instant>, Error> {
    let mut seen = HashMap::with_capacity(count);
    while seen.len() < count {
        let Some(record) = reader.poll(PATIENCE) else { break };
        let at = Instant::now();
        let record = record.map_err(Error::kafka("reading facts"))?;
        let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
        if let Some(number) = key.and_then(|key| expected.get(key)) {
            seen.entry(*number).or_insert(at);
        }
    }
    Ok(seen)
}

fn percentiles(seen: &HashMap<u32, Instant>, due: impl Fn(u32) -> Instant) -> (f64, f64) {
    let warm = seen.len() * WARM_UP_TENTHS / 10;
    let counted = seen.iter().filter(|(number, _)| **number as usize >= warm);
    let mut waited: Vec<Duration> = counted
        .map(|(number, at)| at.saturating_duration_since(due(*number)))
        .collect();
    waited.sort_unstable();
    let at = |percent: usize| waited[(waited.len() * percent / 100).min(waited.len() - 1)].as_secs_f64() * 1e3;
    (at(50), at(99))
}

fn figures(kind: Kind, raw: &[(f64, f64)], ours: &[(f64, f64)]) -> [Figure; 2] {
    let figure = |name: &str, (must, aim), of: fn(&(f64, f64)) -> f64| Figure {
        name: format!("due to readable, {}, {name}", kind.name()),
        unit: "ms",
        better: Better::Less,
        beside: Beside::Raw,
        theirs: raw.iter().map(of).collect(),
        ours: ours.iter().map(of).collect(),
        target: Some(Target { must, aim }),
    };
    let [p50, p99] = match kind {
        Kind::Sqlite => [(8.0, 3.0), (4.0, 1.5)],
        Kind::Postgres => [(15.0, 6.0), (6.0, 3.0)],
    };
    [
        figure("p50", p50, |steady| steady.0),
        figure("p99", p99, |steady| steady.1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_counted_from_the_due_time_and_leave_out_the_warm_up() {
        let began = Instant::now();
        let seen = (0..100).map(|n| {
            (
                n,
                began + Duration::from_millis(if n < 20 { 9_000 } else { u64::from(n) }),
            )
        });
        let (p50, p99) = percentiles(&seen.collect(), |_| began);
        assert!((59.0..61.0).contains(&p50), "{p50}");
        assert!((98.0..100.0).contains(&p99), "{p99}");
    }
}
