//! Mail: one message for each notification, handed to one relay (RFC 5321).
//!
//! Each address is a way of its own, with a delivery of its own, so that one that is refused takes
//! nothing from the others; the message is the same for all of them and at every attempt, its
//! Message-ID made from the notification's idempotency key.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{self, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::Message;

pub mod relay;
mod text;

pub use relay::Relay;
use relay::Security;

/// How long the relay may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long one delivery may take in all: less than another replica waits before it takes over.
const LIMIT: Duration = Duration::from_secs(20);

/// The longest problem that is kept, in bytes: what a relay says is its own affair.
const PROBLEM_BYTES_LIMIT: usize = 300;

/// What our messages call themselves in their Message-ID: no domain, so that it stays the same
/// whatever this server is called later.
const DOMAIN: &str = "bartizan";

/// Everything that mail takes, ready to send.
#[derive(Clone, Debug)]
pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    /// The relay's host and port.
    relay: String,
}

/// A message that no person wrote, and that none should answer by itself (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Email {
    /// Gets ready to hand mail to this relay; nothing is connected yet.
    pub(super) fn new(relay: &Relay) -> Result<Self, String> {
        let from = relay.from.parse::<Address>().map_err(|error| format!("{}: {error}", relay.from))?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
            .port(relay.port)
            .timeout(Some(ANSWER_LIMIT));
        let parameters = || {
            let mut tls = TlsParameters::builder(relay.host.clone());
            if let Some(authority) = &relay.authority {
                tls = tls.add_root_certificate(Certificate::from_pem(authority.as_bytes())?);
            }
            tls.build_rustls()
        };
        builder = match relay.security {
            Security::Plain => builder.tls(Tls::None),
            Security::StartTls => {
                builder.tls(Tls::Required(parameters().map_err(|error| error.to_string())?))
            }
            Security::Tls => builder.tls(Tls::Wrapper(parameters().map_err(|error| error.to_string())?)),
        };
        if let Some(login) = &relay.login {
            builder = builder.credentials(Credentials::new(login.user.clone(), login.password().to_owned()));
        }
        let relay = if relay.host.contains(':') {
            format!("[{}]:{}", relay.host, relay.port)
        } else {
            format!("{}:{}", relay.host, relay.port)
        };
        Ok(Self { transport: builder.build(), from, relay })
    }

    /// The relay's host and port.
    pub(super) fn relay(&self) -> &str {
        &self.relay
    }

    /// Whether the relay answers and takes us for who we are; nothing is handed over.
    pub(super) async fn reach(&self) -> Result<(), String> {
        match tokio::time::timeout(LIMIT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the relay greets, and answers nothing more".to_owned()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(format!("the relay took longer than {} s", LIMIT.as_secs())),
        }
    }

    /// Delivers a message to one of the receiver's addresses.
    pub(super) async fn send(
        &self,
        to: &str,
        everybody: &[String],
        message: &Message,
        console: &str,
    ) -> Result<(), String> {
        let bytes = self.write(everybody, message, console)?;
        let address = to.parse::<Address>().map_err(|error| error.to_string())?;
        let envelope = Envelope::new(Some(self.from.clone()), vec![address]);
        let envelope = envelope.map_err(|error| error.to_string())?;
        match tokio::time::timeout(LIMIT, self.transport.send_raw(&envelope, &bytes)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(format!("the relay took longer than {} s", LIMIT.as_secs())),
        }
    }

    /// The message's bytes: the same at every attempt.
    fn write(&self, everybody: &[String], message: &Message, console: &str) -> Result<Vec<u8>, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("the message can't be written: {error}");
        let written = text::Text::new(message, console);
        let at = u64::try_from(message.at.as_millis()).unwrap_or_default();
        let mut builder = lettre::Message::builder()
            .from(Mailbox::new(Some("Bartizan".to_owned()), self.from.clone()))
            .date(std::time::UNIX_EPOCH + Duration::from_millis(at))
            .message_id(Some(message_id(&message.idempotency_key)))
            .subject(written.subject())
            .header(AutoSubmitted);
        if message.number > 1 {
            // A mail reader shows them below the first.
            let first = message_id(&message.first_key);
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        for address in everybody {
            let address = address.parse::<Address>().map_err(|error| wrong(&error))?;
            builder = builder.to(Mailbox::new(None, address));
        }
        let html = written.html().map_err(|error| wrong(&error))?;
        let parts = MultiPart::alternative().boundary(boundary(&message.idempotency_key));
        let part = |kind, body: String| SinglePart::builder().header(kind).body(body);
        let parts = parts
            .singlepart(part(header::ContentType::TEXT_PLAIN, written.plain()))
            .singlepart(part(header::ContentType::TEXT_HTML, html));
        let built = builder.multipart(parts).map_err(|error| wrong(&error))?;
        Ok(built.formatted())
    }
}

/// The letters and digits of a key: what a header may hold as it is.
fn letters(key: &str) -> String {
    let key = key.strip_prefix("sha256:").unwrap_or(key);
    key.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn message_id(key: &str) -> String {
    format!("<{}@{DOMAIN}>", letters(key))
}

fn boundary(key: &str) -> String {
    // A quoted-printable or base64 body holds no `=_`.
    format!("=_{}", letters(key).get(..32).unwrap_or("bartizan"))
}

/// What went wrong, in one line that is fit to be shown.
fn told(error: &lettre::transport::smtp::Error) -> String {
    text::line(&error.to_string(), PROBLEM_BYTES_LIMIT)
}

#[cfg(test)]
mod tests;
