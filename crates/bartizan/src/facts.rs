//! `bartizan facts`: what can be observed about a host, and what can't.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::fact::{Name, Unseen};
use bartizan_probe::root::Root;
use bartizan_probe::section;
use serde::Serialize;

use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// Show what can be observed about this host, or one that lies under a folder.
///
/// Each section comes with the digest of its body, and with what could not be seen and why:
/// what is not listed as unknown, and not shown, is not there.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// os, packages, kernel, hardware, units, sockets, processes, accounts, sudoers, sshd, sysctl,
    /// mounts, modules, jobs, certificates, sources; all where none is named.
    #[arg(value_name = "SECTION")]
    sections: Vec<Name>,
    /// The root of the host that is observed.
    #[arg(long, default_value = "/")]
    root: PathBuf,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// One section as it is printed.
#[derive(Debug, Serialize)]
struct Shown {
    /// Of the body's canonical JSON.
    digest: String,
    body: serde_json::Value,
    unknown: Vec<Unseen>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let root = Root::at(&arguments.root).map_err(|error| Failure::new(error.class(), error))?;
    let mut names: BTreeSet<Name> = arguments.sections.into_iter().collect();
    if names.is_empty() {
        names.extend(Name::ALL);
    }
    let mut sections = BTreeMap::new();
    for name in names {
        let section = section::collect(&root, name).map_err(|error| {
            Failure::new(Class::Bug, format_args!("can't print the section {name}: {error}"))
        })?;
        let digest = Digest::of(&section.body).to_string();
        sections.insert(name, Shown { digest, body: section.body.to_json(), unknown: section.unknown });
    }
    Printer::new(arguments.output).print(&sections, rows)?;
    Ok(Answer::Answered)
}

fn rows(sections: &BTreeMap<Name, Shown>) -> Rows {
    let mut rows = Vec::new();
    for (name, shown) in sections {
        let mut facts = Vec::new();
        flatten("", &shown.body, &mut facts);
        facts.extend(
            shown.unknown.iter().map(|unseen| (format!("unknown: {}", unseen.reason), unseen.what.clone())),
        );
        rows.extend(facts.into_iter().map(|(fact, value)| vec![name.to_string(), fact, value]));
    }
    Rows { header: vec!["section", "fact", "value"], rows }
}

/// One row for each value, and for each item of a list.
pub(crate) fn flatten(path: &str, value: &serde_json::Value, facts: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, facts);
            }
        }
        serde_json::Value::Array(items) => {
            facts.extend(items.iter().map(|item| (path.to_owned(), line(item))));
        }
        scalar => facts.push((path.to_owned(), line(scalar))),
    }
}

/// An item in one line: `name=root uid=0`; what is empty is left out, and what is nested stands in braces.
fn line(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(","),
        serde_json::Value::Object(members) => {
            let members = members.iter().map(|(key, value)| match value {
                serde_json::Value::Object(_) => (key, format!("{{{}}}", line(value))),
                _ => (key, line(value)),
            });
            let shown = members.filter(|(_, value)| !value.is_empty());
            shown.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::canonical::Value;

    #[test]
    fn a_list_has_a_row_for_each_item_and_absence_none() {
        let body = r#"{"a":{"b":1,"c":null},"list":[{"name":"x","of":["y","z"],"none":[]},{"name":"w"}]}"#;
        let mut facts = Vec::new();
        flatten("", &Value::parse(body).unwrap().to_json(), &mut facts);
        let facts: Vec<_> = facts.iter().map(|(fact, value)| (fact.as_str(), value.as_str())).collect();
        assert_eq!(facts, [("a.b", "1"), ("list", "name=x of=y,z"), ("list", "name=w")]);
    }
}
