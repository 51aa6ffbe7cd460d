//! Routes that can't be read are told: whoever relies on one would else hear nothing, and not know it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::time::Timestamp;
use bartizan_store::signal::NO_ASSET;

use super::super::{Context, Error};
use crate::signal::environment_signal;

/// How each route was found to be, by environment and name, as this replica told it last.
pub(crate) type Told = Arc<Mutex<BTreeMap<(String, String), Option<String>>>>;

/// Tells of the routes of all environments that can't be read, and of those that can again. It is told once
/// for each time that documents change, and at a start.
pub(super) async fn tell(context: &Context, told: &Told, now: Timestamp) -> Result<(), Error> {
    let mut found = BTreeMap::new();
    for name in context.store.environments().await? {
        for (route, read) in &context.policies.environment(&name).await?.routes {
            found.insert((name.clone(), route.clone()), read.as_ref().err().cloned());
        }
    }
    let mut signals = Vec::new();
    {
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        for ((environment, route), problem) in &found {
            if told.get(&(environment.clone(), route.clone())) != Some(problem) {
                signals.push((NO_ASSET, signal(environment, route, problem.as_deref(), now)));
            }
        }
        for (environment, route) in told.keys().filter(|key| !found.contains_key(key)) {
            signals.push((NO_ASSET, signal(environment, route, None, now)));
        }
    }
    if !signals.is_empty() {
        context.store.append_signals(&signals).await?;
        context.nudges.alert();
        *told.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
    Ok(())
}

fn signal(environment: &str, route: &str, problem: Option<&str>, at: Timestamp) -> Signal {
    let (state, summary) = match problem {
        Some(problem) => (
            State::Firing,
            format!("the route {route} of {environment} can't be read, and tells nobody: {problem}"),
        ),
        None => (State::Resolved, format!("the route {route} of {environment} can be read")),
    };
    environment_signal(environment, ("route", route), state, summary, at)
}
