//! Which orders are open, as the agents' door is asked for them at each check-in: kept in memory, and
//! read anew when the head of the orders' log moved.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::AssetNumber;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::log::Log;
use bartizan_store::{Error, Store};

use tokio::sync::Mutex;

use crate::ambient::Ambient;

/// How long what is held is believed, since another replica may give orders.
const BELIEVED_FOR: Duration = Duration::from_secs(2);

/// The open orders of all assets.
#[derive(Clone, Debug)]
pub struct Orders {
    store: Store,
    ambient: Ambient,
    held: Arc<RwLock<Held>>,
    /// Who reads them anew: whoever else comes meanwhile waits for that one.
    reading: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct Held {
    read_at: Option<Timestamp>,
    /// The head of the log that they were read at; none before the first reading.
    head: Option<i64>,
    open: Arc<BTreeMap<AssetNumber, u64>>,
}

impl Orders {
    /// Nothing is held yet: it is read when it is asked for.
    pub fn new(store: Store, ambient: Ambient) -> Self {
        Self { store, ambient, held: Arc::default(), reading: Arc::default() }
    }

    /// The generation of an asset's open order, as it stood at most a moment ago.
    pub async fn of(&self, number: AssetNumber) -> Result<Option<u64>, Error> {
        Ok(self.open().await?.get(&number).copied())
    }

    async fn open(&self) -> Result<Arc<BTreeMap<AssetNumber, u64>>, Error> {
        if let Some(open) = self.believed() {
            return Ok(open);
        }
        let _turn = self.reading.lock().await;
        if let Some(open) = self.believed() {
            return Ok(open);
        }
        let now = self.ambient.now();
        let known = self.held.read().unwrap_or_else(PoisonError::into_inner).head;
        // The head first: what is given between the two reads is read again.
        let head = self.store.head(Log::Order, 0).await?;
        let fresh = if known == Some(head) { None } else { Some(Arc::new(self.store.open_orders().await?)) };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.read_at = Some(now);
        if let Some(open) = fresh {
            held.head = Some(head);
            held.open = open;
        }
        Ok(Arc::clone(&held.open))
    }

    /// What was read, while it is believed.
    fn believed(&self) -> Option<Arc<BTreeMap<AssetNumber, u64>>> {
        let now = self.ambient.now();
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let young = held.read_at.is_some_and(|at| now.since(at) < BELIEVED_FOR);
        young.then(|| Arc::clone(&held.open))
    }

    /// Forgets what was read: orders changed here.
    pub fn changed(&self) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).read_at = None;
    }
}
