//! All simulated hosts: they enrol side by side, live in tasks of their own, and take orders.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bartizan_core::asset::Class;
use bartizan_core::enrolment::Grant;
use bartizan_core::time::Duration;
use bartizan_server::App;
use bartizan_server::api::enrolment::{self, Wanted};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::Error;
use super::judge::Bench;
use super::population::Plan;
use super::resident::{Event, Home, Order, Resident};
use crate::host::Way;

/// How many hosts enrol at once: each handshake keeps a processor busy for a moment.
const ENROLLING: usize = 8;

/// How many orders wait for one host.
const ORDERS: usize = 4;

/// How long an enrolment key works: the demo enrols at once.
const KEY_FOR: Duration = Duration::from_hours(1);

/// The fleet. Its hosts end when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    orders: BTreeMap<String, mpsc::Sender<Order>>,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// Lets every host of the plan enrol, or come back; returns when all have told how they stand.
    pub(super) async fn settle(app: &App, folder: &Path, plans: &[Plan]) -> Result<Fleet, Error> {
        let (bench, started) = (Bench::default(), app.web.ambient.now());
        let places = Arc::new(Semaphore::new(ENROLLING));
        let mut settling = JoinSet::new();
        for plan in plans {
            let home = Home {
                plan: plan.clone(),
                folder: folder.join(&plan.name),
                way: way(app, folder, plan).await?,
                bench: bench.clone(),
                ambient: app.web.ambient.clone(),
                started,
            };
            let places = Arc::clone(&places);
            settling.spawn(async move {
                // It is never closed; without a place a host would only be early.
                let _place = places.acquire().await;
                let name = home.plan.name.clone();
                Resident::settle(home).await.map(|resident| (name, resident))
            });
        }
        let mut fleet = Fleet::default();
        while let Some(settled) = settling.join_next().await {
            let (name, resident) = settled.map_err(|error| Error::Report(error.to_string()))??;
            let Some(resident) = resident else { continue };
            let (sender, receiver) = mpsc::channel(ORDERS);
            fleet.tasks.spawn(resident.live(receiver));
            fleet.orders.insert(name, sender);
        }
        Ok(fleet)
    }

    /// Something befalls a host; returns when the server has what the host tells of it.
    pub(super) async fn befall(&self, host: &str, event: Event) -> Result<(), Error> {
        let gone = || Error::Report(format!("{host} is not there"));
        let orders = self.orders.get(host).ok_or_else(gone)?;
        let (sender, told) = oneshot::channel();
        orders.send((event, sender)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

/// How a host comes to the server: by a key of its own that works once, or as it came before.
async fn way(app: &App, folder: &Path, plan: &Plan) -> Result<Way, Error> {
    let mut way =
        Way { server: format!("https://{}", app.agents()), pinned: app.fingerprint(), key: String::new() };
    if folder.join(&plan.name).exists() {
        return Ok(way);
    }
    let labels = [("distribution", plan.distribution.as_str()), ("purpose", plan.purpose.as_str())];
    let grant = Grant {
        service: plan.service.to_owned(),
        environment: plan.environment.to_owned(),
        class: Class::Server,
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        networks: Vec::new(),
        approval: false,
    };
    let wanted = Wanted { uses: 1, expires_in: KEY_FOR, grant };
    let made = enrolment::create(&app.web, wanted).await;
    way.key = made.map_err(|problem| Error::Report(problem.title().to_owned()))?.key;
    Ok(way)
}
