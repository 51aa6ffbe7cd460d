//! Files and their lines.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::evaluate::{ITEMS_LIMIT, Item};

use super::account::Names;
use super::view::{self, Kind, View};
use super::{Answer, Unseen};
use crate::root::Error;

/// Files that a pattern names, those that are there.
pub(super) fn files(view: &dyn View, pattern: &str) -> Answer {
    let names = Names::read(view);
    let mut items = Vec::new();
    for path in view::expand(view, pattern)? {
        let status = match view.status(&path) {
            Ok(status) => status,
            Err(Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let kind = match status.kind {
            Kind::File => "file",
            Kind::Folder => "folder",
            Kind::Other => "other",
        };
        let item = Item::new(path)
            .with("kind", kind)
            .with("mode", format!("{:04o}", status.mode))
            .with("owner", names.user(status.uid))
            .with("group", names.group(status.gid));
        items.push(item);
    }
    Ok(items)
}

/// The lines of the files that a pattern names.
pub(super) fn lines(view: &dyn View, pattern: &str) -> Answer {
    let mut items = Vec::new();
    for path in view::expand(view, pattern)? {
        let Some(text) = view::optional(view, &path)? else { continue };
        for (number, line) in view::lines(&text) {
            items.push(Item::new(format!("{path}:{number}")).with("text", Value::from(line)));
        }
        if items.len() > ITEMS_LIMIT {
            return Err(Unseen::unsupported(format!("{pattern} has more than {ITEMS_LIMIT} lines")));
        }
    }
    Ok(items)
}
