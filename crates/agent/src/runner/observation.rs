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
            Observation::Cursor(cursor) => self.keep.cursor = Some(cursor),
            Observation::Passed(passed) => self.passed(passed),
            Observation::Canaries(standing) => self.canaries(standing),
            Observation::Drift(kept) => self.drift(kept),
            Observation::Problem(text) => self.problem(Class::Bug, &text, None),
        }
    }

    /// What no source of events sees is for whoever reads this agent's own log, too.
    fn log_unseen(section: &Section<Value>) {
        for Unseen { what, reason } in &section.unknown {
            tracing::info!("events: {what}: {reason}, no detection sees it");
        }
    }

    /// What is told of a section is what was seen and what was not. One of which nothing is known
    /// has no body that a server could read.
    fn section(&mut self, name: Name, found: Result<Section<Value>, Reason>) {
        if let (Name::Sources, Ok(section)) = (name, &found) {
            Self::log_unseen(section);
        }
        let composer = &mut self.outbox.composer;
        let told = match found {
            Ok(section) if section.body == Value::Null => return,
            Ok(Section { body, unknown }) => {
                // Text and reasons alone: it has a canonical form.
                let unknown = Value::from_data(&unknown).unwrap_or_default();
                let told = [("body".to_owned(), body), ("unknown".to_owned(), unknown)];
                composer.section(name.as_str(), &Value::Object(told.into()))
            }
            Err(reason) => composer.unseen(name.as_str(), reason),
        };
        if let Err(error) = told {
            self.problem(Class::Limit, &format_args!("the section {name} is not told: {error}"), None);
        }
    }
}
