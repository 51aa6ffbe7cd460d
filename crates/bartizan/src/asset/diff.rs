//! How the facts of two assets differ: what one has and the other has not.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_server::api::asset::Described;
use clap::Args;
use serde::Serialize;

use super::one;
use crate::client::Client;
use crate::exit::Failure;
use crate::facts::flatten;
use crate::printer::{Format, Printer, Rows};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One asset's name or identifier.
    a: String,
    /// The other's.
    b: String,
    /// Compare this section alone; may be given more than once.
    #[arg(long, value_name = "NAME")]
    section: Vec<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A fact that one of two assets has.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    section: String,
    fact: String,
    /// What asset A has; none where it has no such fact.
    a: Option<String>,
    b: Option<String>,
}

pub(super) fn run(client: &Client, arguments: &Arguments) -> Result<(), Failure> {
    let a = one(client, &arguments.a)?;
    let b = one(client, &arguments.b)?;
    let (left, right) = (hashes(&a), hashes(&b));
    let asked = |name: &&str| {
        arguments.section.is_empty() || arguments.section.iter().any(|asked| asked.as_str() == *name)
    };
    if let Some(missing) = arguments
        .section
        .iter()
        .find(|name| !left.contains_key(name.as_str()) && !right.contains_key(name.as_str()))
    {
        return Err(Failure::new(
            bartizan_core::error::Class::NotFound,
            format_args!("neither asset has a section `{missing}`"),
        )
        .hint("`bartizan asset show NAME` lists the sections that it has"));
    }
    let names: BTreeSet<&str> = left.keys().chain(right.keys()).copied().filter(asked).collect();
    let mut differences = Vec::new();
    for name in names {
        if left.get(name) == right.get(name) {
            continue;
        }
        let facts = |asset: &Described, has: bool| match has {
            true => client.get(&["assets", &asset.row.id, "facts", name], &[]),
            false => Ok(serde_json::Value::Null),
        };
        let (one, other) = (facts(&a, left.contains_key(name))?, facts(&b, right.contains_key(name))?);
        differences.extend(compare(name, &one, &other));
    }
    Printer::new(arguments.output).print(&differences, |differences| rows(differences))
}

fn hashes(asset: &Described) -> BTreeMap<&str, &str> {
    asset.sections.iter().map(|section| (section.name.as_str(), section.hash.as_str())).collect()
}

/// Facts are compared without their order; two lone values of one fact stand side by side.
fn compare(section: &str, a: &serde_json::Value, b: &serde_json::Value) -> Vec<Difference> {
    let mut facts: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for (body, side) in [(a, 0), (b, 1)] {
        let mut flat = Vec::new();
        flatten("", body, &mut flat);
        for (fact, value) in flat {
            if let Some(values) = facts.entry(fact).or_default().get_mut(side) {
                values.push(value);
            }
        }
    }
    let mut differences = Vec::new();
    for (fact, [mut left, mut right]) in facts {
        left.sort();
        right.sort();
        let only = |ours: &[String], theirs: &[String]| -> Vec<String> {
            ours.iter().filter(|value| theirs.binary_search(value).is_err()).cloned().collect()
        };
        let (mut a, mut b) = (only(&left, &right).into_iter(), only(&right, &left).into_iter());
        let paired = left.len() == 1 && right.len() == 1;
        let mut tell = |a, b| {
            differences.push(Difference { section: section.to_owned(), fact: fact.clone(), a, b });
        };
        match (paired, a.len(), b.len()) {
            (true, 1, 1) => tell(a.next(), b.next()),
            _ => {
                a.for_each(|value| tell(Some(value), None));
                b.for_each(|value| tell(None, Some(value)));
            }
        }
    }
    differences
}

fn rows(differences: &[Difference]) -> Rows {
    let row = |difference: &Difference| {
        vec![
            difference.section.clone(),
            difference.fact.clone(),
            difference.a.clone().unwrap_or_default(),
            difference.b.clone().unwrap_or_default(),
        ]
    };
    Rows { header: vec!["section", "fact", "a", "b"], rows: differences.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_compared_without_their_order_and_lone_values_side_by_side() {
        let a = json!({"release": "12", "list": [{"name": "x"}, {"name": "y"}]});
        let b = json!({"release": "13", "list": [{"name": "z"}, {"name": "x"}]});
        let told: Vec<_> = compare("s", &a, &b).into_iter().map(|d| (d.fact, d.a, d.b)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("list".to_owned(), some("name=y"), None),
                ("list".to_owned(), None, some("name=z")),
                ("release".to_owned(), some("12"), some("13")),
            ]
        );
    }

    #[test]
    fn a_section_that_one_lacks_is_all_on_the_others_side() {
        let told = compare("s", &serde_json::Value::Null, &json!({"a": 1}));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].b.as_deref(), Some("1"));
    }
}
