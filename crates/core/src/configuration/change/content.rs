//! What a change consists of: documents as written, and deletions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::canonical::Value;
use crate::digest::Digest;
use crate::document::Document;
use crate::error::Class;

/// The most documents in one change.
pub const ITEMS_LIMIT: usize = 10_000;

/// One document's fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// The whole document as written, with the values of every environment inside it.
    Written(Value),
    Deleted,
}

/// The sorted set of (kind, name, document or deletion): the change's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Row>", into = "Vec<Row>")]
pub struct Content(BTreeMap<(String, String), Item>);

#[derive(Clone, Serialize, Deserialize)]
struct Row {
    kind: String,
    name: String,
    item: Item,
}

/// Why content can't be a change's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{kind} `{name}` is in the change twice")]
    Twice { kind: String, name: String },
    #[error("a change of nothing is none")]
    Empty,
    #[error("a change may hold {ITEMS_LIMIT} documents, this one has {0}: split it")]
    TooMany(usize),
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Twice { .. } | Error::Empty => Class::Invalid,
            Error::TooMany(_) => Class::Limit,
        }
    }
}

impl Content {
    /// The content that writes these documents and deletes those (kind, name).
    pub fn new<'a>(
        written: impl IntoIterator<Item = &'a Document>,
        deleted: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let written = written.into_iter().map(|document| {
            let name = (document.kind.clone(), document.name.clone());
            (name, Item::Written(document.written.clone()))
        });
        let deleted = deleted.into_iter().map(|name| (name, Item::Deleted));
        let mut items = BTreeMap::new();
        for (name, item) in written.chain(deleted) {
            match items.entry(name) {
                Entry::Vacant(place) => place.insert(item),
                Entry::Occupied(place) => {
                    let (kind, name) = place.key().clone();
                    return Err(Error::Twice { kind, name });
                }
            };
        }
        match items.len() {
            0 => Err(Error::Empty),
            many if many > ITEMS_LIMIT => Err(Error::TooMany(many)),
            _ => Ok(Self(items)),
        }
    }

    /// The digest that tests, reviews, approvals and execution name.
    pub fn digest(&self) -> Digest {
        // A document is always an object, so that null can only mean a deletion.
        let rows = self.0.iter().map(|((kind, name), item)| {
            let document = match item {
                Item::Written(value) => value.clone(),
                Item::Deleted => Value::Null,
            };
            Value::Array(vec![Value::String(kind.clone()), Value::String(name.clone()), document])
        });
        Digest::derived("change", rows)
    }

    /// The items in order: (kind, name) and fate.
    pub fn items(&self) -> impl Iterator<Item = (&str, &str, &Item)> {
        self.0.iter().map(|((kind, name), item)| (kind.as_str(), name.as_str(), item))
    }
}

impl From<Vec<Row>> for Content {
    fn from(rows: Vec<Row>) -> Self {
        Self(rows.into_iter().map(|row| ((row.kind, row.name), row.item)).collect())
    }
}

impl From<Content> for Vec<Row> {
    fn from(content: Content) -> Self {
        content.0.into_iter().map(|((kind, name), item)| Row { kind, name, item }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn documents(text: &str) -> Vec<Document> {
        parse("change.yaml", text).unwrap()
    }

    const A: &str = "kind: Baseline\nname: a\nspec: {port: 22}\n";
    const B: &str = "kind: Baseline\nname: b\nspec: {port: 22}\n";

    fn digest(text: &str) -> Digest {
        Content::new(&documents(text), []).unwrap().digest()
    }

    #[test]
    fn the_digest_is_of_what_is_written_in_no_matter_which_order_or_layout() {
        assert_eq!(digest(&format!("{A}---\n{B}")), digest(&format!("{B}---\n{A}")));
        assert_eq!(digest(A), digest("# a comment\nname: a\nkind: Baseline\nspec:\n  port: 22\n"));
        assert_ne!(digest(A), digest(&A.replace("22", "23")));
        assert_ne!(digest(A), digest(B));
    }

    #[test]
    fn a_deletion_is_another_change_than_a_document() {
        let deletion = Content::new([], [("Baseline".to_owned(), "a".to_owned())]).unwrap();
        assert_ne!(deletion.digest(), digest(A));
    }

    #[test]
    fn content_that_is_empty_or_says_a_thing_twice_is_refused() {
        assert_eq!(Content::new([], []), Err(Error::Empty));
        let twice = Content::new(&documents(A), [("Baseline".to_owned(), "a".to_owned())]);
        assert_eq!(twice, Err(Error::Twice { kind: "Baseline".into(), name: "a".into() }));
        let many = (0..=ITEMS_LIMIT).map(|n| ("Baseline".to_owned(), n.to_string()));
        assert_eq!(Content::new([], many), Err(Error::TooMany(ITEMS_LIMIT + 1)));
    }

    #[test]
    fn content_reads_back_from_json_with_its_digest() {
        let content = Content::new(&documents(A), [("Baseline".to_owned(), "b".to_owned())]).unwrap();
        let json = serde_json::to_string(&content).unwrap();
        let back: Content = serde_json::from_str(&json).unwrap();
        assert_eq!(back.digest(), content.digest());
    }
}
