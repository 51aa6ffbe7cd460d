//! YAML text → a tree that knows on which line each value stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

use crate::canonical::{INTEGER_LIMIT, Value};

/// A value with its line.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Tree(Spanned<Node>);

#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Sequence(Vec<Tree>),
    Mapping(Vec<(Spanned<String>, Tree)>),
}

/// What is wrong, and on which line (from 1; 0 where it is not known).
#[derive(Debug)]
pub(super) struct Error {
    pub line: u64,
    pub message: String,
}

/// Reads every document of a YAML stream.
pub(super) fn parse(text: &str) -> Result<Vec<Tree>, Error> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| Error {
        line: error.location().map_or(0, |location| location.line()),
        message: error.to_string(),
    })
}

impl Tree {
    pub(super) fn line(&self) -> u64 {
        self.0.referenced.line()
    }

    /// The value without places; each place is noted in `places` under its path.
    pub(super) fn to_value(
        &self,
        path: &mut String,
        places: &mut BTreeMap<String, u64>,
    ) -> Result<Value, Error> {
        places.entry(path.clone()).or_insert_with(|| self.line());
        let fault = |message: String| Error { line: self.line(), message };
        Ok(match &self.0.value {
            Node::Null => Value::Null,
            Node::Bool(b) => Value::Bool(*b),
            Node::Integer(i) => i64::try_from(*i)
                .ok()
                .filter(|i| (-INTEGER_LIMIT..=INTEGER_LIMIT).contains(i))
                .map(Value::Integer)
                .ok_or_else(|| fault(format!("`{path}`: {i} lies outside ±(2^53 − 1); quote it")))?,
            Node::Float(number) => {
                let message = format!("`{path}`: {number} is a fraction; quote it, or use a smaller unit");
                return Err(fault(message));
            }
            Node::String(s) => Value::String(s.clone()),
            Node::Sequence(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (place, item) in items.iter().enumerate() {
                    values.push(within(path, &format!("[{place}]"), |path| item.to_value(path, places))?);
                }
                Value::Array(values)
            }
            Node::Mapping(members) => {
                let mut map = BTreeMap::new();
                for (key, item) in members {
                    let step = if path.is_empty() { key.value.clone() } else { format!(".{}", key.value) };
                    let value = within(path, &step, |path| {
                        places.insert(path.clone(), key.referenced.line());
                        item.to_value(path, places)
                    })?;
                    map.insert(key.value.clone(), value);
                }
                Value::Object(map)
            }
        })
    }
}

fn within<T>(path: &mut String, step: &str, run: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = run(path);
    path.truncate(length);
    result
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members: Vec<(Spanned<String>, Tree)> = Vec::new();
        // Beside the members, which keep the order as written: a mapping may have a hundred thousand.
        let mut keys = BTreeSet::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = access.next_value()?;
            if !keys.insert(key.value.clone()) {
                return Err(de::Error::custom(format_args!("the key `{}` stands here twice", key.value)));
            }
            members.push((key, value));
        }
        Ok(Node::Mapping(members))
    }
}
