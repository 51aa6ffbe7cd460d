//! Baselines: the required configuration of a class of assets. A document of kind `Baseline`.
//!
//! A rule says what must hold (`check`, a tree of tests), why, how grave it is to miss it and how
//! to mend it, and proves itself with examples. `${name}` inside a check stands for a variable of
//! the document; a profile may give it another value. Every check is read once, when the document
//! is, with the values of each profile put in: what [`super::evaluate`] runs can't be malformed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::document::{Document, Fault};
use crate::severity::Severity;

mod check;
mod example;
mod fix;
mod variable;

pub use check::{
    Check, Condition, FileTest, Format, Kind, LineTest, ModuleTest, PackageTest, Pattern, Scalar, Selection,
    SettingTest, SshdTest, SudoersDefaultTest, SysctlSource, SysctlTest, UnitTest,
};
pub use example::{
    Described, Example, ExampleFile, ExampleMount, ExampleProtocol, ExampleSocket, ExampleUnit, Examples,
};
pub use fix::Fix;

/// The `kind` of these documents.
pub const KIND: &str = "Baseline";

/// The most rules in one baseline: the largest published benchmarks have some 600.
pub const RULES_LIMIT: usize = 5_000;

/// A baseline that was read and found sound.
#[derive(Clone, Debug)]
pub struct Baseline {
    pub name: String,
    /// The document's digest: verdicts name it.
    pub digest: Digest,
    pub title: String,
    pub profiles: BTreeMap<String, Profile>,
    pub rules: Vec<Rule>,
    /// By profile, the checks with its values; the document's own defaults under the empty name.
    prepared: BTreeMap<String, Vec<Prepared>>,
}

/// A rule's checks with the values of every variable put in.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) applicable: Option<Check>,
    pub(super) check: Check,
    pub(super) digest: Digest,
}

/// The `spec` of a `Baseline` document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    title: String,
    /// What it is for, in a few sentences.
    #[serde(default)]
    description: String,
    /// Values that checks name as `${name}`.
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
    rules: Vec<Rule>,
}

/// A value that a site may want another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it sets.
    pub description: String,
    /// Its value where no profile gives another: text, a whole number, a truth value, or a list of them.
    #[schemars(with = "serde_json::Value")]
    pub default: Value,
}

/// A selection of rules under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub title: String,
    /// Values that differ from the document's defaults.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub variables: BTreeMap<String, Value>,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique in the document, and part of each finding's key: never renamed.
    pub id: String,
    pub title: String,
    /// What an attacker or an accident gains where it is not met.
    pub rationale: String,
    #[schemars(with = "String", extend("enum" = ["none", "low", "medium", "high", "critical"]))]
    pub severity: Severity,
    #[serde(default)]
    pub references: References,
    /// The profiles that hold it; every profile where none is named.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Where this does not hold, the rule asks nothing.
    #[serde(default)]
    #[schemars(with = "Option<Check>")]
    pub applicable: Option<Value>,
    /// What must hold.
    #[schemars(with = "Check")]
    pub check: Value,
    /// How a person mends it.
    pub remediation: String,
    /// How an agent that may enforce mends it.
    #[serde(default)]
    pub fix: Option<Fix>,
    #[serde(default)]
    pub examples: Examples,
}

/// Controls elsewhere that the rule serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// Recommendation numbers of the CIS benchmark for the system: `5.2.7`.
    #[serde(default)]
    pub cis: Vec<String>,
    /// Controls of NIST SP 800-53 revision 5: `AC-6(2)`.
    #[serde(default)]
    pub nist: Vec<String>,
}

/// The whole document as people write it: only its schema is asked for.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Baseline")]
#[expect(dead_code, reason = "the schema is made from its shape")]
struct Written {
    #[schemars(extend("const" = "Baseline"))]
    kind: String,
    name: String,
    owner: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Matchers over labels that must all hold: `environment=prod`.
    #[serde(default)]
    scope: Vec<String>,
    spec: Spec,
}

/// The JSON Schema (2020-12) of a `Baseline` document.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Written).to_value()
}

impl Baseline {
    /// Reads a `Baseline` document; each fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<Baseline, Vec<Fault>> {
        if document.kind != KIND {
            let message = format!("is a {}, not a {KIND}", document.kind);
            return Err(vec![document.fault("", message)]);
        }
        let spec: Spec = document.spec_as().map_err(|fault| vec![fault])?;
        if spec.rules.len() > RULES_LIMIT {
            let message = format!("has {} rules; the limit is {RULES_LIMIT}", spec.rules.len());
            return Err(vec![document.fault("rules", message)]);
        }
        let mut faults = names(&spec);
        let mut used = BTreeSet::new();
        let mut prepared = BTreeMap::new();
        let defaults: BTreeMap<String, Value> =
            spec.variables.iter().map(|(name, variable)| (name.clone(), variable.default.clone())).collect();
        let own = [(String::new(), defaults.clone())];
        let profiles = spec.profiles.iter().map(|(name, profile)| {
            let mut values = defaults.clone();
            values.extend(profile.variables.clone());
            (name.clone(), values)
        });
        for (name, values) in own.into_iter().chain(profiles) {
            let mut rules = Vec::with_capacity(spec.rules.len());
            for (place, rule) in spec.rules.iter().enumerate() {
                match prepare(rule, &values, &mut used) {
                    Ok(ready) => rules.push(ready),
                    Err(problems) => {
                        let at = |(path, message)| (format!("rules[{place}].{path}"), message);
                        faults.extend(problems.into_iter().map(at));
                    }
                }
            }
            prepared.insert(name, rules);
        }
        let unused = spec.variables.keys().filter(|name| !used.contains(*name));
        faults.extend(unused.map(|name| (format!("variables.{name}"), "no check names it".to_owned())));
        // A profile that changes no value meets the same faults again.
        faults.sort();
        faults.dedup();
        if !faults.is_empty() {
            return Err(faults.into_iter().map(|(path, message)| document.fault(&path, message)).collect());
        }
        Ok(Baseline {
            name: document.name.clone(),
            digest: document.digest,
            title: spec.title,
            profiles: spec.profiles,
            rules: spec.rules,
            prepared,
        })
    }

    /// The rules with their checks under this profile's values; none where there is no such profile.
    pub(super) fn prepared(&self, profile: Option<&str>) -> Option<impl Iterator<Item = (&Rule, &Prepared)>> {
        let prepared = self.prepared.get(profile.unwrap_or_default())?;
        Some(self.rules.iter().zip(prepared))
    }
}

impl Baseline {
    /// Each rule with the digest of its condition and check under the document's own values: what an
    /// agent's verdicts name.
    pub fn checks(&self) -> impl Iterator<Item = (&Rule, Digest)> {
        let prepared = self.prepared(None).into_iter().flatten();
        prepared.map(|(rule, prepared)| (rule, prepared.digest))
    }
}

impl Rule {
    /// Whether the profile holds this rule; without a profile every rule is asked.
    pub fn is_in(&self, profile: Option<&str>) -> bool {
        profile.is_none_or(|name| self.profiles.is_empty() || self.profiles.iter().any(|own| own == name))
    }
}

type Problem = (String, String);

/// Faults of what is named: identifiers, profiles, values.
fn names(spec: &Spec) -> Vec<Problem> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for (place, rule) in spec.rules.iter().enumerate() {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if rule.id.is_empty() || !rule.id.chars().all(good) {
            let message = "write small letters, digits, `-`, `_` and `.`".to_owned();
            faults.push((format!("rules[{place}].id"), message));
        }
        if !ids.insert(&rule.id) {
            faults.push((format!("rules[{place}].id"), format!("`{}` stands here twice", rule.id)));
        }
        for (n, profile) in rule.profiles.iter().enumerate() {
            if !spec.profiles.contains_key(profile) {
                let message = format!("there is no profile `{profile}` in this document");
                faults.push((format!("rules[{place}].profiles[{n}]"), message));
            }
        }
    }
    for (name, variable) in &spec.variables {
        if !variable::is_plain(&variable.default) {
            faults.push((format!("variables.{name}.default"), variable::NOT_PLAIN.to_owned()));
        }
    }
    for (profile, spec_profile) in &spec.profiles {
        if profile.is_empty() {
            faults.push(("profiles".to_owned(), "a profile needs a name".to_owned()));
        }
        for (name, value) in &spec_profile.variables {
            let path = format!("profiles.{profile}.variables.{name}");
            if !spec.variables.contains_key(name) {
                faults.push((path, format!("there is no variable `{name}` in this document")));
            } else if !variable::is_plain(value) {
                faults.push((path, variable::NOT_PLAIN.to_owned()));
            }
        }
    }
    faults
}

fn prepare(
    rule: &Rule,
    values: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
) -> Result<Prepared, Vec<Problem>> {
    let mut read = |key: &str, written: &Value| -> Result<(Value, Check), Vec<Problem>> {
        let at = |path: String| if path.is_empty() { key.to_owned() } else { format!("{key}.{path}") };
        let value = variable::put_in(written, values, used)
            .map_err(|(path, message)| vec![(format!("{key}{path}"), message)])?;
        let check: Check = value.to_data().map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            vec![(at(path), error.into_inner().to_string())]
        })?;
        let problems = check.problems();
        if problems.is_empty() {
            return Ok((value, check));
        }
        Err(problems.into_iter().map(|(path, message)| (at(path), message)).collect())
    };
    let (value, check) = read("check", &rule.check)?;
    let applicable = rule.applicable.as_ref().map(|written| read("applicable", written)).transpose()?;
    let (condition, applicable) = applicable.unzip();
    let digest = Digest::derived("check", [condition.unwrap_or_default(), value]);
    Ok(Prepared { applicable, check, digest })
}

#[cfg(test)]
mod tests;
