//! Accounts and groups: passwd(5), shadow(5), group(5), and the home folders they name.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::evaluate::{Field, Item};

use super::Answer;
use super::view::{self, View};
use crate::root::Error;

/// Shells that let nobody in.
const NO_SHELLS: [&str; 3] = ["nologin", "false", "sync"];

/// Fields of shadow(5) that hold numbers of days, by their place in the line.
const DAYS: [(usize, &str); 4] = [(3, "min_days"), (4, "max_days"), (5, "warn_days"), (6, "inactive_days")];

/// Names of users and groups by their numbers; empty where the files can't be read.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    pub(super) fn read(view: &dyn View) -> Names {
        let read = |path: &str| {
            let text = view.text(path).unwrap_or_default();
            let mut names = BTreeMap::new();
            for line in text.lines() {
                let mut fields = line.split(':');
                let (name, id) = (fields.next(), fields.nth(1).and_then(|id| id.parse().ok()));
                if let (Some(name), Some(id)) = (name, id) {
                    names.entry(id).or_insert_with(|| name.to_owned());
                }
            }
            names
        };
        let mut names = Names { users: read("/etc/passwd"), groups: read("/etc/group") };
        // The number 0 is root's on every Linux, whatever the files say.
        for table in [&mut names.users, &mut names.groups] {
            table.insert(0, "root".to_owned());
        }
        names
    }

    pub(super) fn user(&self, id: u32) -> String {
        self.users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(super) fn group(&self, id: u32) -> String {
        self.groups.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// An item for each account of passwd. What shadow tells is unknown where it may not be read.
pub(super) fn accounts(view: &dyn View) -> Answer {
    let passwd = view.text("/etc/passwd")?;
    let shadow = view.text("/etc/shadow");
    let groups = view::optional(view, "/etc/group")?.unwrap_or_default();
    let groups: Vec<&str> = groups.lines().filter_map(|line| line.split(':').nth(2)).collect();
    let names = Names::read(view);
    let mut items = Vec::new();
    for line in passwd.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', '+', '-'])) {
        let fields: Vec<&str> = line.split(':').collect();
        let at = |place: usize| fields.get(place).copied().unwrap_or_default();
        let (name, shell) = (at(0), at(6));
        let bare = shell.rsplit('/').next().unwrap_or_default();
        let item = Item::new(format!("account {name}"))
            .with("name", name)
            .with("uid", number(at(2)))
            .with("gid", number(at(3)))
            .with("group_exists", groups.contains(&at(3)))
            .with("home", at(5))
            .with("shell", shell)
            .with("login", !NO_SHELLS.contains(&bare));
        let item = password(item, name, at(1), &shadow);
        items.push(home(item, view, at(5), &names));
    }
    Ok(items)
}

/// A number where it is one, so that `007` and `7` are alike; else the text as it stands.
fn number(text: &str) -> Value {
    text.parse::<u32>().map_or_else(|_| Value::from(text), Value::from)
}

fn password(item: Item, name: &str, written: &str, shadow: &Result<String, Error>) -> Item {
    if written != "x" {
        let (password, hash) = hash(written);
        return item.with("password", password).with_some("hash", hash).with("in_shadow", false);
    }
    let text = match shadow {
        Ok(text) => text.as_str(),
        Err(error) => {
            let reason = error.reason();
            let fields = ["password", "hash", "min_days", "max_days", "warn_days", "inactive_days"];
            let item = item.with("in_shadow", true);
            return fields.iter().fold(item, |item, field| item.with(field, reason));
        }
    };
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    let Some(line) = line else {
        // Nothing can match a password that is nowhere.
        return item.with("password", "locked").with("in_shadow", true);
    };
    let fields: Vec<&str> = line.split(':').collect();
    let (password, hash) = hash(fields.get(1).copied().unwrap_or_default());
    let item = item.with("password", password).with_some("hash", hash).with("in_shadow", true);
    DAYS.iter().fold(item, |item, (place, field)| {
        let days = fields.get(*place).and_then(|days| days.parse::<i32>().ok());
        item.with_some(field, days)
    })
}

/// Whether a password is set, and with which scheme of crypt(5). The hash itself goes nowhere.
fn hash(text: &str) -> (&'static str, Option<&'static str>) {
    if text.is_empty() {
        return ("empty", None);
    }
    if text.starts_with(['!', '*']) {
        return ("locked", None);
    }
    let scheme = match text.split('$').nth(1) {
        Some("y") => "yescrypt",
        Some("gy") => "gost-yescrypt",
        Some("7") => "scrypt",
        Some("6") => "sha512",
        Some("5") => "sha256",
        Some("1") => "md5",
        Some(scheme) if scheme.starts_with('2') => "bcrypt",
        Some(_) => "other",
        None => "des",
    };
    ("set", Some(scheme))
}

fn home(item: Item, view: &dyn View, home: &str, names: &Names) -> Item {
    if !home.starts_with('/') {
        return item.with("home_exists", false);
    }
    match view.status(home) {
        Ok(status) => item
            .with("home_exists", true)
            .with("home_mode", format!("{:04o}", status.mode))
            .with("home_owner", names.user(status.uid)),
        Err(Error::Missing { .. }) => item.with("home_exists", false),
        Err(error) => {
            let reason: Field = error.reason().into();
            let fields = ["home_exists", "home_mode", "home_owner"];
            fields.iter().fold(item, |item, field| item.with(field, reason.clone()))
        }
    }
}

/// An item for each group.
pub(super) fn groups(view: &dyn View) -> Answer {
    let text = view.text("/etc/group")?;
    let mut items = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', '+', '-'])) {
        let mut fields = line.split(':');
        let mut next = || fields.next().unwrap_or_default();
        let (name, written, id, members) = (next(), next(), next(), next());
        let members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
        let item = Item::new(format!("group {name}"))
            .with("name", name)
            .with("gid", number(id))
            .with("password", if written == "x" { "locked" } else { hash(written).0 })
            .with("members", Value::Array(members.map(Value::from).collect()));
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Tree;
    use bartizan_core::configuration::baseline::{Described, Example, ExampleFile};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), ExampleFile::Text((*text).to_owned()));
        let mut files: BTreeMap<_, _> = files.iter().map(file).collect();
        let home = Described { folder: true, mode: Some("0750".into()), uid: 1000, ..Described::default() };
        files.insert("/home/ada".to_owned(), ExampleFile::File(home));
        Tree::of(&Example { files, ..Example::default() })
    }

    const PASSWD: &str = "root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\nold::7:7::/nowhere:/usr/sbin/nologin\n";

    #[test]
    fn accounts_join_passwd_shadow_and_their_homes() {
        let shadow = "root:*:19000::::::\nada:$y$j9T$x$y:19000:1:365:7:30::\n";
        let items = accounts(&tree(&[
            ("/etc/passwd", PASSWD),
            ("/etc/shadow", shadow),
            ("/etc/group", "root:x:0:\nada:x:1000:bob,eve\n"),
        ]))
        .unwrap();
        let field = |n: usize, name: &str| items[n].fields.get(name).map(ToString::to_string);
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(field(0, "password"), text("locked"));
        assert_eq!(field(0, "max_days"), None);
        assert_eq!(field(1, "hash"), text("yescrypt"));
        assert_eq!(field(1, "max_days"), text("365"));
        assert_eq!(field(1, "home_mode"), text("0750"));
        assert_eq!(field(1, "home_owner"), text("ada"));
        assert_eq!(field(2, "password"), text("empty"));
        assert_eq!(field(2, "login"), text("false"));
        assert_eq!(field(2, "home_exists"), text("false"));
        assert_eq!(field(2, "group_exists"), text("false"));
    }

    #[test]
    fn groups_list_their_members() {
        let items = groups(&tree(&[("/etc/group", "sudo:x:27:ada,bob\nempty::5:\n")])).unwrap();
        assert_eq!(items[0].fields["members"].to_string(), "ada,bob");
        assert_eq!(items[1].fields["password"].to_string(), "empty");
    }
}
