//! SHA-256 digests: the identity of everything derived.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::canonical::Value;

/// A SHA-256 digest (FIPS 180-4). Prints as `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A digest that is not written as `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: write `sha256:` and 64 lower-case hex digits")]
pub struct Malformed(String);

impl Digest {
    /// The digest of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of a value's canonical JSON.
    pub fn of(value: &Value) -> Self {
        Self::of_bytes(value.to_canonical().as_bytes())
    }

    /// The identity of a derived thing: the digest of `["bartizan/KIND/v1", …parts]`.
    pub fn derived(kind: &str, parts: impl IntoIterator<Item = Value>) -> Self {
        let mut items = vec![Value::String(format!("bartizan/{kind}/v1"))];
        items.extend(parts);
        Self::of(&Value::Array(items))
    }

    /// The 32 bytes as they come from the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest that these 32 bytes are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first 12 hex digits, for people; never for a comparison.
    pub fn short(&self) -> String {
        hex::encode(self.0.get(..6).unwrap_or_default())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fault = || Malformed(text.to_owned());
        let digits = text.strip_prefix("sha256:").ok_or_else(fault)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(fault());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| fault())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_prints_with_its_algorithm() {
        let empty = Digest::of_bytes(b"");
        assert_eq!(
            empty.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(empty.to_string().parse::<Digest>().unwrap(), empty);
    }

    #[test]
    fn another_spelling_of_a_digest_is_refused() {
        let good = Digest::of_bytes(b"").to_string();
        for bad in [good.to_uppercase(), good.replace("sha256:", ""), format!("{good}0"), String::new()] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_derived_identity_depends_on_its_kind_and_each_part() {
        let parts = || ["a".into(), "b".into()];
        let base = Digest::derived("finding", parts());
        assert_eq!(base, Digest::derived("finding", parts()));
        assert_ne!(base, Digest::derived("alert", parts()));
        assert_ne!(base, Digest::derived("finding", ["ab".into(), "".into()]));
    }
}
