//! Routes: which receivers an alert goes to. A document of kind `Route`.
//!
//! The tree reads as Alertmanager's does: an alert goes down the first child whose matchers
//! hold, and on to the next where that child says `continue`; a node where no child takes it
//! takes it itself. What a child leaves out it has from its parent.

use serde::{Deserialize, Serialize};

use crate::document::{Document, Fault};
use crate::selector::{Labels, Selector};
use crate::time::Duration;

/// How deep a tree of routes may be.
pub const DEPTH_LIMIT: usize = 16;

/// The most addresses of one receiver: more people than that are a list at their mail server.
pub const ADDRESSES_LIMIT: usize = 20;

/// The longest address of a mailbox, in bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
pub const ADDRESS_BYTES_LIMIT: usize = 254;

/// How long the first notification waits for more of the same.
const GROUP_WAIT: Duration = Duration::from_secs(1);
/// How long news of more members waits after a notification.
const GROUP_INTERVAL: Duration = Duration::from_secs(300);
/// After how long an alert that nobody took on is told again.
const REPEAT_INTERVAL: Duration = Duration::from_hours(4);

/// The `spec` of a `Route` document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    pub receivers: Vec<Receiver>,
    pub route: Node,
}

/// Where notifications go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// A URL that takes Alertmanager's webhook shape by POST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: String,
}

/// Addresses that get a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    pub to: Vec<String>,
}

impl Email {
    /// Whether mail to these addresses can be sent; else the place of what is wrong, and why.
    fn check(&self) -> Result<(), (String, &'static str)> {
        if self.to.is_empty() || self.to.len() > ADDRESSES_LIMIT {
            return Err(("to".to_owned(), "names no address, or more than 20: write to a list instead"));
        }
        for (place, address) in self.to.iter().enumerate() {
            let here = || format!("to[{place}]");
            if !is_address(address) {
                return Err((here(), "is no address such as person@example.org"));
            }
            if self.to.iter().take(place).any(|other| other.eq_ignore_ascii_case(address)) {
                return Err((here(), "stands here twice"));
            }
        }
        Ok(())
    }
}

/// Whether a text is the address of a mailbox as `local@domain`: ASCII dot-atoms (RFC 5322, section
/// 3.2.3), so that it can hold nothing that ends a header or a command. Quoted local parts and
/// addresses beyond ASCII are not taken.
pub fn is_address(text: &str) -> bool {
    let atom = |atom: &str, extra: &[u8]| {
        !atom.is_empty() && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= ADDRESS_BYTES_LIMIT
        && local.len() <= 64
        && local.split('.').all(|part| atom(part, b"!#$%&'*+-/=?^_`{|}~"))
        && domain
            .split('.')
            .all(|label| atom(label, b"-") && !label.starts_with('-') && !label.ends_with('-'))
}

/// One node of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    #[serde(default)]
    pub matchers: Selector,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Duration>,
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Node>,
}

/// A receiver that an alert goes to, and its pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub receiver: String,
    pub group_wait: Duration,
    pub group_interval: Duration,
    pub repeat_interval: Duration,
}

impl Routes {
    /// Reads a `Route` document; a fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<Routes, Fault> {
        let routes: Routes = document.spec_as()?;
        for (place, receiver) in routes.receivers.iter().enumerate() {
            let path = format!("receivers[{place}]");
            if receiver.webhook.is_none() && receiver.email.is_none() {
                return Err(document.fault(&path, "reaches nobody: give it `webhook` or `email`"));
            }
            let url = receiver.webhook.as_ref().map(|webhook| webhook.url.as_str());
            if url.is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
                return Err(document.fault(&format!("{path}.webhook.url"), "is no http or https URL"));
            }
            if let Some(email) = &receiver.email {
                email
                    .check()
                    .map_err(|(at, message)| document.fault(&format!("{path}.email.{at}"), message))?;
            }
            if routes.receivers.iter().take(place).any(|other| other.name == receiver.name) {
                return Err(document.fault(&path, format!("`{}` stands here twice", receiver.name)));
            }
        }
        if routes.route.receiver.is_none() {
            return Err(
                document.fault("route", "needs a `receiver`: an alert that no child takes goes there")
            );
        }
        if !routes.route.matchers.matchers().is_empty() {
            return Err(document.fault("route.matchers", "the root takes every alert: move them to a child"));
        }
        check(&routes, &routes.route, "route", 0)
            .map_err(|(path, message)| document.fault(&path, message))?;
        Ok(routes)
    }

    /// Where an alert with these labels goes; never nowhere.
    pub fn destinations(&self, labels: &Labels) -> Vec<Destination> {
        let above = Destination {
            receiver: String::new(),
            group_wait: GROUP_WAIT,
            group_interval: GROUP_INTERVAL,
            repeat_interval: REPEAT_INTERVAL,
        };
        let mut found = Vec::new();
        self.route.collect(labels, &above, &mut found);
        found
    }

    /// The receiver of this name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

fn check(routes: &Routes, node: &Node, path: &str, depth: usize) -> Result<(), (String, String)> {
    if depth > DEPTH_LIMIT {
        return Err((path.to_owned(), format!("lies deeper than {DEPTH_LIMIT} routes")));
    }
    if let Some(name) = node.receiver.as_ref().filter(|name| routes.receiver(name).is_none()) {
        return Err((format!("{path}.receiver"), format!("there is no receiver `{name}` in this document")));
    }
    for (place, child) in node.routes.iter().enumerate() {
        check(routes, child, &format!("{path}.routes[{place}]"), depth + 1)?;
    }
    Ok(())
}

impl Node {
    fn collect(&self, labels: &Labels, above: &Destination, found: &mut Vec<Destination>) {
        let here = Destination {
            receiver: self.receiver.clone().unwrap_or_else(|| above.receiver.clone()),
            group_wait: self.group_wait.unwrap_or(above.group_wait),
            group_interval: self.group_interval.unwrap_or(above.group_interval),
            repeat_interval: self.repeat_interval.unwrap_or(above.repeat_interval),
        };
        let mut taken = false;
        for child in self.routes.iter().filter(|child| child.matchers.matches(labels)) {
            child.collect(labels, &here, found);
            taken = true;
            if !child.goes_on {
                break;
            }
        }
        if !taken && !found.iter().any(|other| other.receiver == here.receiver) {
            found.push(here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
kind: Route
name: main
spec:
  receivers:
    - {name: everyone, webhook: {url: 'https://hooks.example/a'}}
    - {name: web, email: {to: [web@example.org]}}
    - {name: audit, email: {to: [audit@example.org]}}
  route:
    receiver: everyone
    repeat_interval: 1h
    routes:
      - matchers: [severity=~high|critical]
        receiver: audit
        continue: true
      - matchers: [service=web]
        receiver: web
        group_wait: 30s
";

    fn routes(text: &str) -> Result<Routes, Fault> {
        Routes::from_document(&crate::document::parse("r.yaml", text).unwrap()[0])
    }

    fn receivers(pairs: &[(&str, &str)]) -> Vec<String> {
        let labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = routes(TREE).unwrap().destinations(&labels);
        found.into_iter().map(|destination| destination.receiver).collect()
    }

    #[test]
    fn an_alert_goes_down_the_first_child_that_holds_and_on_where_it_says_so() {
        assert_eq!(receivers(&[("service", "db")]), ["everyone"]);
        assert_eq!(receivers(&[("service", "web")]), ["web"]);
        assert_eq!(receivers(&[("service", "web"), ("severity", "high")]), ["audit", "web"]);
        assert_eq!(receivers(&[("severity", "critical")]), ["audit"]);
    }

    #[test]
    fn a_child_has_its_pace_from_its_parent() {
        let web = Labels::from([("service".to_owned(), "web".to_owned())]);
        let found = routes(TREE).unwrap().destinations(&web);
        assert_eq!(found[0].repeat_interval, Duration::from_hours(1));
        assert_eq!(found[0].group_wait, Duration::from_secs(30));
    }

    #[test]
    fn an_address_that_could_end_a_header_or_a_command_is_refused() {
        for good in ["a@b", "ada.lovelace+pager@ops.example.org", "o'neil@example.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            "a@b\r\nRCPT TO:<x@y>",
            "<a@b>",
            "a@b>",
            "a@b,c@d",
            "a..b@c",
            "a@-b",
            "a@b.",
            "\"a\"@b",
            "ä@b",
            "a@[127.0.0.1]",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
        assert!(!is_address(&format!("{}@example.org", "a".repeat(65))));
    }

    #[test]
    fn a_tree_that_would_reach_nobody_is_refused_with_its_line() {
        let table = [
            (TREE.replace("receiver: web\n", "receiver: wbe\n"), "r.yaml:16: "),
            (TREE.replace("    receiver: everyone\n", ""), "r.yaml:8: "),
            (TREE.replace(", webhook: {url: 'https://hooks.example/a'}", ""), "r.yaml:5: "),
            (TREE.replace("https://hooks", "ftp://hooks"), "r.yaml:5: "),
            (TREE.replace("name: audit", "name: web"), "r.yaml:7: "),
            (TREE.replace("to: [web@example.org]", "to: []"), "r.yaml:6: "),
            (TREE.replace("[audit@example.org]", "[audit@example.org, Audit@example.org]"), "r.yaml:7: "),
            (TREE.replace("[audit@example.org]", "['a@b\\r']"), "r.yaml:7: "),
        ];
        for (text, place) in table {
            let fault = routes(&text).unwrap_err().to_string();
            assert!(fault.starts_with(place), "{fault}\nexpected {place}");
        }
    }
}
