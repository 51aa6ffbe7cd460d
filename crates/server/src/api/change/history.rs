//! What people did with a change, in the order in which they did it, and whether it still counts.

use bartizan_core::canonical::Value;
use bartizan_core::id::ChangeId;
use bartizan_store::decision::{Numbered, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::person::Names;
use crate::problem::Problem;
use crate::stages::change::Details;
use crate::web::Web;

/// The most acts that are told: the newest of them.
const ACTS_LIMIT: usize = 500;

/// The acts that an edit or a rejection voids.
const VOIDABLE: [&str; 3] = ["test", "review", "approve"];

/// One act on a change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Past {
    pub at: String,
    pub by: String,
    /// `propose`, `edit`, `test`, `review`, `approve`, `reject`, `break-glass`, `apply` or `withdraw`.
    pub act: String,
    /// The environment that it is on the way to; empty where the act is about none.
    pub target: String,
    /// Where it was tested.
    pub environment: String,
    /// Whether the test there failed.
    #[serde(default)]
    pub failed: bool,
    /// What they looked at.
    pub digest: Option<String>,
    pub reason: String,
    /// `stands`, `void`, `refused` or `pending`.
    pub state: String,
    /// Why it is void, or was refused.
    pub why: Option<String>,
}

/// What people did with a change, the oldest first.
pub(super) async fn history(web: &Web, change: ChangeId, names: &mut Names) -> Result<Vec<Past>, Problem> {
    let mut acts = web.store.decisions_on(&change.to_string(), ACTS_LIMIT).await?;
    acts.reverse();
    let mut told = Vec::with_capacity(acts.len());
    for numbered in acts {
        let by = names.name(web, numbered.decision.person).await?;
        told.push(past(numbered, by));
    }
    void(&mut told);
    Ok(told)
}

fn past(numbered: Numbered, by: String) -> Past {
    let decision = numbered.decision;
    let details = decision.details.as_ref().map(Value::to_data::<Details>);
    let details = details.and_then(Result::ok).unwrap_or_default();
    let (state, why) = match numbered.outcome {
        None => ("pending", None),
        Some(Outcome::Accepted) => ("stands", None),
        Some(Outcome::Refused { reason, .. }) => ("refused", Some(reason)),
    };
    let digest = match details.content {
        Some(content) => Some(content.digest().to_string()),
        None => decision.expected,
    };
    Past {
        at: decision.at.to_string(),
        by,
        act: decision.act.trim_start_matches("change.").to_owned(),
        target: details.target,
        environment: details.environment,
        failed: details.failed,
        digest,
        reason: decision.reason,
        state: state.to_owned(),
        why,
    }
}

/// Marks what counts no more: an edit voids every test and decision before it, a rejection or a
/// failed test those on the way to its target.
fn void(acts: &mut [Past]) {
    for place in 0..acts.len() {
        let (before, rest) = acts.split_at_mut(place);
        let Some(now) = rest.first().filter(|act| act.state == "stands") else { continue };
        let why = match now.act.as_str() {
            "edit" => format!("{} edited the change after it", now.by),
            "reject" => format!("{} rejected the change after it", now.by),
            "test" if now.failed => format!("{} saw a test fail after it", now.by),
            _ => continue,
        };
        let theirs = |act: &&mut Past| {
            act.state == "stands"
                && VOIDABLE.contains(&act.act.as_str())
                && (now.act == "edit" || act.target == now.target)
        };
        for act in before.iter_mut().filter(theirs) {
            act.state = "void".to_owned();
            act.why = Some(why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(act: &str, target: &str) -> Past {
        Past {
            at: String::new(),
            by: "ann".to_owned(),
            act: act.to_owned(),
            target: target.to_owned(),
            environment: String::new(),
            failed: false,
            digest: None,
            reason: String::new(),
            state: "stands".to_owned(),
            why: None,
        }
    }

    fn states(mut acts: Vec<Past>) -> Vec<String> {
        void(&mut acts);
        acts.into_iter().map(|act| act.state).collect()
    }

    #[test]
    fn an_edit_voids_every_decision_before_it_and_none_after_it() {
        let acts = vec![
            act("propose", ""),
            act("test", "prod"),
            act("review", "prod"),
            act("edit", ""),
            act("test", "prod"),
        ];
        assert_eq!(states(acts), ["stands", "void", "void", "stands", "stands"]);
    }

    #[test]
    fn a_rejection_voids_what_was_decided_on_the_way_to_its_target_alone() {
        let acts = vec![act("test", "prod"), act("test", "stage"), act("reject", "prod")];
        assert_eq!(states(acts), ["void", "stands", "stands"]);
    }

    #[test]
    fn a_failed_test_voids_the_pass_before_it_and_what_was_decided_because_of_it() {
        let failed = Past { failed: true, ..act("test", "prod") };
        let acts = vec![act("test", "prod"), act("review", "prod"), act("test", "stage"), failed];
        assert_eq!(states(acts), ["void", "void", "stands", "stands"]);
    }

    #[test]
    fn an_edit_that_was_refused_voids_nothing_and_what_was_applied_stays() {
        let refused = Past { state: "refused".to_owned(), ..act("edit", "") };
        assert_eq!(states(vec![act("review", "prod"), refused]), ["stands", "refused"]);
        assert_eq!(states(vec![act("apply", "test"), act("edit", "")]), ["stands", "stands"]);
    }
}
