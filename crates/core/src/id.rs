//! Identifiers of things that people or enrolment make: UUID version 7 (RFC 9562).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A word that is not a UUID where an identifier was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {noun}: it has the form 0190163d-8694-739b-aea5-966c26f8ad91")]
pub struct Malformed {
    word: String,
    noun: &'static str,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident: $noun:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier from the caller's clock and 10 bytes from its random source.
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                Self(mint(now, random))
            }

            /// The identifier as the UUID that it is.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The identifier that this UUID is.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(word: &str) -> Result<Self, Malformed> {
                Uuid::try_parse(word)
                    .map(Self)
                    .map_err(|_| Malformed { word: word.to_owned(), noun: $noun })
            }
        }
    )*};
}

identifiers! {
    /// A server, database, network device or piece of hardware.
    AssetId: "an asset identifier",
    /// Somebody who signs in.
    PersonId: "a person identifier",
    /// A role that was asked for somebody, and waits for a second person.
    RequestId: "a request identifier",
    /// A proposed modification.
    ChangeId: "a change identifier",
    /// A risk acceptance.
    AcceptanceId: "an acceptance identifier",
    /// An alert that a human must look at.
    AlertId: "an alert identifier",
    /// A coordinated response.
    IncidentId: "an incident identifier",
    /// A key that lets hosts enrol.
    EnrolmentKeyId: "an enrolment key identifier",
}

fn mint(now: Timestamp, random: [u8; 10]) -> Uuid {
    let ms = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_version_7_and_order_by_their_time() {
        let early = AssetId::mint(Timestamp::from_millis(1_000), [255; 10]);
        let late = AssetId::mint(Timestamp::from_millis(2_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert_eq!(early.to_string().parse::<AssetId>().unwrap(), early);
    }

    #[test]
    fn a_word_that_is_no_identifier_is_named_in_the_error() {
        let error = "web-1".parse::<AssetId>().unwrap_err().to_string();
        assert!(error.contains("`web-1` is not an asset identifier"), "{error}");
    }
}
