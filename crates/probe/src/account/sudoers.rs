//! The `sudoers` section: the rules of `/etc/sudoers` and what it includes (sudoers(5)).

mod line;

use std::os::unix::fs::MetadataExt;

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::sudoers::{Alias, AliasKind, Defaults, File, Rule, Sudoers};
use bartizan_core::verdict::Reason;

use crate::look::{names, note};
use crate::root::{CONFIGURATION, Error, Root, Text};
use line::{list, logical, split};

/// Files that include files, as deep as sudo itself goes.
const DEPTH: u32 = 128;

/// Files that are read in all: each one may include a folder.
const FILES_LIMIT: usize = 2_000;

/// Tags before a command, beside `NOPASSWD` and `PASSWD`.
const TAGS: [&str; 14] = [
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "INTERCEPT",
    "NOINTERCEPT",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "SETENV",
    "NOSETENV",
];

/// Options before a command, with a value.
const OPTIONS: [&str; 9] =
    ["ROLE", "TYPE", "APPARMOR_PROFILE", "PRIVS", "LIMITPRIVS", "NOTBEFORE", "NOTAFTER", "TIMEOUT", "CWD"];

const MAIN: &str = "/etc/sudoers";

pub fn collect(root: &Root) -> Section<Sudoers> {
    let mut section = Section::new(Sudoers::default());
    // Without sudo there is no file, and nothing to say.
    file(root, MAIN, 0, &mut section);
    if root.exists("/etc/sudo.conf") || !section.body.files.is_empty() {
        other_sources(root, &mut section);
    }
    section
}

/// Notes rules that come from elsewhere than the files (nsswitch.conf(5), sudo-ldap).
fn other_sources(root: &Root, section: &mut Section<Sudoers>) {
    let switch = crate::look::text(root, "/etc/nsswitch.conf", CONFIGURATION, section).unwrap_or_default();
    let sources = switch.lines().find_map(|line| line.trim().strip_prefix("sudoers:"));
    for source in sources.unwrap_or_default().split_ascii_whitespace() {
        if source != "files" && !source.starts_with('[') {
            section.miss(format!("rules from {source}"), Reason::Unsupported);
        }
    }
}

fn file(root: &Root, path: &str, depth: u32, section: &mut Section<Sudoers>) {
    if depth > DEPTH || section.body.files.len() == FILES_LIMIT {
        return section.miss(path, Reason::Unsupported);
    }
    let (bytes, metadata) =
        match root.read(path, CONFIGURATION).and_then(|bytes| Ok((bytes, root.metadata(path)?))) {
            Ok(read) => read,
            // A file that is included and not there is an error to sudo as well.
            Err(Error::Missing { .. }) if depth > 0 => return section.miss(path, Reason::Error),
            Err(error) => return note(path, &error, section),
        };
    section.body.files.push(File {
        path: path.to_owned(),
        mode: format!("{:04o}", metadata.mode() & 0o7777),
        uid: metadata.uid(),
        gid: metadata.gid(),
        digest: Digest::of_bytes(&bytes),
    });
    for (number, line) in logical(&Text::from(bytes).text) {
        if entry(root, (path, number), &line, depth, section).is_none() {
            section.miss(format!("{path}:{number}"), Reason::Unparsable);
        }
    }
}

/// One entry; none where it makes no sense.
fn entry(
    root: &Root,
    place: (&str, u32),
    line: &str,
    depth: u32,
    section: &mut Section<Sudoers>,
) -> Option<()> {
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    let kind = match word {
        "@include" | "#include" => {
            file(root, &included(place.0, rest), depth + 1, section);
            return Some(());
        }
        "@includedir" | "#includedir" => {
            folder(root, &included(place.0, rest), depth + 1, section);
            return Some(());
        }
        "User_Alias" => AliasKind::User,
        "Runas_Alias" => AliasKind::RunAs,
        "Host_Alias" => AliasKind::Host,
        "Cmnd_Alias" | "Cmd_Alias" => AliasKind::Command,
        _ if word.starts_with("Defaults") => return defaults(place.0, word, rest, section),
        _ => return rules(place, line, section),
    };
    for alias in split(rest, ':') {
        let (name, members) = alias.split_once('=')?;
        section.body.aliases.push(Alias { kind, name: name.trim().to_owned(), members: list(members) });
    }
    Some(())
}

/// An included path: quotes taken off, and relative to the folder of the file that includes it.
fn included(from: &str, path: &str) -> String {
    let path = path.trim_matches('"').replace("\\ ", " ");
    if path.starts_with('/') {
        return path;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{path}")
}

/// The files of a folder, without those whose names have a dot or end in `~`.
fn folder(root: &Root, path: &str, depth: u32, section: &mut Section<Sudoers>) {
    let path = path.trim_end_matches('/');
    for name in names(root, path, section) {
        if !name.contains('.') && !name.ends_with('~') {
            file(root, &format!("{path}/{name}"), depth, section);
        }
    }
}

fn defaults(path: &str, word: &str, rest: &str, section: &mut Section<Sudoers>) -> Option<()> {
    let target = word.strip_prefix("Defaults").filter(|target| !target.is_empty());
    if target.is_some_and(|target| !target.starts_with([':', '@', '!', '>'])) {
        return None;
    }
    section.body.defaults.push(Defaults {
        file: path.to_owned(),
        target: target.map(str::to_owned),
        settings: list(rest),
    });
    Some(())
}

/// `users hosts = (run as) TAG: command, … : hosts = …`.
fn rules(place: (&str, u32), line: &str, section: &mut Section<Sudoers>) -> Option<()> {
    let mut parts = split(line, ':').into_iter().peekable();
    let mut users: Option<Vec<String>> = None;
    while let Some(mut part) = parts.next() {
        // Colons stand between privileges, but also inside parentheses (kept by `split`) and after tags.
        while ends_in_tag(&part) || parts.peek().is_some_and(|next| !next.contains('=')) {
            let Some(next) = parts.next() else { break };
            part = format!("{part}:{next}");
        }
        let (left, commands) = part.split_once('=')?;
        let hosts = match &users {
            Some(_) => left.trim().to_owned(),
            None => {
                let (first, hosts) = line::users_and_hosts(left)?;
                users = Some(list(&first));
                hosts
            }
        };
        privilege(place, users.clone().unwrap_or_default(), &list(&hosts), commands, section)?;
    }
    users.map(|_| ())
}

/// Whether a colon that follows belongs to the command: it ends a tag, or the name of a digest.
fn ends_in_tag(part: &str) -> bool {
    let last = part.trim_end().rsplit([' ', '\t', ',', '=', ')', ':']).next().unwrap_or_default();
    matches!(last, "NOPASSWD" | "PASSWD" | "sha224" | "sha256" | "sha384" | "sha512") || TAGS.contains(&last)
}

/// The commands of one privilege; tags and the run-as list hold until others are given.
fn privilege(
    place: (&str, u32),
    users: Vec<String>,
    hosts: &[String],
    commands: &str,
    section: &mut Section<Sudoers>,
) -> Option<()> {
    let mut rule = Rule {
        file: place.0.to_owned(),
        line: place.1,
        users,
        hosts: hosts.to_vec(),
        run_as: None,
        no_password: false,
        tags: Vec::new(),
        commands: Vec::new(),
    };
    for command in list(commands) {
        let mut next = Rule { commands: Vec::new(), ..rule.clone() };
        let command = conditions(&command, &mut next)?;
        let same =
            (&next.run_as, next.no_password, &next.tags) == (&rule.run_as, rule.no_password, &rule.tags);
        if !same && !rule.commands.is_empty() {
            section.body.rules.push(rule);
            rule = next;
        } else if !same {
            rule = next;
        }
        rule.commands.push(command);
    }
    if rule.commands.is_empty() {
        return None;
    }
    section.body.rules.push(rule);
    Some(())
}

/// Takes the run-as list, options and tags off a command, and sets them in the rule.
fn conditions(command: &str, rule: &mut Rule) -> Option<String> {
    let mut rest = command.trim();
    if let Some(inside) = rest.strip_prefix('(') {
        let (run_as, after) = inside.split_once(')')?;
        rule.run_as = Some(run_as.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        rest = after.trim_start();
    }
    loop {
        let end = rest.find([':', '=', ' ', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(':').filter(|_| word == "NOPASSWD" || word == "PASSWD") {
            rule.no_password = word == "NOPASSWD";
            rest = after.trim_start();
        } else if let Some(after) = after.strip_prefix(':').filter(|_| TAGS.contains(&word)) {
            let opposite = word.strip_prefix("NO").map_or_else(|| format!("NO{word}"), str::to_owned);
            rule.tags.retain(|tag| *tag != word && *tag != opposite);
            rule.tags.push(word.to_owned());
            rest = after.trim_start();
        } else if let Some(after) = after.strip_prefix('=').filter(|_| OPTIONS.contains(&word)) {
            let (value, after) = after.trim_start().split_once([' ', '\t'])?;
            rule.tags.retain(|tag| !tag.starts_with(&format!("{word}=")));
            rule.tags.push(format!("{word}={value}"));
            rest = after.trim_start();
        } else {
            break;
        }
    }
    (!rest.is_empty()).then(|| rest.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;
