//! Every kind of failure by its name: what it is called, how it ends the process, and what `explain` says about it.

use crate::exit::Exit;

macro_rules! slugs {
    ($($variant:ident $name:literal $exit:ident $title:literal $text:literal)*) => {
        /// The kind of a failure. Its name is part of the interface: scripts and HTTP clients match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Slug {
            $(#[doc = $title] $variant,)*
        }

        impl Slug {
            /// Every slug, in the order in which `explain` lists them.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that stands in brackets behind `error`.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The code the process ends with.
            pub(crate) const fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)* }
            }

            /// What it is, in half a line.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it means and what to do about it.
            pub(crate) const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

slugs! {
    Usage "usage" Usage "The command line cannot be understood"
    "An argument is unknown, missing, or has a value out of its bounds. Nothing was done. \
     `orderflow COMMAND --help` shows what the command takes, with examples."

    ConfigInvalid "config-invalid" Usage "A setting has a value it cannot have"
    "A value from a flag, from the environment or from the configuration file does not parse, is out of its bounds, or \
     does not go together with another one. The message says which setting and where it was said. \
     `orderflow config show --origin` shows every setting and where its value comes from."

    ConfigUnknownKey "config-unknown-key" Usage "A setting is not known"
    "A key of the configuration file, or a variable beginning with ORDERFLOW_, is not one of ours. It is an error and \
     not a warning, because a misspelt setting silently leaves the default in force. Variables beginning with \
     ORDERFLOW_TEST_ are reserved for tests and left alone."

    ConfigUnreadable "config-unreadable" Usage "The configuration file cannot be read"
    "The file named by --config or ORDERFLOW_CONFIG does not exist or cannot be read, or is not TOML; or a file that a \
     secret is to be read from cannot be read. Without --config, a missing orderflow.toml is no error."

    PropertyRefused "property-refused" Usage "A Kafka property is not yours to set"
    "Any property of librdkafka may be passed through under [kafka] or with -X, but for a few that a guarantee rests on: \
     acks, idempotence, offsets, isolation, the partitioner. Setting them would break the guarantee without a sign, so \
     they are refused. The brokers are set with --brokers."

    SecretOnCommandLine "secret-on-command-line" Usage "A secret stood on the command line"
    "Other users of the machine can read the command line of a process. Give the secret in a file: in the environment as \
     ORDERFLOW_KAFKA_SASL_PASSWORD_FILE=PATH, or in the configuration file as \"sasl.password_file\" under [kafka]. The \
     password of a database is found in PGPASSWORD, PGPASSFILE or ~/.pgpass, or within the URL in the file that \
     ORDERFLOW_DATABASE_FILE names."

    ValidationFailed "validation-failed" Usage "What was to be placed is not a valid order"
    "An order needs at least one item, quantities from 1 on, prices that are not negative, a currency of ISO 4217 with no \
     more decimals than it has, and a product id of 1 to 128 bytes without control characters. The message names the \
     field. Nothing was written."

    InputUnreadable "input-unreadable" Failed "A file to import cannot be read on"
    "The file is missing, is not what its name says, or ends in the middle (a truncated gzip, for instance). Orders read \
     before that point are placed; importing the mended file again places each of them still exactly once."

    ImportIncomplete "import-incomplete" Failed "Some rows were not taken"
    "Rows that could not be read are counted under their reason with the first line numbers, and the orders they belong \
     to are held back. Everything else was placed. Mend the rows and import the file again: what was placed before is \
     recognised and not placed twice."

    EventRefused "event-refused" Failed "A service refused what was sent"
    "The event is in Kafka, the service has handled it, and what it says breaks a rule: a count below what is reserved, for \
     instance. It is a dead letter now, with its bytes and the reason, and nothing of it was applied. Sent again under the \
     same id it is recognised and stays refused: mend the cause, then send another event."

    SchemasIncompatible "schemas-incompatible" Failed "A version of a contract breaks another"
    "Every version of an event must be readable with every other one, in both directions: a consumer may be older or \
     newer than the producer. Give new fields a default, and do not change or remove old ones."

    SchemasUnregistered "schemas-unregistered" Unreachable "A contract is not registered"
    "With a schema registry configured, records are written under the registry's ids, and it has none for a schema that is \
     to be written. Nothing was written. `orderflow schemas register` registers what is missing; it is not done in \
     passing, so that a wrong address does not fill somebody else's registry."

    RegistryUnavailable "registry-unavailable" Unreachable "The schema registry cannot be reached"
    "It does not answer in time, or answers that it cannot now (5xx, 408, 429). Check --registry and that the registry \
     runs. A service that started once with it starts without it: it keeps the ids in registry.json below --data-dir. A \
     record whose schema is not known waits in its partition until the registry is back."

    RegistryUntrusted "registry-untrusted" Refused "The schema registry's certificate is not to be trusted"
    "Its certificate is expired, is for another name, or comes from an authority that nobody here vouches for; or there is \
     no TLS behind the address. Nothing was shown to it. For an authority of your own set registry.ca_file to its \
     certificate (PEM); certificates are always verified."

    RegistryDenied "registry-denied" Refused "The schema registry refused the credentials"
    "It answered 401 or 403. Set ORDERFLOW_REGISTRY_USERNAME and ORDERFLOW_REGISTRY_PASSWORD_FILE, or \
     ORDERFLOW_REGISTRY_TOKEN_FILE, and check that they may read subjects; `schemas register` must be allowed to write."

    RegistryRefused "registry-refused" Failed "The schema registry does not take the request"
    "It understood the request and refuses it; the message has its own words. It may be read-only, or have a limit or a \
     rule that our schemas break."

    RegistryUnexpected "registry-unexpected" Failed "What answers is not a schema registry"
    "Something answers at the address, but not as Confluent's registry API does: a web page, a redirection, a 404 for \
     everything. Check the address and its path: Apicurio's compatible API is below /apis/ccompat/v7, and a proxy may have \
     its own."

    KafkaUnavailable "kafka-unavailable" Unreachable "Kafka cannot be reached"
    "None of the brokers answered in time. Check --brokers (default localhost:9092), that the cluster runs, and that the \
     addresses it advertises can be reached from here. `orderflow config show --origin` shows where the address comes from."

    KafkaRefused "kafka-refused" Failed "Kafka answered with an error"
    "The cluster was reached and refused a request; the message has Kafka's own word for the error. Its brokers' logs \
     say more."

    Unauthenticated "unauthenticated" Refused "Kafka refused the credentials"
    "The broker answered and refused to let us in. Check sasl.mechanism, sasl.username, the password and \
     security.protocol under [kafka]."

    Untrusted "untrusted" Refused "TLS with Kafka does not come about"
    "The brokers' certificate was not signed by an authority that is trusted here, has expired, or is for another host; or \
     the brokers want a certificate of this client; or the listener does not speak TLS. The message says which. Set \
     ssl.ca.location, brokers, or ssl.certificate.location and ssl.key.location under [kafka]. Verification is not to be \
     switched off: it is what keeps a password from a stranger."

    BuiltWithout "built-without" Usage "This binary cannot do that"
    "TLS, SCRAM and OAUTHBEARER to Kafka need OpenSSL, which a plain build leaves out: the image (docker/Dockerfile) has it, \
     and `cargo build --release --features tls` brings it where libssl-dev and pkg-config are installed. Kerberos is in no \
     build."

    Forbidden "forbidden" Refused "Kafka denied the operation"
    "The credentials are right, but lack a right on a topic or a group. The message names it. Grant it to the user and \
     run the command again; docs/security.md lists what each command needs."

    TopicMissing "topic-missing" Unreachable "A topic does not exist"
    "The topic is not there, and nothing was written or read. `orderflow topics plan` shows what is missing and \
     `orderflow topics apply` creates it."

    TopicsNotReady "topics-not-ready" Unreachable "The topics are not ready for the service"
    "A service starts only when all its topics exist and fit, those for dead letters and redrives included: a record \
     that could not be parked would have to be dropped. `orderflow topics plan` shows the difference and \
     `orderflow topics apply` makes it so."

    TopicsUnfit "topics-unfit" Halted "Topics must not become what is declared"
    "What would lose records, or put the records of a key out of order, is refused, and nothing was changed. The message \
     names each topic with the reason, the hints a way out."

    Unacknowledged "unacknowledged" Unreachable "Kafka did not acknowledge in time"
    "The records may have been written and may not. Repeat the command as the hint says, with the same ids: a copy with \
     the same ids and the same bytes is recognised by every consumer and has no further effect. `order emit` makes such a \
     copy only with both --seed and --start; else a repeat is another load."

    StoreUnavailable "store-unavailable" Unreachable "The database cannot be used now"
    "The disk is full, the file is locked by another process, or the folder cannot be written; or no server answers, or it \
     takes no writes. Nothing half done was \
     kept: each transaction is whole or absent. Mend it and start again; the service goes on where it stopped."

    DatabaseUnauthenticated "database-unauthenticated" Refused "The database refuses the user or the password"
    "The server answered and refused to let us in. The user is the one of the URL or PGUSER; the password is looked for in \
     the URL, in PGPASSWORD, in the file of PGPASSFILE or passfile=, and in ~/.pgpass, where others must not be able to \
     read it."

    DatabaseForbidden "database-forbidden" Refused "The user of the database lacks a right"
    "A service needs to select, insert, update and delete in its schema, and the right to create in it for migrations. \
     Whoever only reads needs USAGE on the schema and SELECT on its tables. `orderflow db migrate` under another user \
     makes the schema for services that may not. A service at work stops when a right is withdrawn; nothing half done was \
     kept, and once the right is granted it goes on where it stopped."

    DatabaseUntrusted "database-untrusted" Refused "The database does not prove who it is"
    "sslmode asks for a certificate that a known authority has signed, with verify-full also for the host's name in it, \
     and the server has none. It may have expired. Name the authority with sslrootcert=FILE, or the host as the \
     certificate names it."

    StoreMissing "store-missing" Unreachable "There is no database yet"
    "The database of the service is not where it was looked for; the service makes its file, or its schema, when it first \
     runs, and so does `orderflow db migrate`; a database on a server is made by hand. Check --data-dir and --database."

    StoreRefused "store-refused" Halted "The database must not be used as it is"
    "Nothing says that it is damaged: it was written or changed by a newer version, belongs to another program or service, \
     was filled by another pipeline (another topics.prefix), was moved away, its tables are not to be seen, or what it depends on could not be applied. Nothing half done was \
     kept. The message says which: run the version that wrote it, give the right path or URL, or put back what was taken \
     away. Do not restore a backup before that is clear. Where all topics of a service were renamed, start it once with \
     --adopt-database."

    DatabaseDamaged "database-damaged" Halted "The database is damaged"
    "It is not a database, or a broken one, or holds what it should not. Keep a copy, then restore a backup; do not delete \
     it, because the proof of what was already done is in it."

    WrongDatabase "wrong-database" Halted "The database and the group do not belong together"
    "Kafka knows positions of this group that the database does not: it is empty, or an old copy. Going on would apply \
     records again. If the right database is elsewhere, point --database to it. If this database is meant to take over, \
     start once with --adopt-database."

    RecordsLost "records-lost" Halted "Records were lost before they were read"
    "The topic begins behind the position of this group: retention deleted records that were not handled. Nothing is \
     skipped silently, and this version has no command that skips: what is left is to begin anew, as \
     `orderflow explain topic-truncated` says. Lengthen the retention, so that it does not come again."

    TopicTruncated "topic-truncated" Halted "A topic is not the one that the group has read"
    "The topic was truncated, or deleted and created again, or brokers lost what they had acknowledged. Its offsets mean \
     something else now. Where it has grown again since, do not start the service as it is: it would pass over what was \
     written in the place of what it had read. Restore it; or begin anew, with topics of other names (topics.prefix) and fresh databases \
     (--data-dir, or another schema). A prefix makes groups of other names too; those of before can be deleted with kafka-consumer-groups.sh."

    TopicGrown "topic-grown" Halted "A topic has another number of partitions"
    "With another number of partitions the records of a key go elsewhere than before, and those from before and after are \
     read in no order. To grow topics, stop the producers, wait until orderflow audit ends with 0, end the services, give \
     every topic the new number with kafka-topics.sh --alter, and start each service once with --adopt-partitions: it \
     records the new number and goes on. Where they have grown with records in them the same is the way on: every record is \
     applied once all the same, and only the order of a key's records across that moment is lost. With fewer partitions \
     than before the topic is another one: see orderflow explain topic-truncated."

    TopicHole "topic-hole" Halted "Records are missing in the middle of a topic"
    "Topics written without transactions and without compaction have no holes, so a missing offset is a lost record. Look \
     at the topic's cleanup.policy and at who writes to it. A transaction ends with an offset that holds no record: if a \
     producer uses them, set runtime.dense=false for every service that reads the topic, and for the audit. A record that \
     is missing is then noticed no more."

    CodecUnsupported "codec-unsupported" Halted "Records are compressed with a codec this program does not read"
    "Kafka keeps a batch as its producer compressed it, and this program reads gzip, snappy, lz4 and none, not zstd. The \
     message names the batch; all before it in its partition is kept, nothing of it was handled. Let the producer use \
     another codec, or set compression.type=lz4 on the topic, so that the brokers compress anew whatever comes. The batch \
     itself stays as it is: to go on from there, add \"zstd\" to the features of rdkafka in Cargo.toml, build the program \
     and start that."

    SecondMember "second-member" Halted "Another process consumes in the same group"
    "With SQLite one process has all partitions of a group. Another live one holds some of them. Stop one of the two. A \
     group has its service's name behind topics.prefix, so a second Orderflow on one cluster needs a prefix of its own; \
     several instances of one service share a database on PostgreSQL."

    FencedMember "fenced-member" Halted "Another process took this one's place in the group"
    "It has the same member identity. With SQLite it runs on a copy of this database: only one of the two is right; find out \
     which, and stop the other process. With PostgreSQL two daemons have one runtime.instance_id: give each its own."

    Decision "decision" Halted "A service made a decision that cannot be kept"
    "What a decision asked to be written contradicts itself, which is an error of the program. Nothing of it was kept. \
     Please report it with the message and the record it names."

    Publishing "publishing" Halted "Facts cannot be published, whatever is retried"
    "The broker or the client refuses a fact for good: a topic was deleted, its limits were lowered, or a right was \
     withdrawn. Nothing is lost; the facts wait in the outbox. Mend the topic, then start the service again."

    DeadLetterFlood "dead-letter-flood" Halted "Too many records were refused"
    "So many records in a row, or such a share of them, could not be handled that the cause is more likely a new \
     producer, a wrong topic or a wrong version than single bad records. The consumer stops instead of emptying the \
     topic into the dead letters. Look at the newest ones with `orderflow topics tail orders.inventory.dlq` and mend their \
     producer. The counts are kept, so a restart alone stops at the next refusal: to go on, start with a higher \
     runtime.flood_run or runtime.flood_percent, whichever the message names. What is left of the bad records then becomes \
     dead letters. A run is over when every partition it was in has had a good record; the share falls with each one. \
     After that, start with the old limits again."

    Halted "halted" Halted "Stopped for safety"
    "Going on could lose or repeat an effect, so the service stopped and says why. A restart does not help; a person \
     decides."

    Unhealthy "unhealthy" Unhealthy "A daemon does not get on with its work"
    "A lane has had records to handle for longer than --still and has handled none, no broker has answered for as long, or \
     the daemon wrote nothing for longer than --stale. Its log says what it waits for. A restart helps a process that \
     hangs, and not one that waits for a database or a broker."

    AuditViolated "audit-violated" Violated "An invariant does not hold"
    "The audit compared the topics with the databases and found something lost, repeated or changed. Each violation is \
     printed with topic, partition, offset and event id. Keep the databases and the topics as they are."

    AuditImpossible "audit-impossible" Unreachable "The audit could not be completed"
    "What is needed to judge is not there: a broker or a database cannot be read, or records have been deleted from the \
     start of a topic. This says nothing about the invariants."

    DeadlinePassed "deadline-passed" DeadlinePassed "The deadline passed first"
    "What was waited for did not happen within --timeout. Nothing was undone: what was written stays written. Are the \
     services running? An audit is simply run again with a longer --timeout. A command that writes is repeated as its hint \
     says, under the same ids: then it waits for what was written before, and it counts once. Under new ids it is written, \
     and counts, twice."

    Interrupted "interrupted" Interrupted "Ended by a signal before anything was done"
    "SIGINT or SIGTERM came while the command waited for the brokers. Nothing was written."

    DemoFailed "demo-failed" Failed "The demonstration did not come to its end"
    "A part of the demonstration ended early or something unexpected came out. Its logs say more: run it with \
     --data-dir DIR and look into that folder."

    BenchFailed "bench-failed" Failed "Nothing was measured"
    "A side of the measurement ended early or did its work wrongly; a figure of wrong work is none. The message says which. \
     The topics it made were removed."

    TargetMissed "target-missed" Failed "A figure misses what it must reach"
    "With --check, `bench` fails when a ratio to raw rdkafka is below its bound, a limit is exceeded, or the PostgreSQL that \
     was measured is not durable. Other work on the machine blurs figures: the report has the load before and after."

    NothingMatched "nothing-matched" NothingMatched "Nothing is called that"
    "What was asked for is not there, so nothing was shown or done. Leave the name out to see what there is."

    Uncertain "uncertain" Failed "Not everything was done"
    "Some of it was done and some was not; the message says what. Running the command again is safe."

    OutputFailed "output-failed" Failed "Nothing can be written to where the output goes"
    "Standard output, or the file or folder named, cannot be written: the disk is full or a right is missing."

    ListenFailed "listen-failed" Failed "The address cannot be listened on"
    "Another process listens there already, or the address is not one of this machine. Give another with --listen; port 0 \
     takes a free one."

    Internal "internal" Failed "An error of the program itself"
    "This should not happen. Please report it with the message, the command and the output of `orderflow --version`."
}

impl Slug {
    /// The slug of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|slug| slug.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_an_address() {
        for (n, slug) in Slug::ALL.iter().enumerate() {
            let name = slug.name();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
            assert!(
                Slug::ALL[..n].iter().all(|other| other.name() != name),
                "{name} stands twice"
            );
            assert_eq!(Slug::named(name), Some(*slug));
        }
    }

    #[test]
    fn each_has_an_explanation_of_at_least_a_sentence() {
        for slug in Slug::ALL {
            let text = slug.explanation();
            assert!(text.len() > 60 && text.ends_with('.'), "{}: {text}", slug.name());
        }
    }

    #[test]
    fn every_reason_of_the_runtime_to_halt_is_explained() {
        const HALTS: &[&str] = &[
            "wrong-database",
            "records-lost",
            "topic-truncated",
            "topic-grown",
            "topic-hole",
            "codec-unsupported",
            "dead-letter-flood",
            "second-member",
            "fenced-member",
            "decision",
            "publishing",
            "database-damaged",
        ];
        for name in HALTS {
            assert_eq!(Slug::named(name).map(Slug::exit), Some(Exit::Halted), "{name}");
        }
    }

    #[test]
    fn settings_and_limits_that_are_named_are_those_there_are() {
        let apart = |c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c));
        let ours = |word: &&str| word.starts_with("runtime.") || word.starts_with("topics.");
        for slug in Slug::ALL {
            for word in slug.explanation().split(apart).filter(ours) {
                let key = word.trim_end_matches('.');
                assert!(crate::config::about(key).is_some(), "{}: {key}", slug.name());
            }
        }
        let longest = format!("1 to {} bytes", orderflow_domain::order::MAX_ID_BYTES);
        assert!(Slug::ValidationFailed.explanation().contains(&longest), "{longest}");
    }

    #[test]
    fn a_failure_never_ends_with_the_code_of_success() {
        assert!(Slug::ALL.iter().all(|slug| slug.exit() != Exit::Done));
    }
}
