//! Channels: how a notification leaves the house.

use std::time::Duration;

use bartizan_core::monitoring::alert::Alert;
use bartizan_core::monitoring::notification::Occasion;
use bartizan_core::monitoring::route::Receiver;
use bartizan_core::time::Timestamp;
use bartizan_store::alert::Place;
use tokio_util::task::TaskTracker;

pub mod email;
mod webhook;

/// Why no mail goes anywhere where no relay is set.
const NO_RELAY: &str = "no mail relay is set: start the server with --smtp";

/// How long messages on their way may take once everything stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// One notification, whatever way it goes.
#[derive(Clone, Debug)]
pub struct Message {
    pub occasion: Occasion,
    /// Counts the notifications of this alert to this receiver, from 1.
    pub number: u32,
    /// The same at every attempt: the receiver can tell a repeat from a second notification.
    pub idempotency_key: String,
    /// The key of the first notification of this alert to this receiver.
    pub first_key: String,
    /// When it was due, which is the same at every attempt, too.
    pub at: Timestamp,
    pub ended: Option<Timestamp>,
    pub alert: Alert,
    pub places: Vec<Place>,
}

/// One way to a receiver: each is attempted, and told of, for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Webhook {
        url: String,
    },
    /// One address.
    Mail {
        to: String,
    },
}

impl Way {
    /// Every way that a receiver has.
    pub(crate) fn all(receiver: &Receiver) -> Vec<Way> {
        let webhook = receiver.webhook.iter().map(|webhook| Way::Webhook { url: webhook.url.clone() });
        let addresses = receiver.email.iter().flat_map(|email| &email.to);
        webhook.chain(addresses.map(|to| Way::Mail { to: to.clone() })).collect()
    }

    /// Its word in the store and on pages. A URL may hold a secret: it is not in it.
    pub(crate) fn word(&self) -> String {
        match self {
            Way::Webhook { .. } => "webhook".to_owned(),
            Way::Mail { to } => format!("mail:{to}"),
        }
    }
}

/// Everything that can send.
#[derive(Clone, Debug)]
pub struct Channels {
    webhook: webhook::Webhook,
    /// None where no relay is set.
    email: Option<email::Email>,
    /// Where the console is, for links in messages.
    console: String,
    /// What is on its way: a slow receiver holds up nobody else's page.
    sending: TaskTracker,
}

impl Channels {
    /// Channels whose messages link to the console at this URL, and whose mail goes by this relay.
    pub fn new(console: String, relay: Option<&email::Relay>) -> Result<Self, String> {
        let email = relay.map(email::Email::new).transpose()?;
        Ok(Self { webhook: webhook::Webhook::new()?, email, console, sending: TaskTracker::new() })
    }

    /// Sends a message by one way.
    pub(crate) async fn send(&self, way: &Way, receiver: &Receiver, message: &Message) -> Result<(), String> {
        match way {
            Way::Webhook { url } => self.webhook.send(url, &receiver.name, message, &self.console).await,
            Way::Mail { to } => {
                let Some(email) = &self.email else {
                    return Err(NO_RELAY.to_owned());
                };
                let everybody = receiver.email.iter().flat_map(|email| email.to.clone());
                let everybody: Vec<String> = everybody.collect();
                email.send(to, &everybody, message, &self.console).await
            }
        }
    }

    /// The relay that mail goes by: its host and port; none where none is set.
    pub(crate) fn relay(&self) -> Option<String> {
        self.email.as_ref().map(|email| email.relay().to_owned())
    }

    /// Whether mail could be handed over now; without a relay it could not.
    pub(crate) async fn reach_relay(&self) -> Result<(), String> {
        match &self.email {
            Some(email) => email.reach().await,
            None => Err(NO_RELAY.to_owned()),
        }
    }

    /// Does something that sends beside everything else.
    pub(crate) fn start(&self, sending: impl Future<Output = ()> + Send + 'static) {
        self.sending.spawn(sending);
    }

    /// Waits a while for what is on its way. What is cut off is attempted again by the next start.
    pub(crate) async fn drain(&self) {
        self.sending.close();
        if tokio::time::timeout(DRAIN_LIMIT, self.sending.wait()).await.is_err() {
            tracing::warn!(channel.open = self.sending.len(), "messages on their way were cut off on stop");
        }
    }
}
