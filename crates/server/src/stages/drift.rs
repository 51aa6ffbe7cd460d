//! The drift stage: rules on what people say of drift. What it accepts goes to the asset's agent, which takes it
//! that the object shall stand so.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::drift::{self, Drifts};
use bartizan_core::error::Class;
use bartizan_core::fact::{Name, Section};
use bartizan_core::id::AssetId;
use bartizan_core::posture::AssetNumber;
use bartizan_store::Store;
use bartizan_store::decision::{Decision, Outcome, Refused};
use bartizan_store::drift::{Batch, Explanation};

use super::{Context, Error, Look};

/// The cursor of decisions.
const DECISIONS: &str = "drift/decision";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "drift.";

/// Its target is the asset, its detail the object, and what it names as seen the digest of the drift.
pub(crate) const EXPLAIN: &str = "drift.explain";

/// The most decisions that one look takes in.
const BATCH_LIMIT: usize = 200;

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let Some(last) = decisions.last() else { return Ok(Look::Done) };
    let mut batch = Batch { cursor: Some((DECISIONS, from, last.seq + 1)), ..Batch::default() };
    for numbered in decisions.iter().filter(|numbered| numbered.decision.act.starts_with(ACTS)) {
        let outcome = match rule(&context, &numbered.decision).await? {
            Ok(explanation) => {
                batch.explanations.push((explanation, context.ambient.random()));
                Outcome::Accepted
            }
            Err(refused) => refused,
        };
        batch.ruled.push((numbered.seq, outcome, context.ambient.random()));
    }
    let (explained, ruled) = (!batch.explanations.is_empty(), !batch.ruled.is_empty());
    store.commit_explanations(&batch, context.ambient.now()).await?;
    if explained {
        // It goes to the agent with its policy.
        context.policies.changed();
        context.nudges.policies();
    }
    if ruled {
        context.nudges.show();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let ruled = rule(context, decision).await?;
    Ok(ruled.map_or_else(|refused| refused, |_| Outcome::Accepted))
}

/// What drifts on an asset, as its agent told it last; none where it never told. What it sent may make no
/// sense: then nothing is known of it.
pub(crate) async fn told(
    store: &Store,
    number: AssetNumber,
) -> Result<Option<Section<Drifts>>, bartizan_store::Error> {
    let sections = store.sections(number).await?;
    let Some(section) = sections.iter().find(|section| section.name == Name::Drift.as_str()) else {
        return Ok(None);
    };
    let body = store.section_body(&section.hash).await?.unwrap_or_default();
    Ok(serde_json::from_slice(&body).ok())
}

/// Rules on one act.
async fn rule(context: &Context, decision: &Decision) -> Result<Result<Explanation, Outcome>, Error> {
    let refused = |class, reason: String| Ok(Err(Outcome::Refused { class, reason }));
    if decision.act != EXPLAIN {
        return refused(Refused::Invalid, format!("there is no act `{}`", decision.act));
    }
    let asset = match decision.target.parse::<AssetId>() {
        Ok(id) => context.store.asset(id).await?,
        Err(_) => None,
    };
    let Some(asset) = asset else {
        return refused(Refused::NotFound, format!("there is no asset `{}`", decision.target));
    };
    let Some(person) = context.store.person(decision.person).await? else {
        return refused(Refused::Denied, "whoever acted is not known any more".to_owned());
    };
    let object = decision.details.as_ref().and_then(Value::as_str).unwrap_or_default();
    let seen = decision.expected.as_deref().unwrap_or_default();
    let drifts = told(&context.store, asset.number).await?.unwrap_or_default().body.drifts;
    let ruled = drift::explain(
        &person.actor(),
        &asset.service,
        &drifts,
        (object, seen),
        (&decision.reason, decision.at),
    );
    Ok(match ruled {
        Ok(explained) => Ok(Explanation {
            number: asset.number,
            explained,
            person: person.id,
            at: decision.at,
            reason: decision.reason.clone(),
        }),
        Err(refusal) => {
            let class = match refusal.class() {
                Class::Denied => Refused::Denied,
                Class::NotFound => Refused::NotFound,
                Class::Conflict => Refused::Conflict,
                _ => Refused::Invalid,
            };
            Err(Outcome::Refused { class, reason: refusal.to_string() })
        }
    })
}
