//! Policies: which documents apply to an asset, kept in memory until documents are applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::asset::Asset;
use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::{Error, Store};

use crate::ambient::Ambient;

/// The kinds of documents that agents judge by.
pub const AGENT_KINDS: [&str; 3] = ["Baseline", "Health", "Detection"];

/// How long an environment's documents are believed, since another replica may apply some.
const BELIEVED_FOR: Duration = Duration::from_secs(2);

/// The documents of all environments, and what follows from them.
#[derive(Clone, Debug)]
pub struct Policies {
    store: Store,
    ambient: Ambient,
    environments: Arc<RwLock<BTreeMap<String, Arc<Environment>>>>,
}

/// One environment's documents.
#[derive(Debug)]
pub struct Environment {
    read_at: Timestamp,
    etag: Digest,
    /// Those that agents judge by.
    documents: Vec<Document>,
    /// Every rule of every baseline, by baseline and rule.
    pub rules: BTreeMap<(String, String), Rule>,
}

/// What people have to know of a rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub title: String,
    pub severity: Severity,
    pub rationale: String,
    pub remediation: String,
}

/// What applies to one asset.
#[derive(Debug)]
pub struct Policy {
    pub etag: Digest,
    pub documents: Vec<Document>,
}

impl Policies {
    /// No documents yet: they are read when they are asked for.
    pub fn new(store: Store, ambient: Ambient) -> Self {
        Self { store, ambient, environments: Arc::default() }
    }

    /// An environment's documents, as they stood at most a moment ago.
    pub async fn environment(&self, name: &str) -> Result<Arc<Environment>, Error> {
        let now = self.ambient.now();
        let held = self.environments.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(held) = held.as_ref().filter(|held| now.since(held.read_at) < BELIEVED_FOR) {
            return Ok(Arc::clone(held));
        }
        let etag = self.store.documents_etag(name).await?;
        let fresh = match held {
            Some(held) if held.etag == etag => Environment {
                read_at: now,
                etag,
                documents: held.documents.clone(),
                rules: held.rules.clone(),
            },
            _ => self.read(name, etag, now).await?,
        };
        let fresh = Arc::new(fresh);
        let mut all = self.environments.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn read(&self, name: &str, etag: Digest, now: Timestamp) -> Result<Environment, Error> {
        let applied = self.store.documents(name).await?;
        let documents: Vec<Document> = applied
            .into_iter()
            .map(|applied| applied.document)
            .filter(|document| AGENT_KINDS.contains(&document.kind.as_str()))
            .collect();
        let mut rules = BTreeMap::new();
        for document in documents.iter().filter(|document| document.kind == "Baseline") {
            match Baseline::from_document(document) {
                Ok(baseline) => {
                    for rule in baseline.rules {
                        let told = Rule {
                            title: rule.title,
                            severity: rule.severity,
                            rationale: rule.rationale,
                            remediation: rule.remediation,
                        };
                        rules.insert((document.name.clone(), rule.id), told);
                    }
                }
                // It was good when it was applied: a newer program wrote it.
                Err(faults) => {
                    tracing::error!(document.name = document.name, faults = ?faults, "can't read a baseline")
                }
            }
        }
        Ok(Environment { read_at: now, etag, documents, rules })
    }

    /// What people have to know of a rule, whichever environment holds it.
    pub async fn rule(&self, baseline: &str, rule: &str) -> Result<Option<Rule>, Error> {
        let key = (baseline.to_owned(), rule.to_owned());
        for name in self.store.environments().await? {
            if let Some(found) = self.environment(&name).await?.rules.get(&key) {
                return Ok(Some(found.clone()));
            }
        }
        Ok(None)
    }

    /// Forgets what was read: documents were applied here.
    pub fn changed(&self) {
        self.environments.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The documents that apply to an asset.
    pub async fn policy(&self, asset: &Asset) -> Result<Policy, Error> {
        let environment = self.environment(&asset.environment).await?;
        let labels = asset.labels();
        let documents: Vec<Document> = environment
            .documents
            .iter()
            .filter(|document| document.scope.matches(&labels))
            .cloned()
            .collect();
        let digests = documents.iter().map(|document| Value::from(document.digest.to_string()));
        Ok(Policy { etag: Digest::derived("policy", digests), documents })
    }

    /// The rules that an asset may have verdicts on: baseline and rule.
    pub async fn rules(&self, asset: &Asset) -> Result<BTreeSet<(String, String)>, Error> {
        let environment = self.environment(&asset.environment).await?;
        let labels = asset.labels();
        let baselines: BTreeSet<&str> = environment
            .documents
            .iter()
            .filter(|document| document.kind == "Baseline" && document.scope.matches(&labels))
            .map(|document| document.name.as_str())
            .collect();
        let ours = environment.rules.keys().filter(|(baseline, _)| baselines.contains(baseline.as_str()));
        Ok(ours.cloned().collect())
    }
}
