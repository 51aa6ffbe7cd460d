//! What a change would do to each document of an environment, line by line.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::change::{Content, Item};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

/// The most documents whose lines are told; of the others, only what happens to them.
const DOCUMENTS_LIMIT: usize = 50;

/// The longest text that is compared line by line, in bytes.
const TEXT_BYTES_LIMIT: usize = 256 << 10;

/// The most lines that one document is told with.
const LINES_LIMIT: usize = 400;

/// How many unchanged lines stand around a changed one.
const CONTEXT_LINES: usize = 3;

/// What a change does to one document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    pub kind: String,
    pub name: String,
    /// `new`, `changed`, `same`, `deleted`, or `absent` where what is deleted is not there.
    pub fate: String,
    pub lines: Vec<Line>,
    /// Whether more lines differ than are told.
    pub cut: bool,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// `+` comes, `-` goes, a space stays, `@` stands where lines are left out.
    pub mark: char,
    pub text: String,
}

/// What a content does to the documents that an environment holds, by kind and name.
pub(super) fn differences(content: &Content, held: &BTreeMap<(String, String), Value>) -> Vec<Difference> {
    let mut told = Vec::new();
    for (place, (kind, name, item)) in content.items().enumerate() {
        let before = held.get(&(kind.to_owned(), name.to_owned()));
        let after = match item {
            Item::Written(value) => Some(value),
            Item::Deleted => None,
        };
        let fate = match (before, after) {
            (None, Some(_)) => "new",
            (Some(before), Some(after)) if before == after => "same",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "deleted",
            (None, None) => "absent",
        };
        let (lines, cut) = if place < DOCUMENTS_LIMIT && fate != "same" {
            compare(&before.map(text).unwrap_or_default(), &after.map(text).unwrap_or_default())
        } else {
            (Vec::new(), fate != "same")
        };
        told.push(Difference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            fate: fate.to_owned(),
            lines,
            cut,
        });
    }
    told
}

/// A document as YAML, as people write it; its comments are gone.
pub(super) fn text(value: &Value) -> String {
    let value = value.to_json();
    // What YAML can't say, JSON can: every JSON text is YAML.
    serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string())
}

fn compare(before: &str, after: &str) -> (Vec<Line>, bool) {
    if before.len().max(after.len()) > TEXT_BYTES_LIMIT {
        return (Vec::new(), true);
    }
    let compared = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (place, group) in compared.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if place > 0 {
            lines.push(Line { mark: '@', text: String::new() });
        }
        for change in group.iter().flat_map(|part| compared.iter_changes(part)) {
            if lines.len() >= LINES_LIMIT {
                return (lines, true);
            }
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(Line { mark, text: change.value().trim_end_matches('\n').to_owned() });
        }
    }
    (lines, false)
}

#[cfg(test)]
mod tests {
    use bartizan_core::document::parse;

    use super::*;

    const BEFORE: &str = "kind: Baseline\nname: a\nspec: {port: 22, log: yes}\n";

    fn told(content: &str, held: &[&str], deleted: &[&str]) -> Vec<Difference> {
        let written = parse("c.yaml", content).unwrap();
        let gone = deleted.iter().map(|name| ("Baseline".to_owned(), (*name).to_owned()));
        let content = Content::new(&written, gone).unwrap();
        let held = held.iter().flat_map(|text| parse("h.yaml", text).unwrap());
        let held = held.map(|held| ((held.kind, held.name), held.written)).collect();
        differences(&content, &held)
    }

    #[test]
    fn a_changed_line_stands_between_those_that_stay() {
        let told = told(&BEFORE.replace("22", "23"), &[BEFORE], &[]);
        assert_eq!(told[0].fate, "changed");
        let marked: Vec<_> = told[0].lines.iter().filter(|line| line.mark != ' ').collect();
        let lines: Vec<_> = marked.iter().map(|line| format!("{}{}", line.mark, line.text.trim())).collect();
        assert_eq!(lines, ["-port: 22", "+port: 23"]);
    }

    #[test]
    fn what_is_new_the_same_deleted_or_never_was_is_told_by_its_word() {
        let new = "kind: Baseline\nname: z\nspec: {port: 1}\n";
        let told =
            told(&format!("{BEFORE}---\n{new}"), &[BEFORE, &BEFORE.replace("name: a", "name: b")], &["n"]);
        let fates: Vec<_> = told.iter().map(|one| (one.name.as_str(), one.fate.as_str())).collect();
        assert_eq!(fates, [("a", "same"), ("n", "absent"), ("z", "new")]);
        assert!(told[2].lines.iter().all(|line| line.mark == '+'), "{:?}", told[2].lines);
    }

    #[test]
    fn a_very_long_document_is_cut() {
        let rules: String = (0..2_000).map(|n| format!("    k{n}: {n}\n")).collect();
        let told = told(&format!("kind: Baseline\nname: a\nspec:\n{rules}"), &[], &[]);
        assert!(told[0].cut && told[0].lines.len() <= LINES_LIMIT);
    }
}
