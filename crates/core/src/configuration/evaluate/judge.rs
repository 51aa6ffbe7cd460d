//! Judging one test: a selection over items, in three values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::item::{Field, Item, Items};
use super::{Evidence, Query};
use crate::canonical::Value;
use crate::configuration::baseline::{Condition, Scalar, Selection};
use crate::fact::PackageManager;
use crate::verdict::{Reason, Verdict};
use crate::vulnerability::version::{self, Scheme};

/// The most characters of a value that evidence shows.
const ACTUAL_CHARACTERS: usize = 200;

/// What a test is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// The obligation: that nothing was found must not meet it where nothing was looked into.
    Asked,
    /// Its opposite, under `not`.
    Negated,
    /// Whether the obligation holds at all: a folder that is missing inside one that is there says
    /// that it does not; where even the outermost is missing, nobody can say.
    Condition,
}

impl Sense {
    /// The sense inside of a `not`.
    pub(super) const fn turned(self) -> Sense {
        match self {
            Sense::Asked => Sense::Negated,
            Sense::Negated => Sense::Asked,
            Sense::Condition => Sense::Condition,
        }
    }

    /// Whether a verdict over nothing stands although the folder was not seen.
    fn stands(self, verdict: Verdict, folder: &str) -> bool {
        match self {
            Sense::Asked => verdict != Verdict::Met,
            Sense::Negated => verdict != Verdict::NotMet,
            Sense::Condition => folder.matches('/').count() > 1,
        }
    }
}

/// Judges what a query answered.
pub(super) fn judge(
    query: &Query,
    items: &Items,
    selection: &Selection,
    sense: Sense,
) -> (Verdict, Vec<Evidence>) {
    match items {
        Items::Unproven { items, folder } => {
            let (verdict, evidence) = judge_items(query, items, selection);
            if sense.stands(verdict, folder) {
                return (verdict, evidence);
            }
            let verdict = Verdict::Unknown(Reason::Unseen);
            let actual = format!("{verdict} (there is no folder {folder})");
            let expected = describe(selection);
            (verdict, vec![Evidence { object: query.to_string(), expected, actual, verdict }])
        }
        Items::Unknown { reason, message } => {
            let verdict = Verdict::Unknown(*reason);
            let actual =
                if message.is_empty() { verdict.to_string() } else { format!("{verdict} ({message})") };
            let expected = describe(selection);
            (verdict, vec![Evidence { object: query.to_string(), expected, actual, verdict }])
        }
        Items::Known(items) => judge_items(query, items, selection),
    }
}

fn judge_items(query: &Query, items: &[Item], selection: &Selection) -> (Verdict, Vec<Evidence>) {
    let chosen: Vec<(&Item, Verdict)> = items
        .iter()
        .map(|item| (item, holds(&selection.chosen, item)))
        .filter(|(_, chosen)| *chosen != Verdict::NotMet)
        .collect();
    let mut verdicts = Vec::new();
    let mut evidence = Vec::new();
    match selection.found {
        Some(false) => {
            let none = Verdict::any(chosen.iter().map(|(_, chosen)| *chosen)).negate();
            verdicts.push(none);
            if chosen.is_empty() {
                evidence.push(missing(query, selection, none));
            }
            evidence.extend(chosen.iter().map(|(item, chosen)| Evidence {
                object: item.object.clone(),
                expected: describe(selection),
                actual: if *chosen == Verdict::Met { "there".to_owned() } else { chosen.to_string() },
                verdict: chosen.negate(),
            }));
        }
        Some(true) => {
            let some = Verdict::any(chosen.iter().map(|(_, chosen)| *chosen));
            verdicts.push(some);
            if some != Verdict::Met {
                evidence.push(missing(query, selection, some));
            } else if selection.every.is_empty() {
                evidence.extend(chosen.iter().map(|(item, chosen)| Evidence {
                    object: item.object.clone(),
                    expected: describe(selection),
                    actual: if *chosen == Verdict::Met { "there".to_owned() } else { chosen.to_string() },
                    verdict: Verdict::Met,
                }));
            }
        }
        None if chosen.is_empty() => evidence.push(missing(query, selection, Verdict::Met)),
        None => {}
    }
    for (item, chosen) in &chosen {
        for (field, condition) in &selection.every {
            let holds = condition.judge(item, field);
            let verdict = Verdict::any([chosen.negate(), holds]);
            verdicts.push(verdict);
            evidence.push(Evidence {
                object: named(item, field),
                expected: condition.describe(),
                actual: actual(item.fields.get(field)),
                verdict,
            });
        }
    }
    if let Some(field) = &selection.unique {
        let (verdict, found) = unique(&chosen, field);
        verdicts.push(verdict);
        evidence.extend(found);
    }
    (Verdict::all(verdicts), evidence)
}

/// Whether every condition holds for the item.
fn holds(conditions: &BTreeMap<String, Condition>, item: &Item) -> Verdict {
    Verdict::all(conditions.iter().map(|(field, condition)| condition.judge(item, field)))
}

/// The fields whose name says nothing that the object does not.
fn named(item: &Item, field: &str) -> String {
    match field {
        "value" | "text" => item.object.clone(),
        _ => format!("{} {field}", item.object),
    }
}

fn missing(query: &Query, selection: &Selection, verdict: Verdict) -> Evidence {
    let actual = match verdict {
        Verdict::Unknown(_) => verdict.to_string(),
        Verdict::Met | Verdict::NotMet => "none".to_owned(),
    };
    Evidence { object: query.to_string(), expected: describe(selection), actual, verdict }
}

/// Whether no two chosen items are alike in a field.
fn unique(chosen: &[(&Item, Verdict)], field: &str) -> (Verdict, Vec<Evidence>) {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut unseen = None;
    for (item, chosen) in chosen {
        match (item.fields.get(field), chosen) {
            (Some(Field::Known(value)), Verdict::Met) => {
                places.entry(Field::text(value)).or_default().push(&item.object);
            }
            (Some(Field::Unknown(reason)), _) | (_, Verdict::Unknown(reason)) => unseen = Some(*reason),
            _ => {}
        }
    }
    let alike: Vec<Evidence> = places
        .into_iter()
        .filter(|(_, objects)| objects.len() > 1)
        .map(|(value, objects)| Evidence {
            object: objects.join(", "),
            expected: format!("no two with the same {field}"),
            actual: format!("{field} {value}"),
            verdict: Verdict::NotMet,
        })
        .collect();
    let verdict = match unseen {
        _ if !alike.is_empty() => Verdict::NotMet,
        Some(reason) => Verdict::Unknown(reason),
        None => Verdict::Met,
    };
    (verdict, alike)
}

/// What a selection asks, in words.
fn describe(selection: &Selection) -> String {
    let list = |conditions: &BTreeMap<String, Condition>| {
        let each = conditions.iter().map(|(field, condition)| format!("{field} {}", condition.describe()));
        each.collect::<Vec<_>>().join(" and ")
    };
    if selection.found.is_none() && selection.chosen.is_empty() && !selection.every.is_empty() {
        return list(&selection.every);
    }
    let mut text = match selection.found {
        Some(true) => "at least one".to_owned(),
        Some(false) => "none".to_owned(),
        None => "every one".to_owned(),
    };
    if !selection.chosen.is_empty() {
        let _ = write!(text, " with {}", list(&selection.chosen));
    }
    if !selection.every.is_empty() {
        let _ = write!(text, ", each {}", list(&selection.every));
    }
    text
}

fn actual(field: Option<&Field>) -> String {
    let text = field.map_or_else(|| "absent".to_owned(), Field::to_string);
    match text.char_indices().nth(ACTUAL_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Condition {
    /// Whether a field of an item is as this condition says.
    fn judge(&self, item: &Item, field: &str) -> Verdict {
        let value = match item.fields.get(field) {
            None => return (self.absent || self.or_absent).into(),
            Some(Field::Unknown(reason)) => return Verdict::Unknown(*reason),
            Some(Field::Known(_)) if self.absent => return Verdict::NotMet,
            Some(Field::Known(value)) => value,
        };
        let text = Field::text(value);
        let is = |scalar: &Scalar| scalar.to_string() == text;
        let words = words(value, &text);
        let has = |scalar: &Scalar| words.contains(&scalar.to_string().as_str());
        let plain = [
            self.equals.as_ref().map(is),
            self.not_equals.as_ref().map(|other| !is(other)),
            self.one_of.as_ref().map(|values| values.iter().any(is)),
            self.none_of.as_ref().map(|values| !values.iter().any(is)),
            self.matches.as_ref().map(|pattern| pattern.is_match(&text)),
            self.not_matches.as_ref().map(|pattern| !pattern.is_match(&text)),
            self.contains.as_ref().map(|values| values.iter().all(has)),
            self.excludes.as_ref().map(|values| !values.iter().any(has)),
            self.within
                .as_ref()
                .map(|values| words.iter().all(|word| values.iter().any(|value| value.to_string() == *word))),
        ];
        let plain = plain.into_iter().flatten().map(Verdict::from);
        let numbers = [(&self.at_least, Ordering::Less), (&self.at_most, Ordering::Greater)];
        let numbers = numbers.into_iter().filter_map(|(limit, wrong)| {
            let limit = limit.as_ref()?.integer()?;
            Some(match text.trim().parse::<i64>() {
                Ok(number) => (number.cmp(&limit) != wrong).into(),
                Err(_) => Verdict::Unknown(Reason::Unparsable),
            })
        });
        let bits = self.bits_within.as_ref().and_then(Scalar::bits).map(|allowed| {
            u32::from_str_radix(&text, 8)
                .map_or(Verdict::Unknown(Reason::Unparsable), |bits| (bits & !allowed == 0).into())
        });
        let version = self.version_at_least.as_deref().map(|least| at_least(item, &text, least));
        Verdict::all(plain.chain(numbers).chain(bits).chain(version))
    }

    /// What it asks, in words.
    fn describe(&self) -> String {
        let list = |values: &[Scalar]| values.iter().map(Scalar::to_string).collect::<Vec<_>>().join(", ");
        let parts = [
            self.equals.as_ref().map(Scalar::to_string),
            self.not_equals.as_ref().map(|value| format!("not {value}")),
            self.one_of.as_ref().map(|values| format!("one of {}", list(values))),
            self.none_of.as_ref().map(|values| format!("none of {}", list(values))),
            self.at_least.as_ref().map(|value| format!("at least {value}")),
            self.at_most.as_ref().map(|value| format!("at most {value}")),
            self.matches.as_ref().map(|pattern| format!("like {pattern}")),
            self.not_matches.as_ref().map(|pattern| format!("not like {pattern}")),
            self.contains.as_ref().map(|values| format!("with {}", list(values))),
            self.excludes.as_ref().map(|values| format!("without {}", list(values))),
            self.within.as_ref().map(|values| format!("only {}", list(values))),
            self.bits_within.as_ref().map(|bits| format!("{bits} or fewer bits")),
            self.version_at_least.as_ref().map(|version| format!("at least {version}")),
            self.absent.then(|| "absent".to_owned()),
        ];
        let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        if self.or_absent {
            text.push_str(" or absent");
        }
        text
    }
}

/// The words of a value: a list's own, or what stands between commas and white space.
fn words<'a>(value: &'a Value, text: &'a str) -> Vec<&'a str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).collect(),
    }
}

/// Whether an item's version is at least this one. A version that breaks its scheme's rules is
/// unknown: matching takes no guess.
fn at_least(item: &Item, text: &str, least: &str) -> Verdict {
    let manager = match item.fields.get("manager") {
        Some(Field::Known(Value::String(manager))) => manager.as_str(),
        _ => "dpkg",
    };
    let scheme = Scheme::from(match manager {
        "rpm" => PackageManager::Rpm,
        "apk" => PackageManager::Apk,
        _ => PackageManager::Dpkg,
    });
    if version::validate(scheme, text).is_err() || version::validate(scheme, least).is_err() {
        return Verdict::Unknown(Reason::Unparsable);
    }
    match version::compare(scheme, text, least) {
        Ok(order) => (order != Ordering::Less).into(),
        Err(_) => Verdict::Unknown(Reason::Unparsable),
    }
}

#[cfg(test)]
mod tests;
