//! Entries: what a leaf of the log holds, and the bodies that lie beside it.
//!
//! A leaf is an envelope in canonical JSON. It holds the digest of the body, or, where the
//! body may name a person, a commitment salted with 32 random bytes: once salt and body are
//! erased, nobody can learn or guess the body from the leaf, and every proof still holds.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::time::Timestamp;

use crate::tree::leaf_hash;

/// The largest envelope, in bytes: five short members.
pub const ENVELOPE_BYTES_LIMIT: usize = 1 << 10;

/// The largest body, in bytes: a policy document at its own limit, written as JSON.
pub const BODY_BYTES_LIMIT: usize = 16 << 20;

/// The longest name of a source or kind, in bytes.
pub const NAME_BYTES_LIMIT: usize = 128;

/// The most sources one log may have: stages times replicas stay far below.
pub const SOURCES_LIMIT: usize = 100_000;

/// The salt of a commitment: 32 bytes from the caller's random source.
pub type Salt = [u8; 32];

/// One leaf of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who staged it; each source counts its own entries.
    pub source: String,
    /// The source's counter: 1, 2, 3 … without a gap.
    pub counter: u64,
    /// What kind of thing it is: `decision`, `document`, `order`, `feed_import` …
    pub kind: String,
    pub at: Timestamp,
    pub seal: Seal,
}

/// How an envelope binds its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The SHA-256 of the body: for what never has to be erased.
    Digest(Digest),
    /// The salted commitment to the body: for what may hold personal data.
    Commitment(Digest),
}

/// What was kept beside a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The body, for [`Seal::Digest`].
    Open(String),
    /// The body with its salt, for [`Seal::Commitment`].
    Salted { text: String, salt: Salt },
}

/// Why an entry is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not an envelope: {0}")]
    Malformed(String),
    #[error("the envelope is not written in canonical JSON")]
    NotCanonical,
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooLong { what: &'static str, bytes: usize, limit: usize },
    #[error("source {source_name} counts {found} where {expected} comes next")]
    Gap { source_name: String, expected: u64, found: u64 },
    #[error("the log has more than {SOURCES_LIMIT} sources")]
    Sources,
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Malformed(_) | Error::NotCanonical => Class::Invalid,
            Error::TooLong { .. } | Error::Sources => Class::Limit,
            Error::Gap { .. } => Class::Conflict,
        }
    }
}

/// The commitment to a body: SHA-256 over a fixed prefix, the salt and the body.
pub fn commitment(salt: &Salt, body: &str) -> Digest {
    Digest::of_bytes(&[b"bartizan/commitment/v1\n", salt.as_slice(), body.as_bytes()].concat())
}

impl Body {
    /// The seal that binds this body.
    pub fn seal(&self) -> Seal {
        match self {
            Body::Open(text) => Seal::Digest(Digest::of_bytes(text.as_bytes())),
            Body::Salted { text, salt } => Seal::Commitment(commitment(salt, text)),
        }
    }

    /// The body's text.
    pub fn text(&self) -> &str {
        match self {
            Body::Open(text) | Body::Salted { text, .. } => text,
        }
    }
}

impl Envelope {
    /// The leaf's bytes: canonical JSON.
    pub fn to_text(&self) -> Result<String, Error> {
        for (what, name) in [("the source's name", &self.source), ("the kind", &self.kind)] {
            if name.is_empty() {
                return Err(Error::Malformed(format!("{what} is empty")));
            }
            if name.len() > NAME_BYTES_LIMIT {
                return Err(Error::TooLong { what, bytes: name.len(), limit: NAME_BYTES_LIMIT });
            }
        }
        let counter = i64::try_from(self.counter)
            .ok()
            .filter(|c| (1..=bartizan_core::canonical::INTEGER_LIMIT).contains(c));
        let counter = counter.ok_or_else(|| Error::Malformed("the counter is out of range".to_owned()))?;
        let (seal, digest) = match self.seal {
            Seal::Digest(digest) => ("body_digest", digest),
            Seal::Commitment(digest) => ("commitment", digest),
        };
        let members = BTreeMap::from([
            ("at".to_owned(), Value::Integer(self.at.as_millis())),
            ("counter".to_owned(), Value::Integer(counter)),
            ("kind".to_owned(), Value::String(self.kind.clone())),
            (seal.to_owned(), Value::String(digest.to_string())),
            ("source".to_owned(), Value::String(self.source.clone())),
            ("v".to_owned(), Value::Integer(1)),
        ]);
        Ok(Value::Object(members).to_canonical())
    }

    /// Reads a leaf. Only the one canonical text of an envelope is one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > ENVELOPE_BYTES_LIMIT {
            let (bytes, limit) = (text.len(), ENVELOPE_BYTES_LIMIT);
            return Err(Error::TooLong { what: "the envelope", bytes, limit });
        }
        let value = Value::parse(text).map_err(|error| Error::Malformed(error.to_string()))?;
        let written: Written = value.to_data().map_err(|error| Error::Malformed(error.to_string()))?;
        let seal = match (written.body_digest, written.commitment) {
            (Some(digest), None) => Seal::Digest(digest),
            (None, Some(digest)) => Seal::Commitment(digest),
            _ => return Err(Error::Malformed("it needs either `body_digest` or `commitment`".to_owned())),
        };
        if written.v != 1 {
            return Err(Error::Malformed(format!(
                "its form has version {}, this program reads 1",
                written.v
            )));
        }
        let at = Timestamp::from_millis(written.at);
        let envelope =
            Self { source: written.source, counter: written.counter, kind: written.kind, at, seal };
        if envelope.to_text()? != text {
            return Err(Error::NotCanonical);
        }
        Ok(envelope)
    }

    /// The hash of this leaf in the tree.
    pub fn leaf_hash(&self) -> Result<Digest, Error> {
        Ok(leaf_hash(self.to_text()?.as_bytes()))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    at: i64,
    counter: u64,
    kind: String,
    source: String,
    v: u32,
    #[serde(default)]
    body_digest: Option<Digest>,
    #[serde(default)]
    commitment: Option<Digest>,
}

/// The counters of all sources, as far as the log has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// The counters of a log without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters as they were stored: the last counter of each source.
    pub fn resume(last: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self(last.into_iter().collect())
    }

    /// The counter that this source's next entry bears.
    pub fn next(&self, source: &str) -> u64 {
        self.0.get(source).map_or(1, |last| last.saturating_add(1))
    }

    /// Counts an entry; a gap or a repeat is an error, and then nothing is counted.
    pub fn count(&mut self, source: &str, counter: u64) -> Result<(), Error> {
        let expected = self.next(source);
        if counter != expected {
            return Err(Error::Gap { source_name: source.to_owned(), expected, found: counter });
        }
        if let Some(last) = self.0.get_mut(source) {
            *last = counter;
        } else if self.0.len() >= SOURCES_LIMIT {
            return Err(Error::Sources);
        } else {
            self.0.insert(source.to_owned(), counter);
        }
        Ok(())
    }

    /// How many sources have entries.
    pub fn sources(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            source: "change".to_owned(),
            counter: 3,
            kind: "decision".to_owned(),
            at: Timestamp::from_millis(1_700_000_000_000),
            seal: Body::Salted { text: "{\"person\":\"ann\"}".to_owned(), salt: [9; 32] }.seal(),
        }
    }

    #[test]
    fn an_envelope_reads_back_from_its_one_text() {
        let text = envelope().to_text().unwrap();
        assert_eq!(Envelope::parse(&text).unwrap(), envelope());
        assert!(text.starts_with(r#"{"at":1700000000000,"commitment":"sha256:"#), "{text}");
        assert_eq!(Envelope::parse(&text.replace(",\"v\"", ", \"v\"")), Err(Error::NotCanonical));
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let text = envelope().to_text().unwrap();
        for (bad, word) in [
            (text.replace("\"v\":1", "\"v\":2"), "version 2"),
            (text.replace("\"v\":1", "\"x\":1"), "unknown field"),
            (text.replace("\"counter\":3", "\"counter\":0"), "out of range"),
            (text.replace("commitment", "other"), "unknown field"),
            ("{".to_owned(), "EOF"),
        ] {
            let error = Envelope::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
        assert!(matches!(Envelope::parse(&"x".repeat(2_000)), Err(Error::TooLong { .. })));
    }

    #[test]
    fn a_commitment_depends_on_the_salt_and_on_the_body() {
        let base = commitment(&[1; 32], "ann");
        assert_eq!(base, commitment(&[1; 32], "ann"));
        assert_ne!(base, commitment(&[2; 32], "ann"));
        assert_ne!(base, commitment(&[1; 32], "bob"));
    }

    #[test]
    fn counters_take_the_next_number_and_no_other() {
        let mut counters = Counters::new();
        counters.count("a", 1).unwrap();
        counters.count("a", 2).unwrap();
        counters.count("b", 1).unwrap();
        for found in [0, 1, 2, 4] {
            let gap = Error::Gap { source_name: "a".to_owned(), expected: 3, found };
            assert_eq!(counters.count("a", found), Err(gap));
        }
        assert_eq!((counters.next("a"), counters.next("c"), counters.sources()), (3, 1, 2));
        assert_eq!(Counters::resume([("a".to_owned(), 2), ("b".to_owned(), 1)]), counters);
    }
}
