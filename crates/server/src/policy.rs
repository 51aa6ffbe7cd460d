//! Policies: which documents apply to an asset, kept in memory until documents are applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::asset::Asset;
use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::{self, Baseline, Fix};
use bartizan_core::configuration::drift;
use bartizan_core::configuration::drift::watch::{self, Watch, Watches};
use bartizan_core::configuration::enforcement::{self, Enforcement};
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::monitoring::health::{Health, Threshold};
use bartizan_core::monitoring::route::Routes;
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::posture::AssetNumber;
use bartizan_core::selector::{Labels, Selector};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::vulnerability::response::{self, Response};
use bartizan_detect::rules;
use bartizan_store::{Error, Store};

use crate::ambient::Ambient;

/// The kinds of documents that agents judge by.
pub const AGENT_KINDS: [&str; 4] = ["Baseline", "Health", "Detection", watch::KIND];

/// How long an environment's documents are believed, since another replica may apply some.
const BELIEVED_FOR: Duration = Duration::from_secs(2);

/// The most sets of documents of one environment whose policies are kept: hosts of one label have one.
const POLICIES_LIMIT: usize = 1_000;

/// The documents of all environments, and what follows from them.
#[derive(Clone, Debug)]
pub struct Policies {
    store: Store,
    ambient: Ambient,
    environments: Arc<RwLock<BTreeMap<String, Read>>>,
    explained: Arc<RwLock<Option<Explained>>>,
}

/// What people accounted for, and when it was read.
#[derive(Clone, Debug)]
struct Explained {
    at: Timestamp,
    by_asset: Arc<BTreeMap<AssetNumber, Vec<drift::Explained>>>,
}

/// An environment, and when its documents were last seen to be as they were.
#[derive(Clone, Debug)]
struct Read {
    at: Timestamp,
    environment: Arc<Environment>,
}

/// One environment's documents, read and put together once for as long as none of them changes.
#[derive(Debug)]
pub struct Environment {
    etag: Digest,
    /// Those that agents judge by.
    documents: Vec<Arc<Document>>,
    /// Every rule of every baseline.
    rules: Arc<Rules>,
    /// What each document's signals are called, by its place among the documents.
    signals: BTreeMap<usize, Vec<Named>>,
    /// What applies to an asset, by which of the documents that is.
    policies: RwLock<BTreeMap<Vec<usize>, Arc<Policy>>>,
    /// Which rules' fixes are to be made, and on whom.
    pub enforcements: Vec<Enforced>,
    /// By when findings have to be gone, and on whom.
    responses: Vec<(Selector, Response)>,
    /// Where alerts go, by the routes' names; a route that can't be read says why.
    pub(crate) routes: Vec<(String, Result<Routes, String>)>,
}

/// An `Enforcement` document, and the assets that it is about.
#[derive(Clone, Debug)]
pub struct Enforced {
    pub scope: Selector,
    pub enforcement: Enforcement,
}

/// What people have to know of a rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub title: String,
    pub severity: Severity,
    pub rationale: String,
    pub remediation: String,
    /// How an agent mends it that may.
    pub fix: Option<Fix>,
    /// The digest of the baseline's document.
    pub document: Digest,
    /// Over its condition and check: a verdict that names another digest is on another rule.
    pub check: Digest,
}

/// What the signals of a detection or threshold are called, and what people have to know of it.
#[derive(Clone, Debug)]
struct Named {
    kind: Kind,
    name: String,
    severity: Severity,
    title: String,
    description: Option<String>,
    false_positives: Vec<String>,
}

/// The rule behind an alert: the document that it stands in, and what that says to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The kind of the document.
    pub kind: String,
    /// The document's name.
    pub document: String,
    /// The rule's name in its document.
    pub rule: String,
    pub title: String,
    /// What was seen, or why it matters; none where the document does not say.
    pub description: Option<String>,
    /// What to do about it; none where the document does not say.
    pub remediation: Option<String>,
    /// What the rule may match without anything being wrong.
    pub false_positives: Vec<String>,
}

/// What applies to one asset.
#[derive(Debug)]
pub struct Policy {
    pub etag: Digest,
    pub documents: Vec<Arc<Document>>,
    /// The names of the baselines among them.
    baselines: BTreeSet<String>,
    rules: Arc<Rules>,
    /// What its detections and thresholds are called, each with its severity.
    signals: BTreeMap<(Kind, String), Severity>,
}

/// Rules by baseline, and by their own name in it.
type Rules = BTreeMap<String, BTreeMap<String, Rule>>;

fn enforced(document: &Document) -> Option<Enforced> {
    match Enforcement::from_document(document) {
        Ok(enforcement) => Some(Enforced { scope: document.scope.clone(), enforcement }),
        // It was good when it was applied: a newer program wrote it.
        Err(fault) => {
            tracing::error!(document.name = document.name, %fault, "can't read an enforcement");
            None
        }
    }
}

impl Policies {
    /// No documents yet: they are read when they are asked for.
    pub fn new(store: Store, ambient: Ambient) -> Self {
        Self { store, ambient, environments: Arc::default(), explained: Arc::default() }
    }

    /// An environment's documents, as they stood at most a moment ago.
    pub async fn environment(&self, name: &str) -> Result<Arc<Environment>, Error> {
        let now = self.ambient.now();
        let held = self.environments.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match held.filter(|held| now.since(held.at) < BELIEVED_FOR) {
            Some(held) => Ok(held.environment),
            None => self.look(name).await,
        }
    }

    /// An environment's documents, as the store has them now.
    async fn look(&self, name: &str) -> Result<Arc<Environment>, Error> {
        let now = self.ambient.now();
        let held = self.environments.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let etag = self.store.documents_etag(name).await?;
        let environment = match held {
            Some(held) if held.environment.etag == etag => held.environment,
            _ => Arc::new(self.read(name, etag).await?),
        };
        let fresh = Read { at: now, environment: Arc::clone(&environment) };
        let mut all = self.environments.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), fresh);
        Ok(environment)
    }

    async fn read(&self, name: &str, etag: Digest) -> Result<Environment, Error> {
        let applied = self.store.documents(name).await?;
        let all: Vec<Document> = applied.into_iter().map(|applied| applied.document).collect();
        let enforcements = all.iter().filter(|document| document.kind == enforcement::KIND);
        let enforcements = enforcements.filter_map(enforced).collect();
        let responses = all.iter().filter(|document| document.kind == response::KIND);
        let responses = responses.filter_map(responding).collect();
        let routes = all.iter().filter(|document| document.kind == "Route").map(route).collect();
        let ours = |document: &Document| AGENT_KINDS.contains(&document.kind.as_str());
        let documents: Vec<Arc<Document>> = all.into_iter().filter(ours).map(Arc::new).collect();
        let mut rules = Rules::new();
        for document in documents.iter().filter(|document| document.kind == "Baseline") {
            match Baseline::from_document(document) {
                Ok(baseline) => {
                    let of = rules.entry(document.name.clone()).or_default();
                    for (rule, check) in baseline.checks() {
                        let told = Rule {
                            title: rule.title.clone(),
                            severity: rule.severity,
                            rationale: rule.rationale.clone(),
                            remediation: rule.remediation.clone(),
                            fix: rule.fix.clone(),
                            document: document.digest,
                            check,
                        };
                        of.insert(rule.id.clone(), told);
                    }
                }
                // It was good when it was applied: a newer program wrote it.
                Err(faults) => {
                    tracing::error!(document.name = document.name, faults = ?faults, "can't read a baseline")
                }
            }
        }
        let named = documents.iter().enumerate().map(|(place, document)| (place, signals(document)));
        let signals = named.filter(|(_, signals)| !signals.is_empty()).collect();
        let (rules, policies) = (Arc::new(rules), RwLock::default());
        Ok(Environment { etag, documents, rules, signals, policies, enforcements, responses, routes })
    }

    /// What people have to know of a rule, in the words of the highest environment that has it with one
    /// of these checks; where none has, in those of the highest that has it at all.
    pub async fn rule(&self, baseline: &str, rule: &str, checks: &[Digest]) -> Result<Option<Rule>, Error> {
        let ladder = self.store.ladder().await?;
        let height = |name: &str| ladder.rungs().iter().position(|rung| rung.name == name);
        let mut environments = self.store.environments().await?;
        environments.sort_by_key(|name| std::cmp::Reverse(height(name)));
        let mut highest = None;
        for name in environments {
            let environment = self.environment(&name).await?;
            let Some(found) = environment.rule(baseline, rule) else { continue };
            if checks.contains(&found.check) {
                return Ok(Some(found.clone()));
            }
            highest.get_or_insert_with(|| found.clone());
        }
        Ok(highest)
    }

    /// Forgets what was read: documents were applied here.
    pub fn changed(&self) {
        self.environments.write().unwrap_or_else(PoisonError::into_inner).clear();
        *self.explained.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What people accounted for on an asset, as it stood at most a moment ago.
    pub async fn explained(&self, number: AssetNumber) -> Result<Vec<drift::Explained>, Error> {
        let now = self.ambient.now();
        let held = self.explained.read().unwrap_or_else(PoisonError::into_inner).clone();
        let by_asset = match held.filter(|held| now.since(held.at) < BELIEVED_FOR) {
            Some(held) => held.by_asset,
            None => {
                let mut all: BTreeMap<AssetNumber, Vec<drift::Explained>> = BTreeMap::new();
                for explanation in self.store.explanations().await? {
                    all.entry(explanation.number).or_default().push(explanation.explained);
                }
                let by_asset = Arc::new(all);
                let read = Explained { at: now, by_asset: Arc::clone(&by_asset) };
                *self.explained.write().unwrap_or_else(PoisonError::into_inner) = Some(read);
                by_asset
            }
        };
        Ok(by_asset.get(&number).cloned().unwrap_or_default())
    }

    /// The documents that apply to an asset.
    pub async fn policy(&self, asset: &Asset) -> Result<Arc<Policy>, Error> {
        let environment = self.environment(&asset.environment).await?;
        let labels = asset.labels();
        Ok(environment.policy(&labels))
    }

    /// What an agent may tell of this asset. Where that does not hold what it told (`holds`), the store
    /// is asked once more: another replica may have applied what the agent judges by.
    pub async fn applying(
        &self,
        asset: &Asset,
        holds: impl Fn(&Policy) -> bool,
    ) -> Result<Arc<Policy>, Error> {
        let known = self.policy(asset).await?;
        if holds(&known) {
            return Ok(known);
        }
        Ok(self.look(&asset.environment).await?.policy(&asset.labels()))
    }
}

fn responding(document: &Document) -> Option<(Selector, Response)> {
    match Response::from_document(document) {
        Ok(response) => Some((document.scope.clone(), response)),
        // It was good when it was applied: a newer program wrote it.
        Err(fault) => {
            tracing::error!(document.name = document.name, %fault, "can't read by when findings have to be gone");
            None
        }
    }
}

/// A route's name, and what it says or why it can't be read: it was good when it was applied, so a newer
/// program wrote it.
fn route(document: &Document) -> (String, Result<Routes, String>) {
    let read = Routes::from_document(document).map_err(|fault| fault.to_string());
    if let Err(problem) = &read {
        tracing::error!(document.name = document.name, problem, "can't read a route: it tells nobody");
    }
    (document.name.clone(), read)
}

impl Environment {
    /// The routes that can be read, by name.
    pub fn routes(&self) -> impl Iterator<Item = &Routes> {
        self.routes.iter().filter_map(|(_, read)| read.as_ref().ok())
    }

    /// The digest over all documents.
    pub const fn etag(&self) -> Digest {
        self.etag
    }

    /// What people have to know of a rule.
    pub fn rule(&self, baseline: &str, rule: &str) -> Option<&Rule> {
        self.rules.get(baseline)?.get(rule)
    }

    /// By when findings have to be gone on an asset with these labels.
    pub fn responses(&self, labels: &Labels) -> Vec<&Response> {
        let ours = self.responses.iter().filter(|(scope, _)| scope.matches(labels));
        ours.map(|(_, response)| response).collect()
    }

    /// The rule that signals of this kind and subject come from; none where no document of here has it.
    pub fn origin(&self, kind: Kind, subject: &str) -> Option<Origin> {
        if kind == Kind::Deviation {
            let (document, rule) = subject.split_once('/')?;
            let told = self.rule(document, rule)?;
            return Some(Origin {
                kind: baseline::KIND.to_owned(),
                document: document.to_owned(),
                rule: rule.to_owned(),
                title: told.title.clone(),
                description: Some(told.rationale.clone()),
                remediation: Some(told.remediation.clone()),
                false_positives: Vec::new(),
            });
        }
        let mut all =
            self.signals.iter().flat_map(|(place, all)| all.iter().map(move |named| (place, named)));
        let (place, named) = all.find(|(_, named)| named.kind == kind && named.name == subject)?;
        let document = self.documents.get(*place)?;
        Some(Origin {
            kind: document.kind.clone(),
            document: document.name.clone(),
            rule: named.name.clone(),
            title: named.title.clone(),
            description: named.description.clone(),
            remediation: None,
            false_positives: named.false_positives.clone(),
        })
    }

    /// What the documents come to that apply to an asset with these labels.
    fn policy(&self, labels: &Labels) -> Arc<Policy> {
        let all = self.documents.iter().enumerate();
        let apply: Vec<usize> =
            all.filter(|(_, document)| document.scope.matches(labels)).map(|(place, _)| place).collect();
        let held = self.policies.read().unwrap_or_else(PoisonError::into_inner).get(&apply).cloned();
        if let Some(held) = held {
            return held;
        }
        let documents: Vec<Arc<Document>> =
            apply.iter().filter_map(|place| self.documents.get(*place)).map(Arc::clone).collect();
        let digests = documents.iter().map(|document| Value::from(document.digest.to_string()));
        let etag = Digest::derived("policy", digests);
        let baselines = documents.iter().filter(|document| document.kind == "Baseline");
        let baselines = baselines.map(|document| document.name.clone()).collect();
        let named = apply.iter().filter_map(|place| self.signals.get(place)).flatten();
        let signals = named.map(|named| ((named.kind, named.name.clone()), named.severity)).collect();
        let rules = Arc::clone(&self.rules);
        let policy = Arc::new(Policy { etag, documents, baselines, rules, signals });
        let mut all = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= POLICIES_LIMIT {
            all.clear();
        }
        all.insert(apply, Arc::clone(&policy));
        policy
    }
}

impl Policy {
    /// The digest over what an agent is given: the documents, and what people accounted for on its asset.
    pub fn etag_with(&self, explained: &[drift::Explained]) -> Digest {
        if explained.is_empty() {
            return self.etag;
        }
        let part = |one: &drift::Explained| {
            let after = one.after.as_deref().map_or(Value::Null, Value::from);
            [Value::from(one.object.as_str()), after, Value::Integer(one.at.as_millis())]
        };
        let etag = std::iter::once(Value::from(self.etag.to_string()));
        Digest::derived("policy-explained", etag.chain(explained.iter().flat_map(part)))
    }

    /// A rule that the asset may have verdicts on.
    pub fn rule(&self, baseline: &str, rule: &str) -> Option<&Rule> {
        self.baselines.get(baseline)?;
        self.rules.get(baseline)?.get(rule)
    }

    /// Whether a rule applies to the asset with exactly this check.
    pub fn has_check(&self, baseline: &str, rule: &str, check: &Digest) -> bool {
        self.rule(baseline, rule).is_some_and(|rule| rule.check == *check)
    }

    /// How grave a detection or threshold of this name is, where one applies to the asset.
    pub fn severity(&self, kind: Kind, name: &str) -> Option<Severity> {
        self.signals.get(&(kind, name.to_owned())).copied()
    }
}

/// What a document's signals are called.
fn signals(document: &Document) -> Vec<Named> {
    match document.kind.as_str() {
        "Health" => {
            let read = Health::from_document(document);
            if let Err(fault) = &read {
                tracing::error!(document.name = document.name, %fault, "can't read thresholds");
            }
            let named = read.map(|health| health.thresholds).unwrap_or_default().into_iter();
            named.map(threshold).collect()
        }
        watch::KIND => {
            let read = Watches::from_document(document);
            if let Err(fault) = &read {
                tracing::error!(document.name = document.name, %fault, "can't read what is watched for drift");
            }
            let named = read.map(|read| read.watches).unwrap_or_default().into_iter();
            named.map(watched).collect()
        }
        rules::KIND => {
            let mut read = rules::Rules::default();
            if let Err(fault) = read.read_document(document) {
                // It was good when it was applied: a newer program wrote it. Its signals are counted alone.
                tracing::error!(document.name = document.name, %fault, "can't read a detection");
            }
            // A rule is told of when it fires and when it can't, each as grave as the rule.
            let both = |told: rules::Told<'_>| [Kind::Detection, Kind::Canary].map(|kind| rule(kind, &told));
            read.told().flat_map(both).collect()
        }
        _ => Vec::new(),
    }
}

fn watched(watch: Watch) -> Named {
    Named {
        kind: Kind::Drift,
        title: watch.summary,
        description: Some("Something that is watched was modified, and no change explains it.".to_owned()),
        name: watch.id,
        severity: watch.severity,
        false_positives: Vec::new(),
    }
}

fn threshold(threshold: Threshold) -> Named {
    Named {
        kind: Kind::Health,
        title: threshold.summary.clone(),
        description: Some(threshold.to_string()),
        name: threshold.id,
        severity: threshold.severity,
        false_positives: Vec::new(),
    }
}

fn rule(kind: Kind, told: &rules::Told<'_>) -> Named {
    Named {
        kind,
        name: told.name.to_owned(),
        severity: told.severity,
        title: told.title.to_owned(),
        description: told.description.map(str::to_owned),
        false_positives: told.false_positives.to_vec(),
    }
}
