//! What the runner makes of what was observed.

use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::fact::{Name, Section, Unseen};
use bartizan_core::verdict::Reason;

use super::Runner;
use crate::observe::Observation;
use crate::spool::Counts;

impl Runner {
    pub(super) fn observed(&mut self, observation: Observation) {
        match observation {
            Observation::Section { name, found } => self.section(name, found),
            Observation::Collected => self.policy.collected = true,
            Observation::JudgedAll { policy, looks, problems } => {
                self.policy.judged = Some(policy);
                self.outbox.composer.judged_all(looks);
                if !problems.is_empty() {
                    let text = format!("part of the policy can't be used: {}", problems.join("; "));
                    self.problem(Class::Invalid, &text, None);
                }
            }
            Observation::Judged { looks, gone } => self.outbox.composer.judged(looks, &gone),
            Observation::Noticed(signals) => self.noticed(signals),
            Observation::Tally { source, seen, sent, dropped } => {
                self.outbox.composer.saw(source, seen, sent);
                if dropped > 0 {
                    self.lost(&Counts::from([(source.to_owned(), dropped)]));
                }
            }
            Observation::Unseen { name, unseen } => self.unseen(name, unseen),
            Observation::Problem(text) => self.problem(Class::Bug, &text, None),
        }
    }

    /// What was not seen at all is not told as empty: the server keeps what it knows, and why
    /// nothing newer comes is listed as unseen.
    fn section(&mut self, name: Name, found: Result<Section<Value>, Reason>) {
        let name = name.as_str();
        let alone = |reason| vec![Unseen { what: name.to_owned(), reason }];
        let unseen = match found {
            Ok(Section { body, unknown }) if unknown.is_empty() || !is_empty(&body) => {
                match self.outbox.composer.section(name, &body) {
                    Ok(_) => unknown,
                    Err(_) => alone(Reason::Unsupported),
                }
            }
            Ok(Section { unknown, .. }) => unknown,
            Err(reason) => alone(reason),
        };
        self.unseen(name, unseen);
    }

    fn unseen(&mut self, name: &str, unseen: Vec<Unseen>) {
        if let Err(error) = self.outbox.composer.unseen(name, unseen) {
            self.problem(Class::Limit, &error, None);
        }
    }
}

fn is_empty(body: &Value) -> bool {
    match body {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Integer(_) => false,
    }
}
