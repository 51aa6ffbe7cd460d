//! Loading rules: each file is read on its own, and what can't be used is named, never dropped.

use bartizan_core::document::{Document, Fault};
use bartizan_core::severity::Severity;
use rsigma_parser::{Level, LogSource, SigmaCollection, parse_sigma_yaml};

use crate::canary::{self, CANARIES_LIMIT, Canary};
use crate::event::Source;

/// The largest file of rules, in bytes.
pub const FILE_BYTES_LIMIT: usize = 1 << 20;

/// The most rules that one detector takes.
pub const RULES_LIMIT: usize = 20_000;

/// Rules and correlations, read and not yet compiled.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) collection: SigmaCollection,
    faults: Vec<Fault>,
    canaries: Vec<Canary>,
}

/// What a rule asks for, to tell whether any asset can feed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The rule's `id`; its title where it has none.
    pub id: String,
    pub title: String,
    pub severity: Severity,
    pub source: Source,
}

/// What people have to know of a rule whose matches are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// What its matches are called: the rule's `id`; its title where it has none.
    pub name: &'a str,
    pub title: &'a str,
    pub severity: Severity,
    /// What was seen when it matches, in its author's words.
    pub description: Option<&'a str>,
    /// What it may match without anything being wrong.
    pub false_positives: &'a [String],
}

/// The kind of document that holds rules.
pub const KIND: &str = "Detection";

/// The `spec` of a `Detection` document: Sigma's own YAML, as text, since Sigma has its own rules
/// for what may stand in it; and what must make its rules match.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sigma: String,
    #[serde(default)]
    canaries: Vec<canary::Written>,
}

impl Rules {
    /// Reads the rules of a `Detection` document into these.
    pub fn read_document(&mut self, document: &Document) -> Result<(), Fault> {
        let written: Written = document.spec_as()?;
        let before = self.faults.len();
        let known = (self.collection.rules.len(), self.collection.correlations.len());
        self.read(&document.name, &written.sigma);
        match self.faults.get(before) {
            Some(fault) => return Err(document.fault("sigma", fault.message.clone())),
            None if self.is_empty() => return Err(document.fault("sigma", "holds no rule")),
            None => {}
        }
        if written.canaries.len() > CANARIES_LIMIT {
            let found = written.canaries.len();
            let message = format!("has {found} canaries; the limit is {CANARIES_LIMIT}: split the document");
            return Err(document.fault("canaries", message));
        }
        match self.take_canaries(written.canaries, known).into_iter().next() {
            Some((key, message)) => Err(document.fault(&key, message)),
            None => Ok(()),
        }
    }

    /// Takes canaries of rules that were read behind those known before; gives the key and fault of each that
    /// is none.
    pub(crate) fn take_canaries(
        &mut self,
        written: Vec<canary::Written>,
        known: (usize, usize),
    ) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (place, canary) in written.into_iter().enumerate() {
            match canary.check(|name| self.called(name, known)) {
                Ok(canary) => self.canaries.push(canary),
                Err((key, message)) if key.is_empty() => faults.push((format!("canaries[{place}]"), message)),
                Err((key, message)) => faults.push((format!("canaries[{place}].{key}"), message)),
            }
        }
        faults
    }

    /// What the matches of a rule are called that has this id or title.
    fn called(&self, name: &str, known: (usize, usize)) -> Option<String> {
        let rules = self.collection.rules.iter().skip(known.0).map(|rule| (&rule.id, &rule.title));
        let correlations = self.collection.correlations.iter().skip(known.1);
        let correlations = correlations.map(|rule| (&rule.id, &rule.title));
        let (id, title) =
            rules.chain(correlations).find(|(id, title)| id.as_deref() == Some(name) || *title == name)?;
        Some(id.clone().unwrap_or_else(|| title.clone()))
    }

    /// The canaries of the documents that were read.
    pub fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// Reads one file of rules; `file` is its name for the faults.
    pub fn read(&mut self, file: &str, text: &str) {
        let fault = |message: String| Fault { file: file.to_owned(), line: 0, message };
        if text.len() > FILE_BYTES_LIMIT {
            let message = format!("has {} bytes; the limit is {FILE_BYTES_LIMIT}: split it", text.len());
            return self.faults.push(fault(message));
        }
        match parse_sigma_yaml(text) {
            Ok(read) => {
                self.faults.extend(read.errors.iter().map(|error| fault(error.clone())));
                self.collection.rules.extend(read.rules);
                self.collection.correlations.extend(read.correlations);
                self.collection.filters.extend(read.filters);
            }
            Err(error) => self.faults.push(fault(error.to_string())),
        }
        if self.len() > RULES_LIMIT {
            self.faults.push(fault(format!("is past the limit of {RULES_LIMIT} rules")));
            self.collection.rules.truncate(RULES_LIMIT);
        }
    }

    /// What could not be read, by file.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many rules and correlations there are.
    pub fn len(&self) -> usize {
        self.collection.rules.len() + self.collection.correlations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each detection rule with the log source it needs.
    pub fn summaries(&self) -> Vec<Summary> {
        let rules = self.collection.rules.iter();
        rules
            .map(|rule| Summary {
                id: rule.id.clone().unwrap_or_else(|| rule.title.clone()),
                title: rule.title.clone(),
                severity: severity(rule.level),
                source: source(&rule.logsource),
            })
            .collect()
    }
}

impl Rules {
    /// What people have to know of each, correlations among them.
    pub fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let rules = self.collection.rules.iter().map(|rule| Told {
            name: rule.id.as_deref().unwrap_or(&rule.title),
            title: &rule.title,
            severity: severity(rule.level),
            description: rule.description.as_deref(),
            false_positives: &rule.falsepositives,
        });
        let correlations = self.collection.correlations.iter().map(|rule| Told {
            name: rule.id.as_deref().unwrap_or(&rule.title),
            title: &rule.title,
            severity: severity(rule.level),
            description: rule.description.as_deref(),
            false_positives: &rule.falsepositives,
        });
        rules.chain(correlations)
    }
}

/// Sigma's level as a severity; a rule without one is informational.
pub(crate) fn severity(level: Option<Level>) -> Severity {
    match level {
        None | Some(Level::Informational) => Severity::None,
        Some(Level::Low) => Severity::Low,
        Some(Level::Medium) => Severity::Medium,
        Some(Level::High) => Severity::High,
        Some(Level::Critical) => Severity::Critical,
    }
}

pub(crate) fn source(logsource: &LogSource) -> Source {
    Source {
        product: logsource.product.clone(),
        category: logsource.category.clone(),
        service: logsource.service.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_gives_its_rules_and_a_broken_one_names_the_place() {
        let rule = "title: t\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n";
        let text =
            |sigma: &str| format!("kind: Detection\nname: d\nspec:\n  sigma: {}\n", serde_json::json!(sigma));
        let document =
            |sigma: &str| bartizan_core::document::parse("d.yaml", &text(sigma)).unwrap().remove(0);
        let mut rules = Rules::default();
        rules.read_document(&document(rule)).unwrap();
        assert_eq!(rules.len(), 1);
        let error = Rules::default().read_document(&document("title: x")).unwrap_err().to_string();
        assert!(error.starts_with("d.yaml:4: `spec.sigma`"), "{error}");
        let error = Rules::default().read_document(&document("")).unwrap_err().to_string();
        assert!(error.contains("spec.sigma"), "{error}");
    }

    #[test]
    fn what_can_not_be_read_is_named_with_its_file_and_the_rest_stands() {
        let mut rules = Rules::default();
        rules.read("bad.yml", "title: x\ndetection: [");
        rules.read("half.yml", "title: no detection\nlogsource: {product: linux}\n");
        rules.read("large.yml", &" ".repeat(FILE_BYTES_LIMIT + 1));
        rules.read(
            "good.yml",
            "title: t\nlogsource: {product: linux}\nlevel: high\ndetection: {s: {a: b}, condition: s}\n",
        );
        let files: Vec<&str> = rules.faults().iter().map(|fault| fault.file.as_str()).collect();
        assert_eq!(files, ["bad.yml", "half.yml", "large.yml"]);
        let [summary] = rules.summaries().try_into().unwrap();
        assert_eq!((summary.id.as_str(), summary.severity), ("t", Severity::High));
        assert_eq!(summary.source.to_string(), "linux");
    }
}
