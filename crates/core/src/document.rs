//! Policy documents: what people write, read with the place of every value kept.
//!
//! YAML 1.2 core schema, one or many documents a file: `kind`, `name` (unique within its
//! kind), `owner`, `labels`, `scope` (a selector), `spec`. Unknown keys, duplicate keys and
//! floats are errors that name file and line. A document's digest is over the value as
//! written: aliases expanded, comments gone, no defaults filled in.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::selector::{Labels, Selector};

mod yaml;

/// The largest file of documents, in bytes: far above any that people write.
pub const FILE_BYTES_LIMIT: usize = 8 << 20;

/// The most documents in one file.
pub const DOCUMENTS_LIMIT: usize = 10_000;

/// One document, its envelope read and its `spec` still as written.
#[derive(Clone, Debug)]
pub struct Document {
    pub kind: String,
    pub name: String,
    pub owner: Option<String>,
    pub labels: Labels,
    pub scope: Selector,
    pub spec: Value,
    /// The whole document as written; the digest is over it.
    pub written: Value,
    pub digest: Digest,
    source: Source,
}

/// Where a document stands, and where each of its values does.
#[derive(Clone, Debug, Default)]
struct Source {
    file: String,
    line: u64,
    places: BTreeMap<String, u64>,
}

/// One fault in a file of documents: where it is, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    pub file: String,
    /// Counted from 1; 0 where the fault is the whole file's.
    pub line: u64,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    kind: String,
    name: String,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    scope: Selector,
    spec: Value,
}

/// Reads all documents of one file; `file` is its name for the faults.
///
/// Either every document is good, or every fault that could be found is returned.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, Vec<Fault>> {
    let fault = |line, message: String| Fault { file: file.to_owned(), line, message };
    if text.len() > FILE_BYTES_LIMIT {
        let message = format!("has {} bytes; the limit is {FILE_BYTES_LIMIT}: split it", text.len());
        return Err(vec![fault(0, message)]);
    }
    let trees = yaml::parse(text).map_err(|error| vec![fault(error.line, error.message)])?;
    if trees.len() > DOCUMENTS_LIMIT {
        let message = format!("has {} documents; the limit is {DOCUMENTS_LIMIT}: split it", trees.len());
        return Err(vec![fault(0, message)]);
    }
    let mut documents = Vec::with_capacity(trees.len());
    let mut faults = Vec::new();
    for tree in trees {
        match read(file, &tree) {
            Ok(document) => documents.push(document),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(faults) }
}

fn read(file: &str, tree: &yaml::Tree) -> Result<Document, Fault> {
    let mut places = BTreeMap::new();
    let written = tree.to_value(&mut String::new(), &mut places).map_err(|error| Fault {
        file: file.to_owned(),
        line: error.line,
        message: error.message,
    })?;
    let source = Source { file: file.to_owned(), line: tree.line(), places };
    let envelope: Envelope = source.decode("", &written)?;
    if envelope.name.trim().is_empty() {
        return Err(source.fault("name", "is empty: give the document a name".to_owned()));
    }
    Ok(Document {
        kind: envelope.kind,
        name: envelope.name,
        owner: envelope.owner,
        labels: envelope.labels,
        scope: envelope.scope,
        spec: envelope.spec,
        digest: Digest::of(&written),
        written,
        source,
    })
}

impl Document {
    /// Reads a document back from the value it was written as (out of a store or a message).
    pub fn from_value(origin: &str, written: Value) -> Result<Document, Fault> {
        let source = Source { file: origin.to_owned(), ..Source::default() };
        let envelope: Envelope = source.decode("", &written)?;
        Ok(Document {
            kind: envelope.kind,
            name: envelope.name,
            owner: envelope.owner,
            labels: envelope.labels,
            scope: envelope.scope,
            spec: envelope.spec,
            digest: Digest::of(&written),
            written,
            source,
        })
    }

    /// The `spec` as its kind's type; the fault names the line of the key at fault.
    pub fn spec_as<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        self.source.decode("spec", &self.spec)
    }

    /// A fault found by somebody who judged the meaning, at `path` below `spec` (like `rules[3].check`).
    pub fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        self.source.fault(&join("spec", path), message.into())
    }

    /// The file's name and the line on which the document starts.
    pub fn place(&self) -> (&str, u64) {
        (&self.source.file, self.source.line)
    }
}

impl Source {
    fn decode<T: DeserializeOwned>(&self, under: &str, value: &Value) -> Result<T, Fault> {
        value.to_data().map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            self.fault(&join(under, &path), error.into_inner().to_string())
        })
    }

    /// A fault at the nearest known place at or above `path`.
    fn fault(&self, path: &str, message: String) -> Fault {
        let mut known = path;
        let line = loop {
            if let Some(line) = self.places.get(known) {
                break *line;
            }
            match known.rfind(['.', '[']) {
                Some(end) => known = known.get(..end).unwrap_or_default(),
                None => break self.line,
            }
        };
        let message = if path.is_empty() { message } else { format!("`{path}`: {message}") };
        Fault { file: self.file.clone(), line, message }
    }
}

fn join(under: &str, path: &str) -> String {
    match (under.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => under.to_owned(),
        _ if path.starts_with('[') => format!("{under}{path}"),
        _ => format!("{under}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters here")]
    struct Rule {
        id: String,
        every: crate::time::Duration,
    }

    const GOOD: &str = "\
# a comment
kind: Baseline
name: ssh
labels: {team: &t web}
scope: [service=web]
spec:
  rules:
    - id: one
      every: 24h
    - id: *t
      every: 5m
";

    fn only_fault(text: &str) -> String {
        let faults = match parse("b.yaml", text) {
            Err(faults) => faults,
            Ok(documents) => vec![documents[0].spec_as::<Spec>().unwrap_err()],
        };
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].to_string()
    }

    #[test]
    fn a_document_is_read_with_its_aliases_expanded() {
        let documents = parse("b.yaml", GOOD).unwrap();
        let spec: Spec = documents[0].spec_as().unwrap();
        assert_eq!(spec.rules[1].id, "web");
        assert_eq!(documents[0].scope.to_string(), "service=web");
    }

    #[test]
    fn comments_and_layout_leave_the_digest_alone_and_content_does_not() {
        let digest = |text: &str| parse("b.yaml", text).unwrap()[0].digest;
        let relaid = GOOD.replace("# a comment\n", "").replace("{team: &t web}", "\n  team: &t \"web\"");
        assert_eq!(digest(GOOD), digest(&relaid));
        assert_ne!(digest(GOOD), digest(&GOOD.replace("5m", "6m")));
    }

    #[test]
    fn a_fault_names_file_line_and_key() {
        let table = [
            (GOOD.replace("every: 5m", "evry: 5m"), "b.yaml:11: `spec.rules[1].evry`: unknown field `evry`"),
            (GOOD.replace("24h", "24"), "b.yaml:9: `spec.rules[0].every`: invalid type: integer"),
            (GOOD.replace("24h", "1.5"), "b.yaml:9: "),
            (GOOD.replace("kind:", "kynd:"), "b.yaml:2: `kynd`: unknown field `kynd`"),
            (GOOD.replace("service=web", "service"), "b.yaml:5: `scope[0]`: `service` is not a matcher"),
            (GOOD.replace("name: ssh", "name: ssh\nname: x"), "b.yaml:4: "),
            (GOOD.replace("  rules:", " \trules: ["), "b.yaml:"),
        ];
        for (text, expected) in table {
            let fault = only_fault(&text);
            assert!(fault.starts_with(expected), "{fault}\nexpected {expected}");
        }
    }

    #[test]
    fn words_of_yaml_1_1_stay_words() {
        let text = "kind: K\nname: n\nspec: {a: yes, b: off, c: true, d: 012, e: 1_000}\n";
        let spec = parse("k", text).unwrap()[0].spec.clone();
        assert_eq!(spec.get("a"), Some(&Value::from("yes")));
        assert_eq!(spec.get("b"), Some(&Value::from("off")));
        assert_eq!(spec.get("c"), Some(&Value::from(true)));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("kind: K\nname: n\nspec:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..10 {
            let p = n - 1;
            text += &format!("  a{n}: &a{n} [*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p}]\n");
        }
        assert!(parse("bomb.yaml", &text).is_err());
    }

    #[test]
    fn every_document_of_a_file_is_read_and_each_fault_reported() {
        let two = format!("{GOOD}---\n{GOOD}");
        assert_eq!(parse("b.yaml", &two).unwrap().len(), 2);
        let both_bad = two.replace("kind:", "kynd:");
        assert_eq!(parse("b.yaml", &both_bad).unwrap_err().len(), 2);
    }
}
