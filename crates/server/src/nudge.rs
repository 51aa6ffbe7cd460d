//! Nudges between the rooms: "look now". They carry nothing, and may be lost.

use std::sync::Arc;

use bartizan_core::posture::AssetNumber;
use roaring::RoaringBitmap;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Everything that can be woken.
#[derive(Clone, Debug)]
pub struct Nudges {
    stages: Arc<Stages>,
    policies: watch::Sender<u64>,
    orders: watch::Sender<u64>,
    /// The assets that were retired since the start: nobody reports as one of them any more.
    retired: watch::Sender<RoaringBitmap>,
    /// Counts what pages show: a page that watches it redraws.
    shown: watch::Sender<u64>,
    stop: CancellationToken,
}

/// One bell for each stage.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    pub(crate) posture: Notify,
    pub(crate) matching: Notify,
    pub(crate) acceptance: Notify,
    pub(crate) alert: Notify,
    pub(crate) asset: Notify,
    pub(crate) change: Notify,
    pub(crate) finding: Notify,
    pub(crate) person: Notify,
    pub(crate) incident: Notify,
    pub(crate) notification: Notify,
    pub(crate) order: Notify,
    pub(crate) review: Notify,
    pub(crate) drift: Notify,
    pub(crate) ledger: Notify,
}

impl Nudges {
    /// Bells that fall silent with `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        let (policies, _) = watch::channel(0);
        let (orders, _) = watch::channel(0);
        let (retired, _) = watch::channel(RoaringBitmap::new());
        let (shown, _) = watch::channel(0);
        Self { stages: Arc::default(), policies, orders, retired, shown, stop }
    }

    pub(crate) fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Reports were committed.
    pub fn transitions(&self) {
        self.stages.posture.notify_one();
        self.stages.matching.notify_one();
        self.stages.alert.notify_one();
        self.stages.finding.notify_one();
        self.stages.order.notify_one();
        self.stages.ledger.notify_one();
    }

    /// There are signals for the alert stage.
    pub fn alert(&self) {
        self.stages.alert.notify_one();
    }

    /// The bitmaps of posture moved.
    pub fn posture_moved(&self) {
        self.stages.acceptance.notify_one();
        self.show();
    }

    /// Acceptances changed: what they cover is open, or is not, and their owners may have to be told.
    pub fn acceptances_changed(&self) {
        self.stages.alert.notify_one();
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Somebody acted: every stage that rules on acts looks.
    pub fn decisions(&self) {
        self.stages.acceptance.notify_one();
        self.stages.alert.notify_one();
        self.stages.asset.notify_one();
        self.stages.change.notify_one();
        self.stages.finding.notify_one();
        self.stages.person.notify_one();
        self.stages.drift.notify_one();
        self.stages.incident.notify_one();
        self.stages.review.notify_one();
    }

    /// Feeds were imported.
    pub fn feeds(&self) {
        self.stages.matching.notify_one();
    }

    /// Matches changed.
    pub fn matches(&self) {
        self.stages.finding.notify_one();
        self.stages.posture.notify_one();
    }

    /// What feeds changed is in the posture's figures.
    pub fn matches_counted(&self) {
        self.stages.matching.notify_one();
    }

    /// Alerts changed.
    pub fn alerts_changed(&self) {
        self.stages.incident.notify_one();
        self.stages.notification.notify_one();
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Findings that people have put something on changed.
    pub fn findings_changed(&self) {
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Incidents changed.
    pub fn incidents_changed(&self) {
        self.stages.ledger.notify_one();
        self.show();
    }

    /// People changed, or what waits for one of them.
    pub fn people_changed(&self) {
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Documents were applied: agents have a new policy.
    pub fn policies(&self) {
        self.stages.finding.notify_one();
        self.stages.incident.notify_one();
        self.stages.order.notify_one();
        self.stages.review.notify_one();
        self.policies.send_modify(|count| *count += 1);
        self.stages.ledger.notify_one();
    }

    /// What is said of baselines changed.
    pub fn reviews_changed(&self) {
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Orders were given, or came to their end.
    pub fn orders(&self) {
        self.orders.send_modify(|count| *count += 1);
        self.stages.ledger.notify_one();
        self.show();
    }

    /// Changes whenever orders do.
    pub fn orders_changed(&self) -> watch::Receiver<u64> {
        self.orders.subscribe()
    }

    /// Assets were retired.
    pub fn retired(&self, assets: impl IntoIterator<Item = AssetNumber>) {
        let gone: RoaringBitmap = assets.into_iter().collect();
        self.retired.send_if_modified(|retired| {
            let fresh = !gone.is_subset(retired);
            *retired |= &gone;
            fresh
        });
    }

    /// Ends when an asset is retired; at once where it was.
    pub fn retires(&self, asset: AssetNumber) -> impl Future<Output = ()> + Send + use<> {
        let mut retired = self.retired.subscribe();
        async move {
            // Whoever would tell is gone: then the server stops.
            let _ = retired.wait_for(|gone| gone.contains(asset)).await;
        }
    }

    /// What a page shows has changed.
    pub fn show(&self) {
        self.shown.send_modify(|count| *count += 1);
    }

    /// Changes whenever agents have a new policy.
    pub fn policies_changed(&self) -> watch::Receiver<u64> {
        self.policies.subscribe()
    }

    /// Changes whenever what a page shows does.
    pub fn shown(&self) -> watch::Receiver<u64> {
        self.shown.subscribe()
    }

    /// Ends when the server stops.
    pub fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }
}
