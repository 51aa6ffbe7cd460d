//! Selectors: a list of matchers over labels that must all hold.
//!
//! The words are Alertmanager's: `team=web`, `environment!=dev`, `release=~"12|13"`,
//! `name!~canary.*`. Regular expressions match the whole value. A label that is absent
//! has the empty value. `service`, `environment` and `class` are labels that every asset has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// The longest matcher that is read, in bytes.
pub const MATCHER_BYTES_LIMIT: usize = 1_024;

/// The memory that one compiled pattern may take, in bytes.
const PATTERN_BYTES_LIMIT: usize = 1 << 20;

/// Matchers that must all hold; an empty selector holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Selector(#[schemars(with = "Vec<String>")] Vec<Matcher>);

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: String,
    operator: Operator,
    value: String,
    pattern: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Like,
    NotLike,
}

/// Why a written matcher is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a matcher: write label=value, label!=value, label=~pattern or label!~pattern")]
    NotAMatcher(String),
    #[error("the pattern in `{matcher}` can't be read: {why}")]
    Pattern { matcher: String, why: String },
    #[error("a matcher may have {MATCHER_BYTES_LIMIT} bytes, this one has {0}")]
    TooLong(usize),
}

impl Selector {
    /// A selector of these matchers.
    pub fn new(matchers: Vec<Matcher>) -> Self {
        Self(matchers)
    }

    /// Whether every matcher holds for these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// The matchers, as written.
    pub fn matchers(&self) -> &[Matcher] {
        &self.0
    }
}

impl Matcher {
    /// The label that this matcher looks at.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The one value that it holds for, where there is but one.
    pub fn exactly(&self) -> Option<&str> {
        (self.operator == Operator::Equal).then_some(self.value.as_str())
    }

    /// Whether it lists the values that it holds for: one, or an alternation of them with nothing
    /// open in it. Whatever else holds for values that nobody thought of.
    pub fn pins(&self) -> bool {
        match self.operator {
            Operator::Equal => !self.value.is_empty(),
            Operator::Like => is_alternation(&self.value),
            Operator::NotEqual | Operator::NotLike => false,
        }
    }

    /// Whether it holds for these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let like = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.operator {
            Operator::Equal => value == self.value,
            Operator::NotEqual => value != self.value,
            Operator::Like => like(),
            Operator::NotLike => !like(),
        }
    }
}

/// Whether a pattern is literals alone, with `|` between them, and perhaps one pair of brackets around all.
fn is_alternation(pattern: &str) -> bool {
    let inner = pattern.strip_suffix(')').and_then(|rest| {
        let inside = rest.strip_prefix("(?:").or_else(|| rest.strip_prefix('('));
        inside.filter(|_| !rest.ends_with('\\'))
    });
    inner.unwrap_or(pattern).split('|').all(is_literal)
}

/// Whether a pattern holds for one value alone, which is not the empty one.
fn is_literal(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            // `\.` is a dot; `\d` is a class.
            '\\' => characters.next().is_some_and(|next| next.is_ascii_punctuation() && !"<>".contains(next)),
            other => !".^$*+?()[]{}|".contains(other),
        };
        if !plain {
            return false;
        }
    }
    !pattern.is_empty()
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.operator, &self.value) == (&other.label, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl Operator {
    const fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Like => "=~",
            Operator::NotLike => "!~",
        }
    }
}

/// What is wrong with a pattern, in one line: the lines before draw it, with what we put around it.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl FromStr for Matcher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MATCHER_BYTES_LIMIT {
            return Err(Error::TooLong(text.len()));
        }
        let fault = || Error::NotAMatcher(text.to_owned());
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')))
            .filter(|end| *end > 0)
            .ok_or_else(fault)?;
        let (label, rest) = text.split_at(end);
        let (operator, value) = [Operator::Like, Operator::NotLike, Operator::NotEqual, Operator::Equal]
            .into_iter()
            .find_map(|op| rest.strip_prefix(op.as_str()).map(|value| (op, value)))
            .ok_or_else(fault)?;
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or_else(fault)?,
            None => value,
        };
        let pattern = match operator {
            Operator::Like | Operator::NotLike => Some(
                regex::RegexBuilder::new(&format!("^(?:{value})$"))
                    .size_limit(PATTERN_BYTES_LIMIT)
                    .build()
                    .map_err(|error| Error::Pattern { matcher: text.to_owned(), why: why(&error) })?,
            ),
            Operator::Equal | Operator::NotEqual => None,
        };
        Ok(Matcher { label: label.to_owned(), operator, value: value.to_owned(), pattern })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.label, self.operator.as_str(), self.value)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, matcher) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{matcher}")?;
        }
        Ok(())
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(matcher: &str) -> bool {
        let labels = Labels::from([("service".into(), "web".into()), ("release".into(), "12".into())]);
        matcher.parse::<Matcher>().unwrap().matches(&labels)
    }

    #[test]
    fn each_operator_holds_and_fails_as_alertmanager_has_it() {
        for yes in [
            "service=web",
            "service!=db",
            "release=~1[23]",
            r#"service=~"w.b""#,
            "service!~d.*",
            "absent=",
            "absent!=x",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in ["service=we", "service!=web", "release=~1", "service!~w.*", "absent=x"] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn a_matcher_pins_its_label_where_it_lists_the_values() {
        for pin in ["service=web", "service=~web", "service=~web|shop", r"x=~(?:a\.b|c-d)", "x=~(a|b)"] {
            assert!(pin.parse::<Matcher>().unwrap().pins(), "{pin}");
        }
        let open = [
            "service=",
            "service!=web",
            "service!~web",
            "service=~.*",
            "rule=~.*e.*",
            "vulnerability=~CVE-20.*",
            "service=~web|.*",
            "service=~web|",
            "service=~|web",
            "service=~",
            "service=~()",
            "service=~(?i)web",
            "service=~(a|b)|c",
            "service=~[a-z]",
            r"service=~\w",
            r"service=~a\",
            "service=~a?",
        ];
        for matcher in open.iter().filter_map(|matcher| matcher.parse::<Matcher>().ok()) {
            assert!(!matcher.pins(), "{matcher}");
        }
    }

    #[test]
    fn a_matcher_that_can_not_be_read_says_how_to_write_one() {
        for bad in ["", "service", "=web", "service<3", "service=\"web", "x=~("] {
            assert!(bad.parse::<Matcher>().is_err(), "{bad}");
        }
        assert!(matches!("x=".repeat(2_000).parse::<Matcher>(), Err(Error::TooLong(_))));
    }
}
