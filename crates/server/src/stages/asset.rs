//! The asset stage: rules on what people do with assets.

use std::collections::BTreeMap;

use bartizan_core::asset::{self, Act, Asset, Life};
use bartizan_core::error::Class;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::time::Timestamp;
use bartizan_store::asset::Batch;
use bartizan_store::decision::{Decision, Outcome, Refused};

use super::{Context, Error, Look};
use crate::signal::{CLONE, own_signal};

/// The cursor of decisions.
const DECISIONS: &str = "asset/decision";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "asset.";

pub(crate) const APPROVE: &str = "asset.approve";
pub(crate) const RETIRE: &str = "asset.retire";

/// The most decisions that one look takes in.
const BATCH_LIMIT: usize = 200;

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let Some(last) = decisions.last() else { return Ok(Look::Done) };
    let now = context.ambient.now();
    let mut batch = Batch { cursor: Some((DECISIONS, from, last.seq + 1)), ..Batch::default() };
    let mut moved: BTreeMap<AssetId, Asset> = BTreeMap::new();
    for numbered in decisions.iter().filter(|numbered| numbered.decision.act.starts_with(ACTS)) {
        let outcome = match rule(&context, &numbered.decision, &moved).await? {
            Ok((asset, life)) => {
                if life == Life::Retired {
                    batch.signals.push((asset.number, unclone(&asset, numbered.decision.at)));
                }
                moved.insert(asset.id, Asset { life, ..asset.clone() });
                batch.lives.push((asset, life));
                Outcome::Accepted
            }
            Err(refused) => refused,
        };
        batch.ruled.push((numbered.seq, outcome, context.ambient.random()));
    }
    let ruled = !batch.ruled.is_empty();
    store.commit_assets(&batch, now).await?;
    let retired = batch.lives.iter().filter(|(_, life)| *life == Life::Retired);
    context.nudges.retired(retired.map(|(asset, _)| asset.number));
    if ruled {
        context.nudges.transitions();
        context.nudges.show();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let ruled = rule(context, decision, &BTreeMap::new()).await?;
    Ok(ruled.map_or_else(|refused| refused, |_| Outcome::Accepted))
}

/// Rules on one act, given the assets as they stand with the acts before it.
async fn rule(
    context: &Context,
    decision: &Decision,
    moved: &BTreeMap<AssetId, Asset>,
) -> Result<Result<(Asset, Life), Outcome>, Error> {
    let refused = |class, reason: String| Ok(Err(Outcome::Refused { class, reason }));
    let act = match decision.act.as_str() {
        APPROVE => Act::Approved,
        RETIRE => Act::Retired,
        other => return refused(Refused::Invalid, format!("there is no act `{other}`")),
    };
    let asset = match decision.target.parse::<AssetId>() {
        Ok(id) => match moved.get(&id) {
            Some(asset) => Some(asset.clone()),
            None => context.store.asset(id).await?,
        },
        Err(_) => None,
    };
    let Some(asset) = asset else {
        return refused(Refused::NotFound, format!("there is no asset `{}`", decision.target));
    };
    let Some(person) = context.store.person(decision.person).await? else {
        return refused(Refused::Denied, "whoever acted is not known any more".to_owned());
    };
    Ok(match asset::step(asset.life, &asset.service, &person.actor(), act) {
        Ok(life) => Ok((asset, life)),
        Err(refusal) => {
            let class = if refusal.class() == Class::Denied { Refused::Denied } else { Refused::Conflict };
            Err(Outcome::Refused { class, reason: refusal.to_string() })
        }
    })
}

/// Nobody reports as a retired asset any more: that ends what two machines at once were told by.
fn unclone(asset: &Asset, at: Timestamp) -> Signal {
    let summary = format!("{} was retired", asset.name);
    Signal { state: State::Resolved, ..own_signal(asset, Kind::Clone, CLONE, summary, at) }
}
