//! The topics, and what they are called on a cluster.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A topic of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is named after its topic")]
pub enum Topic {
    Orders,
    Inventory,
    Payments,
    Shipments,
    Stock,
    Users,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] = [
        Self::Orders,
        Self::Inventory,
        Self::Payments,
        Self::Shipments,
        Self::Stock,
        Self::Users,
    ];

    /// What it is called unless a setting says otherwise.
    #[must_use]
    pub const fn default_name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Inventory => "inventory",
            Self::Payments => "payments",
            Self::Shipments => "shipments",
            Self::Stock => "stock",
            Self::Users => "users",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default_name())
    }
}

/// What the topics are called on this cluster.
///
/// In the configuration: any of the topics by its default name, and a `prefix` that goes before every one of them, and before
/// the names of the groups that read them, as `{ prefix = "shop.", orders = "order-placed" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Setting", into = "Setting")]
pub struct TopicNames {
    prefix: String,
    /// In the order of [`Topic::ALL`].
    names: [String; 6],
}

/// Names that Kafka or this system cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTopicNames {
    /// Not a name Kafka takes, or too long for the names made of it.
    #[error(
        "{name:?} cannot be a topic's name ({topic}); expected 1 to {MAX_NAME_BYTES} letters, digits, dots, hyphens or \
         underscores, and not only dots"
    )]
    Name {
        /// The topic.
        topic: Topic,
        /// Its name, with the prefix.
        name: String,
    },
    /// Two topics in one.
    #[error("{name:?} is the name of two topics ({first} and {second}); give each its own")]
    Twice {
        /// The name.
        name: String,
        /// One topic.
        first: Topic,
        /// The other.
        second: Topic,
    },
}

/// Longest name of a topic; Kafka takes 249, and `.<group>.redrive` must fit behind it.
const MAX_NAME_BYTES: usize = 200;

impl TopicNames {
    /// What `topic` is called.
    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        &self.names[topic as usize]
    }

    /// The topic that is called `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.name(*topic) == name)
    }

    /// What Kafka calls the group of a service on these topics: the service's name behind the prefix, so that pipelines whose
    /// prefixes differ share a cluster and nothing else.
    #[must_use]
    pub fn group_id(&self, service: &str) -> String {
        format!("{}{service}", self.prefix)
    }

    /// The default names behind a prefix.
    ///
    /// # Errors
    ///
    /// When a prefix makes names that Kafka does not take.
    pub fn with_prefix(prefix: &str) -> Result<Self, InvalidTopicNames> {
        Self::checked(prefix, Topic::ALL.map(Topic::default_name))
    }

    fn checked(prefix: &str, names: [&str; 6]) -> Result<Self, InvalidTopicNames> {
        let names = Self {
            prefix: prefix.to_owned(),
            names: names.map(|name| format!("{prefix}{name}")),
        };
        for topic in Topic::ALL {
            let name = names.name(topic);
            if !is_topic_name(name) {
                return Err(InvalidTopicNames::Name {
                    topic,
                    name: name.to_owned(),
                });
            }
            match names.topic(name) {
                Some(first) if first != topic => {
                    return Err(InvalidTopicNames::Twice {
                        name: name.to_owned(),
                        first,
                        second: topic,
                    });
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

impl Default for TopicNames {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            names: Topic::ALL.map(|topic| topic.default_name().to_owned()),
        }
    }
}

fn is_topic_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed) && name.bytes().any(|byte| byte != b'.')
}

/// The names as they are configured.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Setting {
    prefix: String,
    orders: Option<String>,
    inventory: Option<String>,
    payments: Option<String>,
    shipments: Option<String>,
    stock: Option<String>,
    users: Option<String>,
}

impl TryFrom<Setting> for TopicNames {
    type Error = InvalidTopicNames;

    fn try_from(setting: Setting) -> Result<Self, Self::Error> {
        let Setting {
            prefix,
            orders,
            inventory,
            payments,
            shipments,
            stock,
            users,
        } = setting;
        let chosen = [orders, inventory, payments, shipments, stock, users];
        let name = |topic: Topic| chosen[topic as usize].as_deref().unwrap_or(topic.default_name());
        Self::checked(&prefix, Topic::ALL.map(name))
    }
}

impl From<TopicNames> for Setting {
    fn from(names: TopicNames) -> Self {
        let TopicNames { prefix, names } = names;
        let [orders, inventory, payments, shipments, stock, users] =
            names.map(|mut name| Some(name.split_off(prefix.len())));
        Self {
            prefix,
            orders,
            inventory,
            payments,
            shipments,
            stock,
            users,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn names_come_from_the_setting() {
        let names: TopicNames = from_value(json!({"prefix": "shop.", "orders": "order-placed"})).expect("sound");
        assert_eq!(names.name(Topic::Orders), "shop.order-placed");
        assert_eq!(names.name(Topic::Stock), "shop.stock");
        assert_eq!(names.topic("shop.order-placed"), Some(Topic::Orders));
        assert_eq!(names.topic("orders"), None);
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(
            from_value::<TopicNames>(json!({})).expect("sound"),
            TopicNames::default()
        );
        assert_eq!(TopicNames::with_prefix("").expect("sound"), TopicNames::default());
        for topic in Topic::ALL {
            assert_eq!(TopicNames::default().name(topic), topic.default_name());
        }
    }

    #[test]
    fn what_is_shown_can_be_configured_again() {
        let names: TopicNames = from_value(json!({"prefix": "shop.", "orders": "order-placed"})).expect("sound");
        let shown = serde_json::to_value(&names).expect("a value");
        assert_eq!(from_value::<TopicNames>(shown).expect("sound"), names);
    }

    #[test]
    fn pipelines_with_prefixes_of_their_own_have_groups_of_their_own() {
        let shop = TopicNames::with_prefix("shop.").expect("sound");
        assert_eq!(shop.group_id("inventory"), "shop.inventory");
        assert_eq!(TopicNames::default().group_id("inventory"), "inventory");
    }

    #[test]
    fn unusable_names_are_refused_by_topic() {
        for (setting, expected) in [
            (
                json!({"orders": "order placed"}),
                "\"order placed\" cannot be a topic's name (orders)",
            ),
            (json!({"orders": ""}), "\"\" cannot be"),
            (json!({"users": ".."}), "\"..\" cannot be a topic's name (users)"),
            (json!({"prefix": "p".repeat(200)}), "cannot be a topic's name (orders)"),
            (
                json!({"orders": "stock"}),
                "\"stock\" is the name of two topics (orders and stock)",
            ),
            (json!({"order": "orders"}), "unknown field `order`"),
        ] {
            let error = from_value::<TopicNames>(setting).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
