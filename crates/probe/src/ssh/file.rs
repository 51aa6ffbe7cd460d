//! Configuration files of sshd: lines, includes, match blocks.

use bartizan_core::fact::Section;
use bartizan_core::fact::ssh::{Match, Setting, Source, Sshd};
use bartizan_core::verdict::Reason;

use crate::look::{names, note};
use crate::root::{CONFIGURATION, Root};

/// Files that include files, as deep as sshd itself goes (servconf.c).
const DEPTH: u32 = 16;

/// Files that are read in all.
const FILES_LIMIT: usize = 1_000;

/// Keys that may be given several times, each time adding to those before.
const REPEATED: [&str; 11] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
    "setenv",
    "subsystem",
];

/// Of those, the ones whose every word is a value of its own.
const WORDS: [&str; 5] = ["acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers"];

/// Keys whose value is a span of time.
const TIMES: [&str; 2] = ["clientaliveinterval", "logingracetime"];

/// Older names for keys.
const OLDER: [(&str, &str); 6] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("keepalive", "tcpkeepalive"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
];

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    depth: u32,
}

pub(super) fn read_all(root: &Root, path: &str, section: &mut Section<Sshd>) {
    if root.exists(path) {
        read(root, Place { path, depth: 0 }, None, section);
    } else {
        section.miss(path, Reason::Error);
    }
}

/// Reads a file; `block` is the match block in which it is included. A block that begins in the file
/// ends with it.
fn read(root: &Root, place: Place<'_>, block: Option<usize>, section: &mut Section<Sshd>) {
    let Place { path, depth } = place;
    if depth > DEPTH || section.body.files.len() == FILES_LIMIT {
        return section.miss(path, Reason::Unsupported);
    }
    let text = match root.read_text(path, CONFIGURATION) {
        Ok(text) => text.text,
        Err(error) => return note(path, &error, section),
    };
    section.body.files.push(path.to_owned());
    let outer = block;
    let mut block = block;
    for (line, content) in (1..).zip(text.lines()) {
        let words = words(content);
        let Some((key, arguments)) = words.split_first() else { continue };
        let key = key.to_ascii_lowercase();
        if arguments.is_empty() {
            section.miss(format!("{path}:{line}"), Reason::Unparsable);
            continue;
        }
        match key.as_str() {
            "include" => {
                for pattern in arguments {
                    include(root, pattern, depth, block, section);
                }
            }
            "match" => {
                let above = outer.and_then(|outer| section.body.matches.get(outer));
                let mut criteria = above.map_or_else(String::new, |above| format!("{} ", above.criteria));
                criteria.push_str(&arguments.join(" "));
                section.body.matches.push(Match {
                    criteria,
                    path: path.to_owned(),
                    line,
                    settings: Vec::new(),
                });
                block = Some(section.body.matches.len() - 1);
            }
            _ => set(&key, arguments, path, line, block, &mut section.body),
        }
    }
}

fn set(key: &str, arguments: &[String], path: &str, line: u32, block: Option<usize>, sshd: &mut Sshd) {
    let key = OLDER.iter().find(|(older, _)| *older == key).map_or(key, |(_, newer)| newer);
    let settings = match block {
        None => &mut sshd.settings,
        Some(block) => match sshd.matches.get_mut(block) {
            Some(block) => &mut block.settings,
            None => return,
        },
    };
    let values = match key {
        // A variable's value may be a secret; its name is what counts.
        "setenv" => {
            arguments.iter().map(|word| word.split('=').next().unwrap_or_default().to_owned()).collect()
        }
        _ if WORDS.contains(&key) => arguments.to_vec(),
        _ => vec![arguments.join(" ")],
    };
    if !REPEATED.contains(&key) && settings.iter().any(|setting| setting.key == key) {
        return;
    }
    let source = Source::File { path: path.to_owned(), line };
    settings.extend(values.into_iter().map(|value| Setting {
        value: effective(key, &value),
        key: key.to_owned(),
        source: source.clone(),
    }));
}

/// A value in the words in which the server itself would print it, so that `5m` and `300` are one.
fn effective(key: &str, value: &str) -> String {
    if TIMES.contains(&key) {
        return seconds(value).map_or_else(|| value.to_owned(), |seconds| seconds.to_string());
    }
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        "yes" | "no" | "none" | "any" => lower,
        "prohibit-password" | "without-password" => "prohibit-password".to_owned(),
        "forced-commands-only" => lower,
        _ => value.to_owned(),
    }
}

/// A span such as `1h30m`, in seconds (sshd_config(5), time formats).
fn seconds(value: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = value;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(end)?;
        let mut after = after.chars();
        let unit = match after.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after.as_str();
    }
    Some(total)
}

/// Reads the files that a pattern names, in the order of their names.
fn include(root: &Root, pattern: &str, depth: u32, block: Option<usize>, section: &mut Section<Sshd>) {
    let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
    let (folder, pattern) = pattern.rsplit_once('/').unwrap_or(("/etc/ssh", &pattern));
    if folder.contains(['*', '?', '[']) || pattern.contains('[') {
        return section.miss(format!("{folder}/{pattern}"), Reason::Unsupported);
    }
    for name in names(root, folder, section) {
        if (pattern.starts_with('.') || !name.starts_with('.')) && matches(pattern, &name) {
            let path = format!("{folder}/{name}");
            read(root, Place { path: &path, depth: depth + 1 }, block, section);
        }
    }
}

/// Whether a name fits a pattern with `*` and `?` (glob(7)).
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Whether the pattern so far fits each beginning of the name.
    let mut fits: Vec<bool> = (0..=name.len()).map(|length| length == 0).collect();
    for wanted in pattern {
        let mut next = Vec::with_capacity(fits.len());
        for (length, fit) in fits.iter().enumerate() {
            let shorter = length.checked_sub(1);
            next.push(match wanted {
                '*' => *fit || shorter.and_then(|shorter| next.get(shorter)).copied().unwrap_or(false),
                _ => shorter.is_some_and(|shorter| {
                    let same = name.get(shorter).is_some_and(|c| wanted == '?' || *c == wanted);
                    same && fits.get(shorter).copied().unwrap_or(false)
                }),
            });
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

/// The words of a line: parted by white space, and by one `=` after the first; quotes taken off, the
/// comment left out.
fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    let first_end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (first, rest) = line.split_at_checked(first_end).unwrap_or((line, ""));
    if first.is_empty() || first.starts_with('#') {
        return Vec::new();
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let mut words = vec![first.to_owned()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in rest.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '#' && word.is_none() => break,
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_quotes_and_comments() {
        let table = [
            ("PermitRootLogin no # why", vec!["PermitRootLogin", "no"]),
            ("Port=22", vec!["Port", "22"]),
            ("Port = 22", vec!["Port", "22"]),
            ("  Banner \"/etc/my banner\"", vec!["Banner", "/etc/my banner"]),
            ("SetEnv A=b#c", vec!["SetEnv", "A=b#c"]),
            ("# Port 22", vec![]),
            ("", vec![]),
            ("UsePAM", vec!["UsePAM"]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn values_are_in_the_servers_own_words() {
        let table = [
            ("clientaliveinterval", "5m", "300"),
            ("logingracetime", "1h30", "3630"),
            ("logingracetime", "soon", "soon"),
            ("permitrootlogin", "without-password", "prohibit-password"),
            ("usepam", "YES", "yes"),
            ("banner", "/etc/Issue", "/etc/Issue"),
        ];
        for (key, value, expected) in table {
            assert_eq!(effective(key, value), expected, "{key} {value}");
        }
    }

    #[test]
    fn a_pattern_fits_whole_names() {
        let table = [
            ("*.conf", "10-a.conf", true),
            ("*.conf", "10-a.conf.bak", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("*a*b*", "xaxxbx", true),
            ("*a*b*", "xbxxax", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
