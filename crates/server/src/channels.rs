//! Channels: how a notification leaves the house.

use bartizan_core::monitoring::alert::Alert;
use bartizan_core::monitoring::notification::Occasion;
use bartizan_core::monitoring::route::Receiver;
use bartizan_core::time::Timestamp;
use bartizan_store::alert::Place;

mod webhook;

/// One notification, whatever way it goes.
#[derive(Clone, Debug)]
pub struct Message {
    pub occasion: Occasion,
    /// Counts the notifications of this alert to this receiver, from 1.
    pub number: u32,
    /// The same at every attempt: the receiver can tell a repeat from a second notification.
    pub idempotency_key: String,
    pub ended: Option<Timestamp>,
    pub alert: Alert,
    pub places: Vec<Place>,
}

/// Everything that can send.
#[derive(Clone, Debug)]
pub struct Channels {
    webhook: webhook::Webhook,
    /// Where the console is, for links in messages.
    console: String,
}

impl Channels {
    /// Channels whose messages link to the console at this URL.
    pub fn new(console: String) -> Result<Self, String> {
        Ok(Self { webhook: webhook::Webhook::new()?, console })
    }

    /// Sends a message by every way that the receiver has; the first that fails is the outcome.
    pub(crate) async fn send(&self, receiver: &Receiver, message: &Message) -> Result<(), String> {
        // Before anything is sent: what fails each time would send the rest each time.
        if receiver.email.is_some() {
            return Err("mail can't be sent yet".to_owned());
        }
        if let Some(webhook) = &receiver.webhook {
            self.webhook.send(&webhook.url, &receiver.name, message, &self.console).await?;
        }
        Ok(())
    }
}
