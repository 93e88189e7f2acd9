//! What goes wrong, from outside of the containers. Each fault looks whether it has hit, ends by itself, and returns when
//! everything it touched is healthy again.

use std::process::Command;
use std::time::Duration;

use super::STANDSTILL;
use super::stage::{Stage, docker, inspect, wait_healthy, wait_until};
use super::support::process::{output_of, shown, stdout_of};
use super::support::seed::Dice;
use super::watch::Watch;

/// The session timeout of the daemons.
const SESSION: Duration = Duration::from_secs(20);

/// Longer than that, so that the group notices.
const BEYOND_A_SESSION: Duration = Duration::from_secs(24);

/// Daemons killed one after the other, and the longest time between two of them, in milliseconds: until the last of their
/// sessions is over, lanes may stand.
const KILLS: usize = 5;
const A_LITTLE: u64 = 1_500;

/// For something that a running cluster does at once.
const SOON: Duration = Duration::from_mins(1);

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    BrokerKilled,
    BrokerLost,
    ControllerKilled,
    BrokersRestartedInTurn,
    LeadersMoved,
    DatabaseKilled,
    InventoryKilled,
    InventoryCrashed,
    PaymentKilled,
    DaemonsKilledAtRandom,
    InventoryFrozen,
    InventoryCutOff,
    AnswersLost,
    EverythingSwallowed,
    RegistryAwayAtStart,
    RegistryAwayLater,
    AllInventoriesStopped,
    ScaledDownAndUp,
}

/// What a daemon logs that starts while the registry is away.
const KNOWN_FROM_BEFORE: &str = "going on with the ids known from before";

/// What the packets between a daemon and the brokers come to, by rules of its network namespace.
const DEAF: &[&[&str]] = &[&["INPUT", "-p", "tcp", "--sport", "9092"]];
const DEAF_AND_MUTE: &[&[&str]] = &[
    &["INPUT", "-p", "tcp", "--sport", "9092"],
    &["OUTPUT", "-p", "tcp", "--dport", "9092"],
];

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::BrokerKilled,
        Self::BrokerLost,
        Self::ControllerKilled,
        Self::BrokersRestartedInTurn,
        Self::LeadersMoved,
        Self::DatabaseKilled,
        Self::InventoryKilled,
        Self::InventoryCrashed,
        Self::PaymentKilled,
        Self::DaemonsKilledAtRandom,
        Self::InventoryFrozen,
        Self::InventoryCutOff,
        Self::AnswersLost,
        Self::EverythingSwallowed,
        Self::RegistryAwayAtStart,
        Self::RegistryAwayLater,
        Self::AllInventoriesStopped,
        Self::ScaledDownAndUp,
    ];

    /// The longest that a lane may handle nothing while orders come. Who is killed while he joins his group is missed by it
    /// only when the others have joined: then his session begins, and they wait once more.
    pub(crate) const fn allowed(self) -> Duration {
        match self {
            Self::DaemonsKilledAtRandom => STANDSTILL.saturating_add(SESSION),
            _ => STANDSTILL,
        }
    }

    /// Does it, to what is drawn where there are several, and tells how it was seen to hit.
    ///
    /// # Panics
    /// When it did not hit.
    pub(crate) fn hit(self, stage: &Stage, watch: &Watch, dice: &mut Dice) -> String {
        let broker = stage.container(&format!("kafka-{}", 1 + dice.below(3)), 0);
        let inventory = stage.container("inventory", dice.below(stage.inventories()));
        match self {
            Self::BrokerKilled => kill(&broker),
            Self::BrokerLost => lose(&broker, watch),
            Self::ControllerKilled => kill_controller(stage),
            Self::BrokersRestartedInTurn => restart_in_turn(stage),
            Self::LeadersMoved => move_leaders(&broker),
            Self::DatabaseKilled => kill(&stage.container("postgres", 0)),
            Self::InventoryKilled => kill(&inventory),
            Self::InventoryCrashed => crash(stage, &inventory),
            Self::PaymentKilled => kill(&stage.container("payment", 0)),
            Self::DaemonsKilledAtRandom => kill_at_random(stage, dice),
            Self::InventoryFrozen => freeze(&inventory),
            Self::InventoryCutOff => cut_off(stage, &inventory),
            Self::AnswersLost => drop_packets(&inventory, DEAF),
            Self::EverythingSwallowed => drop_packets(&inventory, DEAF_AND_MUTE),
            Self::RegistryAwayAtStart => start_without_registry(stage, &inventory),
            Self::RegistryAwayLater => lose_registry(stage, watch),
            Self::AllInventoriesStopped => stop_all(stage),
            Self::ScaledDownAndUp => scale(stage, watch),
        }
    }
}

fn run(arguments: &[&str]) -> String {
    stdout_of(docker().args(arguments))
}

/// SIGKILL, gone for two seconds or a little more, and back.
fn kill(container: &str) -> String {
    end(container);
    std::thread::sleep(Duration::from_secs(2));
    run(&["start", container]);
    wait_healthy(container);
    format!("{} ended with 137", name(container))
}

/// SIGKILL, and the process is gone.
fn end(container: &str) {
    run(&["kill", "-s", "KILL", container]);
    wait_until("the process to be gone", SOON, || {
        inspect(container, "{{.State.Running}}") == "false"
    });
    assert_eq!(inspect(container, "{{.State.ExitCode}}"), "137", "SIGKILL ended it");
}

/// One daemon after the other, whichever is drawn and as soon as is drawn, each back at once: it may be one that has
/// hardly begun.
fn kill_at_random(stage: &Stage, dice: &mut Dice) -> String {
    let inventories = (0..stage.inventories()).map(|n| stage.container("inventory", n));
    let daemons: Vec<_> = inventories.chain([stage.container("payment", 0)]).collect();
    let mut killed = Vec::new();
    while killed.len() < KILLS {
        std::thread::sleep(Duration::from_millis(dice.next() % A_LITTLE));
        let daemon = &daemons[dice.below(daemons.len())];
        end(daemon);
        run(&["start", daemon]);
        killed.push(name(daemon));
    }
    for daemon in &daemons {
        wait_healthy(daemon);
    }
    format!("{} ended with 137", killed.join(", "))
}

/// SIGKILL behind the engine's back, which then does what the compose file says of restarts. After a `docker kill` it does
/// not: that it takes for somebody's wish.
fn crash(stage: &Stage, container: &str) -> String {
    let before = inspect(container, "{{.RestartCount}}");
    let process = inspect(container, "{{.State.Pid}}");
    // From a container that sees all processes: who runs this may be nobody who can, or on another machine.
    let image = inspect(&stage.container("postgres", 0), "{{.Config.Image}}");
    let sight = ["run", "--rm", "--pid=host", "--network=none"];
    let kill = format!("kill -KILL {process}");
    run(&[&sight[..], &["--entrypoint", "bash", &image, "-c", &kill]].concat());
    wait_until("the engine to start it again", SOON, || {
        inspect(container, "{{.RestartCount}}") != before
            && !["0", &*process].contains(&&*inspect(container, "{{.State.Pid}}"))
    });
    wait_healthy(container);
    let restarts = inspect(container, "{{.RestartCount}}");
    assert!(
        restarts.parse::<u32>().ok() > before.parse().ok(),
        "{before} restarts, and then {restarts}"
    );
    format!(
        "{} was started again without being asked, {before} restarts and then {restarts}",
        name(container)
    )
}

/// SIGKILL, and every lane gets on with the others; only then it comes back.
fn lose(broker: &str, watch: &Watch) -> String {
    run(&["kill", "-s", "KILL", broker]);
    watch.wait_for_progress(SOON);
    let still_away = inspect(broker, "{{.State.Running}} {{.State.ExitCode}}");
    assert_eq!(still_away, "false 137", "SIGKILL ended it");
    run(&["start", broker]);
    wait_healthy(broker);
    wait_in_sync(broker);
    format!("every lane got on without {}", name(broker))
}

/// The broker that leads the quorum; another one does afterwards, or the same in a later epoch.
fn kill_controller(stage: &Stage) -> String {
    let (leader, epoch) = quorum(stage);
    let killed = kill(&stage.container(&format!("kafka-{leader}"), 0));
    let (next, later) = quorum(stage);
    assert!(later > epoch, "{killed}, and the quorum kept its leader");
    format!("{killed}, the quorum went from {leader} (epoch {epoch}) to {next} (epoch {later})")
}

/// Who leads the quorum, and since which epoch.
fn quorum(stage: &Stage) -> (u64, u64) {
    let told = stdout_of(&mut tool(
        &stage.container("kafka-1", 0),
        "metadata-quorum",
        &["describe", "--status"],
    ));
    let number = |label: &str| {
        let found = told
            .lines()
            .find_map(|line| line.strip_prefix(label)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {label} in {told}"))
    };
    (number("LeaderId:"), number("LeaderEpoch:"))
}

/// One of Kafka's tools, in the container of a broker.
fn tool(broker: &str, name: &str, arguments: &[&str]) -> Command {
    let mut command = docker();
    command
        .args(["exec", broker, &format!("/opt/kafka/bin/kafka-{name}.sh")])
        .args(["--bootstrap-server", "localhost:9092"])
        .args(arguments);
    command
}

/// What a container is called, for people.
fn name(container: &str) -> String {
    inspect(container, "{{.Name}}").trim_start_matches('/').to_owned()
}

/// Each as its operator would: the next when the one before is in sync again.
fn restart_in_turn(stage: &Stage) -> String {
    for broker in ["kafka-1", "kafka-2", "kafka-3"] {
        let container = stage.container(broker, 0);
        let before = inspect(&container, "{{.State.StartedAt}}");
        run(&["restart", "-t", "30", &container]);
        assert_ne!(
            inspect(&container, "{{.State.StartedAt}}"),
            before,
            "it was started anew"
        );
        wait_healthy(&container);
        wait_in_sync(&container);
    }
    "all three were started anew".to_owned()
}

fn wait_in_sync(broker: &str) {
    wait_until("all replicas to be in sync", SOON, || {
        let arguments = ["--describe", "--under-replicated-partitions"];
        let output = output_of(&mut tool(broker, "topics", &arguments));
        output.status.success() && output.stdout.trim_ascii().is_empty()
    });
}

/// A broker that was away leads nothing; then it is given back what it should lead.
fn move_leaders(broker: &str) -> String {
    run(&["restart", "-t", "30", broker]);
    wait_healthy(broker);
    wait_in_sync(broker);
    let all = ["--election-type", "preferred", "--all-topic-partitions"];
    let told = stdout_of(&mut tool(broker, "leader-election", &all));
    let moved = told.split_once("Successfully completed leader election");
    let moved = moved.unwrap_or_else(|| panic!("nothing was moved: {told}")).1;
    let moved = moved.lines().next().unwrap_or_default().matches(", ").count() + 1;
    format!("{moved} leaders went back to {}", name(broker))
}

/// Stopped beyond its session, and woken with whatever it was about to do.
fn freeze(daemon: &str) -> String {
    let lost = lanes_lost(daemon);
    run(&["pause", daemon]);
    assert_eq!(inspect(daemon, "{{.State.Paused}}"), "true");
    std::thread::sleep(BEYOND_A_SESSION);
    run(&["unpause", daemon]);
    notices(daemon, lost)
}

/// Off the network: no broker and no database, both ways.
fn cut_off(stage: &Stage, daemon: &str) -> String {
    let (lost, network) = (lanes_lost(daemon), stage.network());
    run(&["network", "disconnect", &network, daemon]);
    assert_eq!(inspect(daemon, "{{len .NetworkSettings.Networks}}"), "0");
    std::thread::sleep(BEYOND_A_SESSION);
    run(&["network", "connect", &network, daemon]);
    notices(daemon, lost)
}

/// Connections stay open, and packets of the brokers vanish.
fn drop_packets(daemon: &str, rules: &[&[&str]]) -> String {
    let lost = lanes_lost(daemon);
    for rule in rules {
        iptables(daemon, &[&["-I"], *rule, &["-j", "DROP"]].concat());
    }
    std::thread::sleep(BEYOND_A_SESSION);
    let counted = iptables(daemon, &["-L", "-n", "-v", "-x"]);
    let dropped = counted.lines().filter(|line| line.contains("DROP  "));
    let dropped: Vec<u64> = dropped
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    for rule in rules {
        iptables(daemon, &[&["-D"], *rule, &["-j", "DROP"]].concat());
    }
    assert!(
        dropped.len() == rules.len() && dropped.iter().all(|n| *n > 0),
        "{dropped:?}\n{counted}"
    );
    format!("{dropped:?} packets dropped, {}", notices(daemon, lost))
}

/// Waits until a daemon that was away says that its lanes were taken, and is healthy again.
fn notices(daemon: &str, lost_before: usize) -> String {
    wait_until("the daemon to notice that it lost its lanes", SOON, || {
        lanes_lost(daemon) > lost_before
    });
    wait_healthy(daemon);
    format!("{} lost its lanes", name(daemon))
}

/// In the network namespace of a container, which has no such program itself.
fn iptables(container: &str, arguments: &[&str]) -> String {
    let pid = inspect(container, "{{.State.Pid}}");
    stdout_of(
        Command::new("nsenter")
            .args(["-t", &pid, "-n", "iptables"])
            .args(arguments),
    )
}

/// A daemon starts while the registry is away, and the registry comes later.
fn start_without_registry(stage: &Stage, daemon: &str) -> String {
    let registry = stage.container("registry", 0);
    run(&["stop", "-t", "5", &registry]);
    let before = logged(daemon, KNOWN_FROM_BEFORE);
    run(&["restart", "-t", "10", daemon]);
    wait_until("the daemon to start without a registry", SOON, || {
        logged(daemon, KNOWN_FROM_BEFORE) > before
    });
    wait_healthy(daemon);
    run(&["start", &registry]);
    wait_healthy(&registry);
    format!("{} went on with the ids it knew", name(daemon))
}

/// The registry is killed under daemons that run, and every lane gets on without it.
fn lose_registry(stage: &Stage, watch: &Watch) -> String {
    let registry = stage.container("registry", 0);
    run(&["kill", "-s", "KILL", &registry]);
    let output = output_of(&mut stage.check_registry());
    assert_eq!(output.status.code(), Some(4), "it answers: {}", shown(&output));
    watch.wait_for_progress(SOON);
    let still_away = inspect(&registry, "{{.State.Running}} {{.State.ExitCode}}");
    assert_eq!(still_away, "false 137", "SIGKILL ended it");
    run(&["start", &registry]);
    wait_healthy(&registry);
    "every lane got on while nobody answered".to_owned()
}

/// All instances of inventory end in order; a little later they are back.
fn stop_all(stage: &Stage) -> String {
    let all: Vec<_> = (0..stage.inventories())
        .map(|n| stage.container("inventory", n))
        .collect();
    for daemon in &all {
        run(&["stop", "-t", "10", daemon]);
        assert_eq!(inspect(daemon, "{{.State.ExitCode}}"), "0", "it ended in order");
    }
    std::thread::sleep(Duration::from_secs(3));
    for daemon in &all {
        run(&["start", daemon]);
    }
    for daemon in &all {
        wait_healthy(daemon);
    }
    format!("{} instances ended with 0", all.len())
}

/// Inventory comes down to one instance, which has every lane, and goes up again: with the command that brought all up.
fn scale(stage: &Stage, watch: &Watch) -> String {
    let before = stage.inventories();
    stage.scale(1);
    watch.wait_for_progress(SOON);
    stage.scale(before);
    format!("{before} instances of inventory, then 1, then {before}")
}

/// How often a daemon has logged that its lanes were taken without asking.
fn lanes_lost(daemon: &str) -> usize {
    logged(daemon, "\"lost\":true")
}

/// How often these words are in what a daemon has logged.
fn logged(daemon: &str, words: &str) -> usize {
    let output = output_of(docker().args(["logs", daemon]));
    String::from_utf8_lossy(&output.stderr).matches(words).count()
}
