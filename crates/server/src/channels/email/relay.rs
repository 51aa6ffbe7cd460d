//! The relay: where mail is handed over, how that is protected, and who we say we are.

use std::net::IpAddr;

use bartizan_core::monitoring::route::is_address;
use reqwest::Url;

/// The port on which a relay takes mail from its users (RFC 6409).
const SUBMISSION_PORT: u16 = 587;

/// The port of a relay that speaks TLS from the first byte (RFC 8314).
const TLS_PORT: u16 = 465;

/// The port of a mail server on this machine.
const LOCAL_PORT: u16 = 25;

/// Where mail is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// The address that mail comes from.
    pub from: String,
    pub login: Option<Login>,
    /// A certificate in PEM to trust beside those that everybody trusts.
    pub authority: Option<String>,
}

/// How what is said to the relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all: to this machine alone.
    Plain,
    /// TLS is asked for, and nothing is handed over without it (RFC 3207).
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Who we are to the relay. The password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    password: String,
}

impl Login {
    /// A user with a password.
    pub fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a relay can't be used. None of it repeats what was written: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("is no address of a relay: write smtp://HOST:PORT or smtps://HOST:PORT")]
    Url,
    #[error("holds a user or a password, which anybody may see there: name them apart")]
    Secret,
    #[error("the address that mail comes from is none such as bartizan@example.org")]
    From,
    #[error("a password is told over TLS alone: use smtps:// or a relay beyond this machine")]
    Login,
}

impl Relay {
    /// Reads `smtp://HOST[:PORT]` (in the clear on this machine, else with STARTTLS) or
    /// `smtps://HOST[:PORT]` (TLS from the first byte).
    pub fn parse(url: &str, from: &str, login: Option<Login>) -> Result<Relay, Fault> {
        let url = Url::parse(url).map_err(|_| Fault::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::Secret);
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || !bare {
            return Err(Fault::Url);
        }
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let (security, port) = match url.scheme() {
            "smtp" if local => (Security::Plain, LOCAL_PORT),
            "smtp" => (Security::StartTls, SUBMISSION_PORT),
            "smtps" => (Security::Tls, TLS_PORT),
            _ => return Err(Fault::Url),
        };
        if !is_address(from) {
            return Err(Fault::From);
        }
        if login.is_some() && security == Security::Plain {
            return Err(Fault::Login);
        }
        let port = url.port().unwrap_or(port);
        Ok(Relay { host, port, security, from: from.to_owned(), login, authority: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(url: &str) -> Result<(String, u16, Security), Fault> {
        let relay = Relay::parse(url, "bartizan@example.org", None)?;
        Ok((relay.host, relay.port, relay.security))
    }

    #[test]
    fn only_this_machine_is_talked_to_in_the_clear() {
        let table = [
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Security::Plain),
            ("smtp://localhost", "localhost", 25, Security::Plain),
            ("smtp://[::1]:26", "::1", 26, Security::Plain),
            ("smtp://mail.example.org", "mail.example.org", 587, Security::StartTls),
            ("smtp://192.0.2.1:25", "192.0.2.1", 25, Security::StartTls),
            ("smtps://mail.example.org", "mail.example.org", 465, Security::Tls),
            ("smtps://127.0.0.1:4465/", "127.0.0.1", 4465, Security::Tls),
        ];
        for (url, host, port, security) in table {
            assert_eq!(relay(url), Ok((host.to_owned(), port, security)), "{url}");
        }
    }

    #[test]
    fn what_is_no_relay_is_refused_without_repeating_it() {
        for url in ["", "mail", "http://mail", "smtp://", "smtp://mail/inbox", "smtp://mail?tls=no"] {
            assert_eq!(relay(url), Err(Fault::Url), "{url}");
        }
        let fault = relay("smtp://ada:secret@mail.example.org").unwrap_err();
        assert!(fault == Fault::Secret && !fault.to_string().contains("secret"));
        assert_eq!(Relay::parse("smtp://mail", "nobody", None), Err(Fault::From));
        let login = Login::new("ada".to_owned(), "secret".to_owned());
        assert!(!format!("{login:?}").contains("secret"));
        assert_eq!(Relay::parse("smtp://127.0.0.1", "a@b", Some(login)), Err(Fault::Login));
    }
}
