//! One simulated host: enrolled for real, with made-up facts.

use std::collections::BTreeMap;
use std::path::Path;

use bartizan_agent::identity::{Identity, Key};
use bartizan_agent::link::{self, Link, Nudges};
use bartizan_agent::state::State;
use bartizan_agent::{identity, state, tls};
use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::monitoring::signal::Noticed;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_wire::checkin::{Answer, Heartbeat};
use bartizan_wire::policy::Policy;
use bartizan_wire::report::{self, Batch, Look, Outcome, Report, Section};
use bartizan_wire::{VERSION, enrol};

/// How a host comes to a server.
#[derive(Clone, Debug)]
pub struct Way {
    /// `https://127.0.0.1:8444`
    pub server: String,
    /// The fingerprint of the server's authority.
    pub pinned: Digest,
    /// The secret of an enrolment key; needed once.
    pub key: String,
}

/// What a host is, as far as its reports tell.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub sections: BTreeMap<String, Value>,
    /// By baseline, rule and digest of the check.
    pub verdicts: BTreeMap<(String, String, Digest), Verdict>,
}

/// The digest of each rule's check by these documents, by baseline and rule: what verdicts have to name.
pub fn checks(documents: &[Document]) -> BTreeMap<(String, String), Digest> {
    let baselines = documents.iter().filter_map(|document| Baseline::from_document(document).ok());
    let named = |baseline: Baseline| {
        let checks = baseline.checks();
        let checks = checks.map(|(rule, check)| ((baseline.name.clone(), rule.id.clone()), check));
        checks.collect::<Vec<_>>()
    };
    baselines.flat_map(named).collect()
}

/// One simulated host.
#[derive(Debug)]
pub struct Host {
    state: State,
    key: Key,
    identity: Identity,
    link: Link,
    sequence: u64,
    facts: Facts,
}

/// Why a host can't come to its server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Link(#[from] link::Error),
    #[error(transparent)]
    Wire(#[from] bartizan_wire::Error),
    #[error("the server answered one report with {0} outcomes")]
    Outcomes(usize),
}

impl Host {
    /// The host of this folder; it enrols where it has not.
    pub async fn open(folder: &Path, name: &str, way: &Way) -> Result<Host, Error> {
        let state = State::open(folder)?;
        let key = Key::open(&state)?;
        let identity = match Identity::open(&state, way.pinned)? {
            Some(identity) => identity,
            None => {
                let link = Link::new(&way.server, tls::pinning(way.pinned)?)?;
                let request = enrol::Request {
                    wire: VERSION,
                    key: way.key.clone(),
                    request: key.request(name)?,
                    name: name.to_owned(),
                    machine: name.to_owned(),
                };
                Identity::enrolled(&state, link.enrol(&request).await?, way.pinned)?
            }
        };
        let link = Link::new(&way.server, tls::enrolled(&identity, &key)?)?;
        Ok(Host { state, key, identity, link, sequence: 0, facts: Facts::default() })
    }

    /// The same host at a server that has moved: restarted on another port.
    pub fn follow(&mut self, server: &str) -> Result<(), Error> {
        self.link = Link::new(server, tls::enrolled(&self.identity, &self.key)?)?;
        Ok(())
    }

    /// The policy that applies to it, where it is another than the one that is held.
    pub async fn policy(&self, held: Option<Digest>) -> Result<Option<Policy>, Error> {
        Ok(self.link.policy(held).await?)
    }

    /// Opens the stream of nudges.
    pub async fn nudges(&self) -> Result<Nudges, Error> {
        Ok(self.link.nudges().await?)
    }

    /// The asset that it is.
    pub fn asset(&self) -> bartizan_core::id::AssetId {
        self.identity.asset
    }

    /// What changed, as the next report.
    pub fn compose(&mut self, facts: Facts, signals: Vec<Noticed>, at: Timestamp) -> Report {
        self.sequence += 1;
        let changed =
            facts.sections.iter().filter(|(name, body)| self.facts.sections.get(*name) != Some(body));
        let sections = changed
            .map(|(name, body)| (name.clone(), Section { hash: Digest::of(body), body: Some(body.clone()) }));
        let whole = self.sequence == 1;
        let looks = facts
            .verdicts
            .iter()
            .filter(|(key, verdict)| whole || self.facts.verdicts.get(*key) != Some(verdict));
        let verdicts = looks.map(|((baseline, rule, check), verdict)| Look {
            baseline: baseline.clone(),
            rule: rule.clone(),
            check: *check,
            verdict: *verdict,
            observed_at: at,
        });
        let report = Report {
            wire: VERSION,
            epoch: self.state.epoch(),
            sequence: self.sequence,
            observed_at: at,
            root: facts.root(),
            sections: sections.collect(),
            verdicts: verdicts.collect(),
            whole,
            signals,
            outcomes: Vec::new(),
            loss: BTreeMap::new(),
        };
        self.facts = facts;
        report
    }

    /// Sends one report; gives what became of it.
    pub async fn send(&self, report: &Report) -> Result<Outcome, Error> {
        let batch = Batch { wire: VERSION, reports: vec![report.clone()] };
        let mut outcomes = self.link.reports(bartizan_wire::pack(&batch)?).await?.outcomes;
        match (outcomes.pop(), outcomes.len()) {
            (Some(outcome), 0) => Ok(outcome),
            (_, left) => Err(Error::Outcomes(left)),
        }
    }

    /// Checks in.
    pub async fn heartbeat(&self, at: Timestamp) -> Result<Answer, Error> {
        let heartbeat = Heartbeat {
            wire: VERSION,
            epoch: self.state.epoch(),
            sequence: self.sequence,
            root: self.facts.root(),
            policy: None,
            at,
            checkpoint: 0,
        };
        Ok(self.link.heartbeat(&heartbeat).await?)
    }
}

impl Facts {
    /// The root over all sections, the verdicts among them.
    pub fn root(&self) -> Digest {
        let verdicts = self.verdicts.iter().map(|((baseline, rule, check), verdict)| {
            let parts = [baseline.as_str(), rule, &check.to_string(), &verdict.to_string()].map(Value::from);
            Value::Array(parts.to_vec())
        });
        let verdicts = Digest::derived("verdicts", verdicts);
        let sections = self.sections.iter().map(|(name, body)| (name.as_str(), Digest::of(body)));
        report::root(sections.chain([("verdicts", verdicts)]))
    }
}
