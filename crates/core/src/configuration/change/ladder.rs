//! The ladder of environments, and what each asks for before a change is applied there.

use serde::{Deserialize, Serialize};

use super::Refusal;

/// What an environment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Nothing: a place to try things.
    Open,
    /// Nothing, and every change and report there says so: for a team of one.
    SelfApproved,
    /// A test below, the service team's review, security's approval.
    Approved,
}

impl Gate {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Gate::Open => "open",
            Gate::SelfApproved => "self-approved",
            Gate::Approved => "approved",
        }
    }
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    pub name: String,
    pub gate: Gate,
}

/// All environments, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder(Vec<Rung>);

impl Default for Ladder {
    /// dev → test → prod, where prod alone asks for approval.
    fn default() -> Self {
        let rung = |name: &str, gate| Rung { name: name.to_owned(), gate };
        Self(vec![rung("dev", Gate::Open), rung("test", Gate::Open), rung("prod", Gate::Approved)])
    }
}

impl Ladder {
    /// A ladder of these environments, the lowest first. Of two with one name the lower is meant.
    pub const fn new(rungs: Vec<Rung>) -> Self {
        Self(rungs)
    }

    /// The same ladder, where an environment asks for something else.
    #[must_use]
    pub fn declared(mut self, name: &str, gate: Gate) -> Self {
        for rung in self.0.iter_mut().filter(|rung| rung.name == name) {
            rung.gate = gate;
        }
        self
    }

    /// The environment of this name.
    pub fn rung(&self, name: &str) -> Result<&Rung, Refusal> {
        let rung = self.0.iter().find(|rung| rung.name == name);
        rung.ok_or_else(|| Refusal::NoSuchEnvironment(name.to_owned()))
    }

    /// All environments, the lowest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// Whether the environment `lower` lies below `upper`.
    pub fn is_below(&self, lower: &str, upper: &str) -> Result<bool, Refusal> {
        let place = |name: &str| {
            let place = self.0.iter().position(|rung| rung.name == name);
            place.ok_or_else(|| Refusal::NoSuchEnvironment(name.to_owned()))
        };
        Ok(place(lower)? < place(upper)?)
    }
}
