//! Events, and the log source each comes from.

use std::fmt;

use bartizan_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where an event comes from, in Sigma's three words (Sigma specification, log sources).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// One thing that happened: its fields by name, flat or nested.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub source: Source,
    pub at: Timestamp,
    pub fields: Map<String, Value>,
}

impl Source {
    /// The log source of a Linux service: `sshd`, `sudo`, `auth`, `syslog` …
    pub fn linux_service(service: &str) -> Source {
        Source { product: Some("linux".to_owned()), category: None, service: Some(service.to_owned()) }
    }

    /// The log source of a Linux category: `process_creation`, `file_event` …
    pub fn linux_category(category: &str) -> Source {
        Source { product: Some("linux".to_owned()), category: Some(category.to_owned()), service: None }
    }

    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Source::default()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.product, &self.category, &self.service];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        f.write_str(if words.is_empty() { "any" } else { "" })?;
        f.write_str(&words.join("/"))
    }
}

/// The fields of a Windows event as the rules name them: `System` and `EventData` of the
/// rendered event lie flat beside each other. Any other object stays as it is.
pub fn flatten_windows(event: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(inner)) = event.get("Event") else { return event };
    let mut flat = Map::new();
    for part in ["System", "EventData", "UserData"] {
        let Some(Value::Object(members)) = inner.get(part) else { continue };
        for (name, value) in members {
            let value = match value {
                // `<EventID Qualifiers="…">7</EventID>` and `<Provider Name="…"/>`.
                Value::Object(element) => match (element.get("#text"), element.get("#attributes")) {
                    (Some(text), _) => text.clone(),
                    (None, Some(Value::Object(attributes))) => {
                        for (attribute, value) in attributes {
                            flat.insert(format!("{name}_{attribute}"), value.clone());
                        }
                        continue;
                    }
                    _ => value.clone(),
                },
                other => other.clone(),
            };
            flat.insert(name.clone(), value);
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_windows_event_lies_flat_and_another_stays_as_it_is() {
        let text = r##"{"Event":{"System":{"EventID":{"#attributes":{"Qualifiers":0},"#text":7},
            "Provider":{"#attributes":{"Name":"Sysmon"}}},"EventData":{"Image":"a.exe"}}}"##;
        let flat = flatten_windows(serde_json::from_str(text).unwrap());
        assert_eq!(flat["EventID"], 7);
        assert_eq!(flat["Provider_Name"], "Sysmon");
        assert_eq!(flat["Image"], "a.exe");
        let other: Map<String, Value> = serde_json::from_str(r#"{"Event":"x","a":1}"#).unwrap();
        assert_eq!(flatten_windows(other.clone()), other);
    }
}
