//! Settings of parsed files: `key value` lines, ini, JSON, YAML, TOML.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::Format;
use bartizan_core::configuration::evaluate::Item;

use super::view::{self, View};
use super::{Answer, Unseen};

/// A value, and the line it stands on where that is known.
type Found = (Option<usize>, Value);

/// The setting's last value over all files that are there, in their order.
pub(super) fn setting(
    view: &dyn View,
    files: &[String],
    format: Format,
    section: Option<&str>,
    key: &str,
) -> Answer {
    let mut found: Option<(String, Value)> = None;
    for pattern in files {
        for path in view::expand(view, pattern)? {
            let Some(text) = view::optional(view, &path)? else { continue };
            if let Some((line, value)) = read(&text, format, section, key)
                .map_err(|why| Unseen::unparsable(format!("{path}: {why}")))?
            {
                let place = line.map_or_else(|| path.clone(), |line| format!("{path}:{line}"));
                found = Some((place, value));
            }
        }
    }
    let name = match section {
        Some(section) => format!("[{section}] {key}"),
        None => key.to_owned(),
    };
    let first = files.first().map(String::as_str).unwrap_or_default();
    Ok(vec![match found {
        Some((place, value)) => Item::new(format!("{place} {name}")).with("value", value),
        None => Item::new(format!("{first} {name}")),
    }])
}

/// The last value of the key in one text.
fn read(text: &str, format: Format, section: Option<&str>, key: &str) -> Result<Option<Found>, String> {
    match format {
        Format::KeyValue => Ok(key_value(text, None, key)),
        Format::Ini => Ok(key_value(text, Some(section.unwrap_or_default()), key)),
        Format::Toml => Ok(toml(text, section, key)),
        Format::Json => {
            let tree = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Ok(at(&tree, section, key).map(|value| (None, value)))
        }
        Format::Yaml => {
            // YAML 1.2: `yes` and `off` are words.
            let options = serde_saphyr::options! { strict_booleans: true };
            let tree: serde_json::Value =
                serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
            Ok(at(&tree, section, key).map(|value| (None, value)))
        }
    }
}

/// `key value`, `key = value` and `key=value` lines; under `[section]` where one is asked for.
fn key_value(text: &str, section: Option<&str>, key: &str) -> Option<Found> {
    let mut current = "";
    let mut found = None;
    for (number, line) in view::lines(text) {
        if section.is_some() {
            if line.starts_with(';') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                current = name.trim();
                continue;
            }
        }
        if section.is_some_and(|section| section != current) {
            continue;
        }
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if name == key {
            let value = rest.trim_start();
            let value = value.strip_prefix('=').unwrap_or(value).trim();
            found = Some((Some(number), Value::from(unquoted(value))));
        }
    }
    found
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// `[table]` headers and `key = value` lines whose value ends on its line.
fn toml(text: &str, section: Option<&str>, key: &str) -> Option<Found> {
    let wanted = match section {
        Some(section) => format!("{section}.{key}"),
        None => key.to_owned(),
    };
    let mut table = String::new();
    let mut found = None;
    for (number, line) in view::lines(text) {
        if let Some(rest) = line.strip_prefix('[') {
            table = rest.split(']').next().unwrap_or_default().trim().to_owned();
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = unquoted(name.trim());
        let path = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        if path == wanted {
            found = Some((Some(number), toml_value(value.trim())));
        }
    }
    found
}

fn toml_value(text: &str) -> Value {
    if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
        let items = inside.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Value::Array(items.map(|item| Value::from(unquoted(item))).collect());
    }
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return Value::from(inside);
        }
    }
    Value::from(text.split('#').next().unwrap_or_default().trim())
}

/// The value at a dotted path.
fn at(tree: &serde_json::Value, section: Option<&str>, key: &str) -> Option<Value> {
    let steps = section.into_iter().flat_map(|section| section.split('.')).chain(key.split('.'));
    let mut here = tree;
    for step in steps {
        here = match here {
            serde_json::Value::Object(map) => map.get(step)?,
            serde_json::Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(plain(here))
}

/// The value with numbers that have a fraction as text: conditions compare by text anyway.
fn plain(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, format: Format, section: Option<&str>, key: &str) -> Option<String> {
        let found = read(text, format, section, key).unwrap()?;
        Some(match found.1 {
            Value::String(text) => text,
            other => other.to_canonical(),
        })
    }

    #[test]
    fn each_format_gives_the_last_value_of_a_key() {
        let ini = "a = 0\n[x]\na=1\n; a=2\n[y]\na = \"3 4\"\n";
        let toml = "a = 1 # one\n[t]\nb = \"x # y\"\n[t.u]\nc = [ \"p\", 'q' ]\n";
        let table = [
            ("# a 0\na 1\n  a\t2\nab 3\n", Format::KeyValue, None, "a", Some("2")),
            ("a=1\nb = '2 3'\n", Format::KeyValue, None, "b", Some("2 3")),
            ("flag\n", Format::KeyValue, None, "flag", Some("")),
            ("", Format::KeyValue, None, "a", None),
            (ini, Format::Ini, Some("x"), "a", Some("1")),
            (ini, Format::Ini, Some("y"), "a", Some("3 4")),
            (ini, Format::Ini, None, "a", Some("0")),
            (ini, Format::Ini, Some("z"), "a", None),
            (toml, Format::Toml, None, "a", Some("1")),
            (toml, Format::Toml, Some("t"), "b", Some("x # y")),
            (toml, Format::Toml, Some("t.u"), "c", Some("[\"p\",\"q\"]")),
            (r#"{"a":{"b":[true,1.5]}}"#, Format::Json, None, "a.b.1", Some("1.5")),
            ("a:\n  b: yes\n", Format::Yaml, Some("a"), "b", Some("yes")),
            ("a: 1\n", Format::Yaml, None, "b", None),
        ];
        for (text, format, section, key, expected) in table {
            let found = value(text, format, section, key);
            assert_eq!(found.as_deref(), expected, "{format:?} {section:?} {key} in {text}");
        }
    }

    #[test]
    fn a_broken_tree_is_unparsable_and_not_absent() {
        assert!(read("{", Format::Json, None, "a").is_err());
        assert!(read("a: [", Format::Yaml, None, "a").is_err());
    }
}
