//! Canonical JSON: the one form that digests and signatures are over.
//!
//! RFC 8785 narrowed to objects, arrays, strings, booleans, null and integers within
//! ±(2^53 − 1). Floats and duplicate keys are errors, so that two readers can never see
//! two documents in the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest integer that a value may hold, and its negative the smallest: 2^53 − 1.
pub const INTEGER_LIMIT: i64 = (1 << 53) - 1;

/// A JSON value without floats.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    String(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// Why something has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not canonical JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{value} lies outside ±(2^53 − 1), where JSON readers disagree")]
    IntegerRange { value: String },
}

impl Value {
    /// Reads JSON text. Floats, duplicate keys, trailing text and integers out of range are errors.
    pub fn parse(text: &str) -> Result<Value, Error> {
        Ok(serde_json::from_str(text)?)
    }

    /// Reads JSON bytes, as [`Value::parse`] does.
    pub fn parse_slice(bytes: &[u8]) -> Result<Value, Error> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The value that `data` serialises to.
    pub fn from_data<T: Serialize + ?Sized>(data: &T) -> Result<Value, Error> {
        Ok(serde_json::from_value(serde_json::to_value(data)?)?)
    }

    /// Reads this value as a type; the error carries the path of the field at fault.
    pub fn to_data<T: DeserializeOwned>(&self) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
        serde_path_to_error::deserialize(self.to_json())
    }

    /// The same value in `serde_json`'s type, for printers and typed readers.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Integer(i) => (*i).into(),
            Value::String(s) => s.as_str().into(),
            Value::Array(items) => items.iter().map(Value::to_json).collect(),
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
        }
    }

    /// The canonical text: no white space, keys in UTF-16 order, shortest escapes (RFC 8785 section 3.2).
    pub fn to_canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The member `key`, where this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(map) => map.get(key),
            _ => None,
        }
    }

    /// The text, where this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Integer(i) => out.push_str(&i.to_string()),
            Value::String(s) => write_string(s, out),
            Value::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                // A BTreeMap orders by code point; the RFC asks for UTF-16 code units, which
                // differ where one key has a character above U+FFFF.
                if !map.keys().all(|key| key.is_ascii()) {
                    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                }
                out.push('{');
                for (place, (key, value)) in members.into_iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_canonical())
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl From<$source> for Value {
            fn from(value: $source) -> Self { Value::$variant(value.into()) }
        }
    )*};
}
from!(bool => Bool, i32 => Integer, u32 => Integer, &str => String, String => String,
      Vec<Value> => Array, BTreeMap<String, Value> => Object);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Integer(i) => serializer.serialize_i64(*i),
            Value::String(s) => serializer.serialize_str(s),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Object(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, array, string, boolean, null or integer")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        integer(i128::from(value)).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        integer(i128::from(value)).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(format_args!("{value} is a float; write a string or an integer in a smaller unit")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value()?;
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key `{key}` stands here twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

fn integer(value: i128) -> Result<Value, Error> {
    match i64::try_from(value) {
        Ok(i) if (-INTEGER_LIMIT..=INTEGER_LIMIT).contains(&i) => Ok(Value::Integer(i)),
        _ => Err(Error::IntegerRange { value: value.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_ordered_by_utf_16_code_units() {
        // The names of RFC 8785 section 3.2.3, in its order.
        let text = r#"{"€":1,"\r":2,"\ufb33":3,"1":4,"😀":5,"\u0080":6,"ö":7}"#;
        let value = Value::parse(text).unwrap();
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
        assert_eq!(value.to_canonical(), expected);
    }

    #[test]
    fn strings_take_the_shortest_escape() {
        let value = Value::parse(r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#).unwrap();
        assert_eq!(value.to_canonical(), r#""€$\u000f\nA'B\"\\\\\"/""#);
    }

    #[test]
    fn what_readers_could_disagree_on_is_an_error() {
        for bad in [
            "1.0",
            "1e3",
            "9007199254740992",
            "-9007199254740992",
            r#"{"a":1,"a":1}"#,
            "1 2",
            "NaN",
            r#""\ud800""#,
            "18446744073709551616",
        ] {
            assert!(Value::parse(bad).is_err(), "{bad}");
        }
        assert!(Value::parse("9007199254740991").is_ok());
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(Value::parse(&deep).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-INTEGER_LIMIT..=INTEGER_LIMIT).prop_map(Value::Integer),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_to_the_same_value(value in any_value()) {
            let text = value.to_canonical();
            prop_assert_eq!(Value::parse(&text).unwrap(), value);
        }
    }
}
