//! Why an agent does not start, and what to do about it.

use bartizan_core::error::Class;

use crate::{identity, link, outbox, state, tls};

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Outbox(#[from] outbox::Error),
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Link(#[from] link::Error),
    #[error("`{0}` is no fingerprint")]
    Fingerprint(String),
    #[error("this agent is not enrolled, and has no enrolment key")]
    NoKey,
    #[error("the ledger's key that the server gave can't be used: {0}")]
    Ledger(bartizan_ledger::checkpoint::Error),
    #[error("can't start a thread: {0}")]
    Thread(std::io::Error),
    #[error("there is no runtime to start tasks on")]
    NoRuntime,
}

impl Error {
    /// What class of error this is.
    pub fn class(&self) -> Class {
        match self {
            Error::State(error) => error.class(),
            Error::Outbox(outbox::Error::Spool(error)) => error.class(),
            Error::Identity(error) | Error::Tls(tls::Error::Identity(error)) => class(error),
            Error::Link(error) => error.class(),
            Error::Fingerprint(_) | Error::NoKey => Class::Invalid,
            Error::Tls(tls::Error::Unusable(_)) | Error::Ledger(_) => Class::Invalid,
            Error::Thread(_) => Class::Unavailable,
            Error::Outbox(outbox::Error::Pack(_)) | Error::NoRuntime => Class::Bug,
        }
    }

    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::State(state::Error::InUse(_)) => {
                Some("stop the other agent, or give this one another --state")
            }
            Error::State(state::Error::Disk { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Some("run the agent as root, or give it a folder of its own with --state")
            }
            Error::Fingerprint(_) => {
                Some("write it as the server prints it: sha256: and 64 hexadecimal digits")
            }
            Error::NoKey => Some("make an enrolment key on the server, and give it with --key or --key-file"),
            Error::Identity(identity::Error::OtherAuthority { .. }) => Some(
                "this folder belongs to an agent of another server: give --state another one, or correct --fingerprint",
            ),
            Error::Identity(_) | Error::Tls(_) | Error::Ledger(_) => {
                Some("remove the folder of --state and enrol this host anew")
            }
            Error::Link(error) => error.hint(),
            _ => None,
        }
    }
}

const fn class(error: &identity::Error) -> Class {
    match error {
        identity::Error::State(error) => error.class(),
        identity::Error::Broken { .. } => Class::Invalid,
        identity::Error::Make { .. } => Class::Bug,
        identity::Error::OtherAuthority { .. } => Class::Conflict,
    }
}
