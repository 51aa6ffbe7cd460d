//! Webhooks, in the shape that Alertmanager sends (its webhook configuration, version 4), so that
//! what people have already can receive them.

use std::time::Duration;

use bartizan_core::monitoring::alert::Member;
use bartizan_core::selector::Labels;
use serde::Serialize;

use super::Message;

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The most alerts of one message: what goes beyond is counted in `truncatedAlerts`.
const ALERTS_LIMIT: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Webhook(reqwest::Client);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<One>,
    /// Beside Alertmanager's shape: why this message was sent, and its number.
    occasion: bartizan_core::monitoring::notification::Occasion,
    number: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

impl Webhook {
    pub(super) fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")));
        client.build().map(Self).map_err(|error| error.to_string())
    }

    pub(super) async fn send(
        &self,
        url: &str,
        receiver: &str,
        message: &Message,
        console: &str,
    ) -> Result<(), String> {
        let request = self.0.post(url).header("Idempotency-Key", &message.idempotency_key);
        let sent = request.json(&body(receiver, message, console)).send().await;
        // The URL may hold a secret: an error is told without it.
        let response = sent.map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("the receiver answered {status}")) }
    }
}

fn body<'a>(receiver: &'a str, message: &'a Message, console: &'a str) -> Body<'a> {
    let alert = &message.alert;
    let labels = alert.labels();
    let link = format!("{console}/alerts/{}", alert.id);
    let alerts = message.places.iter().take(ALERTS_LIMIT).map(|place| {
        let mut labels = labels.clone();
        labels.insert("asset".to_owned(), place.asset.to_string());
        if !place.object.is_empty() {
            labels.insert("object".to_owned(), place.object.clone());
        }
        let (firing, since) = match place.standing {
            Member::Firing { since } | Member::Unknown { since, .. } => (true, since),
            Member::Resolved { at } => (false, at),
        };
        let firing = firing && message.ended.is_none();
        One {
            status: if firing { "firing" } else { "resolved" },
            labels,
            annotations: Labels::from([("summary".to_owned(), place.summary.clone())]),
            starts_at: if firing { since.to_string() } else { alert.opened_at.to_string() },
            // Alertmanager writes year 1 where nothing has ended.
            ends_at: if firing {
                "0001-01-01T00:00:00Z".to_owned()
            } else {
                message.ended.unwrap_or(since).to_string()
            },
            generator_url: link.clone(),
            fingerprint: place.member.short(),
        }
    });
    Body {
        version: "4",
        group_key: alert.group.key().to_string(),
        truncated_alerts: message.places.len().saturating_sub(ALERTS_LIMIT),
        status: if message.ended.is_some() { "resolved" } else { "firing" },
        receiver,
        group_labels: labels.clone(),
        common_labels: labels.clone(),
        common_annotations: Labels::from([("summary".to_owned(), alert.summary.clone())]),
        external_url: console,
        alerts: alerts.collect(),
        occasion: message.occasion,
        number: message.number,
    }
}
