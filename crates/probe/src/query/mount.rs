//! Mounts: in force now (proc(5), `/proc/self/mountinfo`), and what fstab(5) would mount.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::evaluate::Item;

use super::view::{self, View};
use super::{Answer, Unseen};
use crate::root::Error;

/// What is mounted; of several mounts on one folder the last, which lies on top.
pub(super) fn mounts(view: &dyn View) -> Answer {
    let text = match view.text("/proc/self/mountinfo") {
        Ok(text) => text,
        Err(Error::Missing { .. }) => return Err(Unseen::unsupported("there is no /proc/self/mountinfo")),
        Err(error) => return Err(error.into()),
    };
    let mut on_top = BTreeMap::new();
    for line in text.lines() {
        let (target, item) =
            mounted(line).ok_or_else(|| Unseen::unparsable(format!("mountinfo: `{line}`")))?;
        on_top.insert(target, item);
    }
    Ok(on_top.into_values().collect())
}

/// `id parent device root target options [tags] - type source super-options`.
fn mounted(line: &str) -> Option<(String, Item)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(4);
    let target = unescaped(before.next()?);
    let own = before.next()?;
    let mut after = after.split(' ');
    let (kind, source, shared) = (after.next()?, unescaped(after.next()?), after.next().unwrap_or_default());
    let options = own.split(',').chain(shared.split(','));
    Some((target.clone(), item(&target, &source, kind, options)))
}

/// The lines of fstab.
pub(super) fn fstab(view: &dyn View) -> Answer {
    let Some(text) = view::optional(view, "/etc/fstab")? else { return Ok(Vec::new()) };
    let line = |(number, line): (usize, &str)| {
        let mut words = line.split_whitespace();
        let (source, target, kind) = (words.next()?, words.next()?, words.next()?);
        let options = words.next().unwrap_or("defaults");
        let mut item = item(&unescaped(target), &unescaped(source), kind, options.split(','));
        item.object = format!("/etc/fstab:{number} {target}");
        Some(item)
    };
    Ok(view::lines(&text).filter_map(line).collect())
}

fn item<'a>(target: &str, source: &str, kind: &str, options: impl Iterator<Item = &'a str>) -> Item {
    let mut words: Vec<&str> = options.filter(|word| !word.is_empty()).collect();
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(*word));
    Item::new(format!("mount {target}"))
        .with("target", target)
        .with("source", source)
        .with("type", kind)
        .with("options", Value::Array(words.into_iter().map(Value::from).collect()))
}

/// Spaces, tabs, line ends and backslashes stand as octal numbers.
fn unescaped(text: &str) -> String {
    let table = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    table.iter().fold(text.to_owned(), |text, (code, letter)| text.replace(code, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_its_own_options_and_those_of_its_file_system() {
        let line = "36 35 98:0 /m1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (target, item) = mounted(line).unwrap();
        assert_eq!(target, "/mnt/a b");
        assert_eq!(item.fields["options"].to_string(), "rw,noatime,errors=continue");
        assert_eq!(item.fields["type"].to_string(), "ext3");
        assert!(mounted("36 35").is_none());
    }
}
