//! Items: what a probe answers with.

use std::collections::BTreeMap;
use std::fmt;

use crate::canonical::Value;
use crate::verdict::Reason;

/// The answer to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items {
    /// Everything there is. An empty list means that there is nothing, not that nothing was seen.
    Known(Vec<Item>),
    /// What there would be where nothing was found, but the folder that would hold it was not seen
    /// either: it proves no absence. The folder is the outermost that is missing.
    Unproven {
        items: Vec<Item>,
        folder: String,
    },
    Unknown {
        reason: Reason,
        message: String,
    },
}

/// One thing, with what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Its name for people: a path, an account, `sshd_config:12 Match User git`.
    pub object: String,
    pub fields: BTreeMap<String, Field>,
}

/// One field of an item. A field that is not there is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Text, a number, a truth value, or a list of texts.
    Known(Value),
    Unknown(Reason),
}

impl Item {
    pub fn new(object: impl Into<String>) -> Self {
        Item { object: object.into(), fields: BTreeMap::new() }
    }

    /// The same item with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Field>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The same item with one more field where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Field>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl Field {
    /// The text that conditions look at; a list's words stand between commas.
    pub(super) fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(Field::text).collect::<Vec<_>>().join(","),
            other => other.to_canonical(),
        }
    }
}

impl<T: Into<Value>> From<T> for Field {
    fn from(value: T) -> Self {
        Field::Known(value.into())
    }
}

impl From<Reason> for Field {
    fn from(reason: Reason) -> Self {
        Field::Unknown(reason)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Known(value) => f.write_str(&Field::text(value)),
            Field::Unknown(reason) => write!(f, "unknown: {reason}"),
        }
    }
}
