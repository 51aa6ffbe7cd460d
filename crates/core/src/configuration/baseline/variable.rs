//! Variables: `${name}` in a check stands for a value.

use std::collections::{BTreeMap, BTreeSet};

use crate::canonical::Value;

/// What is said of a variable's value that is no plain one.
pub(super) const NOT_PLAIN: &str = "write text, a whole number, true, false, or a list of these";

/// Text, a number, a truth value, or a list of them.
pub(super) fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| !matches!(item, Value::Array(_)) && is_plain(item)),
        Value::Null | Value::Object(_) => false,
        Value::Bool(_) | Value::Integer(_) | Value::String(_) => true,
    }
}

/// The value with every variable put in. A text that is one variable and nothing else takes its
/// value with its type. The error is the place below `written`, and what is wrong there.
pub(super) fn put_in(
    written: &Value,
    values: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
) -> Result<Value, (String, String)> {
    let step = |path: String| move |(below, message): (String, String)| (format!("{path}{below}"), message);
    Ok(match written {
        Value::String(text) => put_in_text(text, values, used).map_err(|message| (String::new(), message))?,
        Value::Array(items) => {
            let put = |(n, item)| put_in(item, values, used).map_err(step(format!("[{n}]")));
            Value::Array(items.iter().enumerate().map(put).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let mut filled = BTreeMap::new();
            for (key, item) in map {
                filled.insert(key.clone(), put_in(item, values, used).map_err(step(format!(".{key}")))?);
            }
            Value::Object(filled)
        }
        plain => plain.clone(),
    })
}

fn put_in_text(
    text: &str,
    values: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
) -> Result<Value, String> {
    let mut find = |name: &str| {
        used.insert(name.to_owned());
        values.get(name).ok_or_else(|| format!("there is no variable `{name}` in this document"))
    };
    let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = whole.filter(|name| !name.contains('}')) {
        return find(name).cloned();
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err("a `${` has no `}`".to_owned());
        };
        filled.push_str(before);
        match find(name)? {
            Value::String(value) => filled.push_str(value),
            Value::Integer(value) => filled.push_str(&value.to_string()),
            Value::Bool(value) => filled.push_str(&value.to_string()),
            _ => return Err(format!("the list `{name}` can't stand inside a text")),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}
