//! The `accounts` section: users, groups, and whether a password opens them.

pub mod sudoers;

use std::collections::BTreeMap;

use bartizan_core::fact::Section;
use bartizan_core::fact::account::{Accounts, Ageing, Group, Password, Scheme, User};
use bartizan_core::verdict::Reason;

use crate::look::text;
use crate::root::{Error, Limit, Root};

/// Some hundred thousand accounts.
const DATABASE: Limit = Limit { name: "account database", bytes: 32 << 20 };

/// What stands in `/etc/passwd` where the password is in `/etc/shadow`.
const SHADOWED: &str = "x";

/// One line of shadow(5), without the hash.
struct Shadow {
    password: Password,
    ageing: Ageing,
}

pub fn collect(root: &Root) -> Section<Accounts> {
    let mut section = Section::new(Accounts::default());
    let shadow = shadow(root, &mut section);
    let users = text(root, "/etc/passwd", DATABASE, &mut section);
    if users.is_none() && section.unknown.is_empty() {
        section.miss("/etc/passwd", Reason::Error);
    }
    for line in users.unwrap_or_default().lines().filter(|line| is_entry(line)) {
        match user(line, shadow.as_ref()) {
            Some(user) => section.body.users.push(user),
            None => malformed("/etc/passwd", line, &mut section),
        }
    }
    let groups = text(root, "/etc/group", DATABASE, &mut section);
    for line in groups.unwrap_or_default().lines().filter(|line| is_entry(line)) {
        match group(line) {
            Some(group) => section.body.groups.push(group),
            None => malformed("/etc/group", line, &mut section),
        }
    }
    section
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

/// Notes a line that is no entry: one that includes a directory service (nsswitch.conf(5), `compat`),
/// or a broken one.
fn malformed(file: &str, line: &str, section: &mut Section<Accounts>) {
    if line.starts_with(['+', '-']) {
        section.miss(format!("entries that {file} includes from a directory service"), Reason::Unsupported);
    } else {
        section.miss(file, Reason::Unparsable);
    }
}

/// The shadow entries by name; none where they could not be read.
fn shadow(root: &Root, section: &mut Section<Accounts>) -> Option<BTreeMap<String, Shadow>> {
    let table = match root.read_text("/etc/shadow", DATABASE) {
        Ok(text) => text.text,
        Err(Error::Missing { .. }) => return Some(BTreeMap::new()),
        Err(error) => {
            section.miss("/etc/shadow", error.reason());
            return None;
        }
    };
    let mut entries = BTreeMap::new();
    for line in table.lines().filter(|line| is_entry(line)) {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, password, days @ ..] = fields.as_slice() else {
            section.miss("/etc/shadow", Reason::Unparsable);
            continue;
        };
        let day = |place: usize| days.get(place).and_then(|field| field.parse().ok());
        let ageing = Ageing {
            changed_on: day(0),
            minimum: day(1),
            maximum: day(2),
            warning: day(3),
            inactive: day(4),
            expires_on: day(5),
        };
        let shadow = Shadow { password: password_state(password, false), ageing };
        entries.entry((*name).to_owned()).or_insert(shadow);
    }
    Some(entries)
}

/// A line of passwd(5).
fn user(line: &str, shadow: Option<&BTreeMap<String, Shadow>>) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, password, uid, gid, _comment, home, shell] = fields.as_slice() else { return None };
    let entry = shadow.and_then(|entries| entries.get(*name));
    let own = match (*password, shadow) {
        (SHADOWED, Some(_)) => {
            // Sent to a shadow entry that is not there: nothing opens it.
            Some(entry.map_or(Password::Locked { scheme: None }, |entry| entry.password.clone()))
        }
        (SHADOWED, None) => None,
        (field, _) => Some(password_state(field, true)),
    };
    Some(User {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
        password: own,
        ageing: entry.map(|entry| entry.ageing.clone()),
    })
}

/// What a password field says; `exposed` where everybody may read it.
fn password_state(field: &str, exposed: bool) -> Password {
    match field.strip_prefix('!') {
        Some(rest) => {
            let scheme = Some(scheme(rest.trim_start_matches('!'))).filter(|scheme| *scheme != Scheme::Other);
            Password::Locked { scheme }
        }
        None if field.is_empty() => Password::Empty,
        None if field.starts_with('*') => Password::Locked { scheme: None },
        None => Password::Set { scheme: scheme(field), exposed },
    }
}

/// How a field is hashed, by its prefix (crypt(5)).
fn scheme(field: &str) -> Scheme {
    let Some(rest) = field.strip_prefix('$') else {
        let characters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
        let traditional = field.len() == 13 && field.chars().all(characters);
        let extended = field.len() == 20 && field.starts_with('_');
        return if traditional || extended { Scheme::Des } else { Scheme::Other };
    };
    match rest.split_once('$').map(|(prefix, _)| prefix) {
        Some("y") => Scheme::Yescrypt,
        Some("gy") => Scheme::GostYescrypt,
        Some("7") => Scheme::Scrypt,
        Some("2" | "2a" | "2b" | "2x" | "2y") => Scheme::Bcrypt,
        Some("6") => Scheme::Sha512,
        Some("5") => Scheme::Sha256,
        Some("sha1") => Scheme::Sha1,
        Some("1") => Scheme::Md5,
        Some("3") => Scheme::Nt,
        Some(prefix) if prefix.starts_with("md5") => Scheme::SunMd5,
        _ => Scheme::Other,
    }
}

/// A line of group(5).
fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _password, gid, members] = fields.as_slice() else { return None };
    let mut members: Vec<String> =
        members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    members.sort();
    Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_password_field_tells_its_state_and_scheme_and_never_its_hash() {
        let locked = |scheme| Password::Locked { scheme };
        let set = |scheme| Password::Set { scheme, exposed: false };
        let table = [
            ("", Password::Empty),
            ("*", locked(None)),
            ("!", locked(None)),
            ("!!", locked(None)),
            ("!*", locked(None)),
            ("!$y$j9T$abc$def", locked(Some(Scheme::Yescrypt))),
            ("$y$j9T$abc$def", set(Scheme::Yescrypt)),
            ("$6$abc$def", set(Scheme::Sha512)),
            ("$2b$12$abc", set(Scheme::Bcrypt)),
            ("$1$abc$def", set(Scheme::Md5)),
            ("$md5,rounds=5000$a$b", set(Scheme::SunMd5)),
            ("ab01234567890", set(Scheme::Des)),
            ("plain", set(Scheme::Other)),
        ];
        for (field, expected) in table {
            assert_eq!(password_state(field, false), expected, "{field}");
        }
    }

    #[test]
    fn users_come_with_what_their_shadow_entry_says() {
        let root = tree::root(&[
            (
                "etc/passwd",
                "root:x:0:0:Jane Doe,,555:/root:/bin/bash\nold:aaaaaaaaaaaaa:7:7::/:\nlone:x:8:8::/:/bin/sh\n",
            ),
            ("etc/shadow", "root:$6$salt$hash:19700:0:90:7:30::\n"),
            ("etc/group", "root:x:0:\nsudo:x:27:zoe,adam\n"),
        ]);
        let section = collect(&root);
        let [top, old, lone] = section.body.users.clone().try_into().unwrap();
        assert_eq!(top.password, Some(Password::Set { scheme: Scheme::Sha512, exposed: false }));
        let ageing = top.ageing.unwrap();
        assert_eq!((ageing.maximum, ageing.inactive, ageing.expires_on), (Some(90), Some(30), None));
        assert_eq!(old.password, Some(Password::Set { scheme: Scheme::Des, exposed: true }));
        assert_eq!(lone.password, Some(Password::Locked { scheme: None }));
        assert_eq!(section.body.groups[1].members, ["adam", "zoe"]);
        assert_eq!(section.unknown, []);
        let text = format!("{section:?}");
        assert!(!text.contains("hash") && !text.contains("Jane") && !text.contains("aaaa"), "{text}");
    }

    #[test]
    fn what_is_no_entry_is_noted() {
        let root = tree::root(&[("etc/passwd", "+::::::\nbroken\nname:x:one:1::/:\n")]);
        let section = collect(&root);
        assert_eq!(section.body.users, []);
        let reasons: Vec<_> = section.unknown.iter().map(|unseen| unseen.reason).collect();
        assert_eq!(reasons, [Reason::Unparsable, Reason::Unsupported]);
    }

    #[test]
    fn a_shadow_file_that_can_not_be_read_leaves_passwords_unknown() {
        let root = tree::root(&[("etc/passwd", "root:x:0:0::/root:/bin/sh\n"), ("etc/shadow/x", "")]);
        let section = collect(&root);
        assert_eq!(section.body.users[0].password, None);
        assert_eq!(section.unknown[0].what, "/etc/shadow");
    }

    #[test]
    fn this_host_has_root() {
        let section = collect(&Root::host());
        assert!(section.body.users.iter().any(|user| user.uid == 0));
        tree::is_stable(|| collect(&Root::host()));
    }
}
