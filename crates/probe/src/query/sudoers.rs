//! What sudo grants and how (sudoers(5)): the file, what it includes, line by line.
//!
//! Aliases are not put in: a grant to an alias shows the alias's name.

use bartizan_core::configuration::evaluate::{Field, Item};

use super::view::{self, View};
use super::{Answer, Unseen};
use crate::root::Error;

const FILE: &str = "/etc/sudoers";

/// How deep files may include each other; sudo's own limit is 128.
const DEPTH_LIMIT: usize = 128;

/// The most files that one policy may read.
const FILES_LIMIT: usize = 1_000;

/// The tags of sudoers(5), each of which may begin with `NO`.
const TAGS: [&str; 8] =
    ["EXEC", "FOLLOW", "INTERCEPT", "LOG_INPUT", "LOG_OUTPUT", "MAIL", "PASSWD", "SETENV"];

/// A line that says something, continuation lines joined.
struct Line {
    place: String,
    text: String,
}

/// One item with each default that is set for everybody; the last word counts.
pub(super) fn defaults(view: &dyn View) -> Answer {
    let mut item = Item::new("sudoers Defaults");
    for line in lines(view)? {
        // `Defaults:user`, `Defaults@host` and their like hold for some only.
        let Some(rest) = line.text.strip_prefix("Defaults").filter(|rest| rest.starts_with([' ', '\t']))
        else {
            continue;
        };
        for setting in split_outside_quotes(rest, ',') {
            let setting = setting.trim();
            let (name, field) = match setting.split_once('=') {
                Some((name, value)) => {
                    let name = name.trim_end_matches(['+', '-', ' ', '\t']);
                    (name, Field::from(value.trim().trim_matches('"')))
                }
                None => match setting.strip_prefix('!') {
                    Some(name) => (name.trim(), Field::from(false)),
                    None => (setting, Field::from(true)),
                },
            };
            item = item.with(name, field);
        }
    }
    Ok(vec![item])
}

/// An item for each grant.
pub(super) fn rules(view: &dyn View) -> Answer {
    let mut items = Vec::new();
    for line in lines(view)? {
        let first = line.text.split_whitespace().next().unwrap_or_default();
        let is_alias =
            ["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"].contains(&first);
        if is_alias || first.starts_with("Defaults") {
            continue;
        }
        let unparsable = || Unseen::unparsable(format!("{}: `{}` is no grant", line.place, line.text));
        let (who, grants) = line.text.split_once('=').ok_or_else(unparsable)?;
        let (users, hosts) = who.trim().rsplit_once([' ', '\t']).ok_or_else(unparsable)?;
        let users = users.trim();
        let mut parts = separate(grants).into_iter();
        let first = parts.next().unwrap_or_default();
        items.push(grant(&line.place, users, hosts.trim(), first.trim()));
        // `user hosts = commands : other hosts = commands`.
        for part in parts {
            let (hosts, grants) = part.split_once('=').ok_or_else(unparsable)?;
            items.push(grant(&line.place, users, hosts.trim(), grants.trim()));
        }
    }
    Ok(items)
}

fn is_tag(name: &str) -> bool {
    TAGS.contains(&name) || name.strip_prefix("NO").is_some_and(|name| TAGS.contains(&name))
}

/// Parts a grant at each `:` that ends no tag and no digest's name, stands in no parentheses, and has
/// no backslash before it.
fn separate(grants: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut word, mut inside, mut escaped) = (0, 0, false, false);
    for (at, letter) in grants.char_indices() {
        match letter {
            _ if escaped => {}
            '(' => inside = true,
            ')' => (inside, word) = (false, at + 1),
            ' ' | '\t' | ',' => word = at + 1,
            ':' if !inside => {
                let name = grants.get(word..at).unwrap_or_default();
                if !is_tag(name) && !name.starts_with("sha") {
                    parts.push(grants.get(start..at).unwrap_or_default());
                    start = at + 1;
                }
                word = at + 1;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(grants.get(start..).unwrap_or_default());
    parts
}

/// `user hosts = (run as) TAG: TAG: commands`.
fn grant(place: &str, users: &str, hosts: &str, grants: &str) -> Item {
    let (run_as, rest) = match grants.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((run_as, rest)) => (run_as.trim(), rest.trim()),
        None => ("root", grants),
    };
    let mut commands = Vec::new();
    let mut no_password = false;
    for command in rest.split(',') {
        let mut command = command.trim();
        while let Some((tag, after)) = command.split_once(':') {
            let tag = tag.trim();
            if !is_tag(tag) {
                break;
            }
            no_password |= tag == "NOPASSWD";
            command = after.trim_start();
        }
        commands.push(command);
    }
    Item::new(format!("{place} {users}"))
        .with("user", users)
        .with("hosts", hosts)
        .with("run_as", run_as)
        .with("commands", commands.join(", "))
        .with("no_password", no_password)
}

/// Every line of the policy, in the order in which sudo reads it.
fn lines(view: &dyn View) -> Result<Vec<Line>, Unseen> {
    let mut lines = Vec::new();
    let mut files = 0;
    match view.text(FILE) {
        Ok(text) => read(view, FILE, &text, 0, &mut files, &mut lines)?,
        Err(Error::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(lines)
}

fn read(
    view: &dyn View,
    path: &str,
    text: &str,
    depth: usize,
    files: &mut usize,
    lines: &mut Vec<Line>,
) -> Result<(), Unseen> {
    *files += 1;
    if depth > DEPTH_LIMIT || *files > FILES_LIMIT {
        return Err(Unseen::unparsable(format!("{path}: files include each other too deeply")));
    }
    let mut joined = String::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(open) = line.strip_suffix('\\') {
            joined.push_str(open);
            continue;
        }
        joined.push_str(line);
        let line = std::mem::take(&mut joined);
        let line = line.trim();
        let words = line.strip_prefix('@').or_else(|| line.strip_prefix('#')).unwrap_or_default();
        let (verb, target) = words.split_once([' ', '\t']).unwrap_or((words, ""));
        let included = match verb {
            "include" => vec![absolute(target)],
            "includedir" => {
                let folder = absolute(target);
                let names = view::optional_names(view, &folder)?;
                let good = |name: &String| !name.contains('.') && !name.ends_with('~');
                names.into_iter().filter(good).map(|name| format!("{folder}/{name}")).collect()
            }
            _ => Vec::new(),
        };
        for path in &included {
            if let Some(text) = view::optional(view, path)? {
                read(view, path, &text, depth + 1, files, lines)?;
            }
        }
        let plain = if verb.starts_with("include") { "" } else { without_comment(line) };
        if !plain.is_empty() {
            lines.push(Line { place: format!("{path}:{}", number + 1), text: plain.to_owned() });
        }
    }
    Ok(())
}

fn absolute(target: &str) -> String {
    let target = target.trim().trim_matches('"').trim_end_matches('/');
    if target.starts_with('/') { target.to_owned() } else { format!("/etc/{target}") }
}

/// The line up to a `#` that no digit follows: `#1000` is a user's number.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut letters = line.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        quoted ^= letter == '"';
        let number = letters.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        if letter == '#' && !quoted && !number {
            return line.get(..at).unwrap_or_default().trim();
        }
    }
    line
}

fn split_outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Tree;
    use bartizan_core::configuration::baseline::{Example, ExampleFile};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), ExampleFile::Text((*text).to_owned()));
        Tree::of(&Example { files: files.iter().map(file).collect(), ..Example::default() })
    }

    fn fields(item: &Item, names: &[&str]) -> String {
        let shown = names.iter().map(|name| item.fields.get(*name).map_or("-".into(), ToString::to_string));
        shown.collect::<Vec<String>>().join(" | ")
    }

    #[test]
    fn defaults_are_flags_and_values_and_the_last_counts() {
        let text = "Defaults\tuse_pty, !visiblepw # why\nDefaults logfile=\"/var/log/a,b\"\nDefaults:ada !use_pty\nDefaults timestamp_timeout = 5\n";
        let items = defaults(&tree(&[(FILE, text)])).unwrap();
        let names = ["use_pty", "visiblepw", "logfile", "timestamp_timeout", "authenticate"];
        assert_eq!(fields(&items[0], &names), "true | false | /var/log/a,b | 5 | -");
    }

    #[test]
    fn grants_are_read_from_included_files_too() {
        let files = [
            (
                FILE,
                "User_Alias OPS = ada\nroot ALL=(ALL:ALL) ALL\n%sudo\tALL = \\\n  (ALL) NOEXEC:NOPASSWD: /bin/a, sha256:0a /bin/b\n@includedir /etc/sudoers.d\n",
            ),
            (
                "/etc/sudoers.d/10-x",
                "# more\nada h1=/bin/ls a\\:b : h2 = NOPASSWD: ALL # one\n#1000 ALL=(#0) ALL\n",
            ),
            ("/etc/sudoers.d/y.bak", "eve ALL=(ALL) NOPASSWD: ALL\n"),
        ];
        let items = rules(&tree(&files)).unwrap();
        let names = ["user", "run_as", "commands", "no_password"];
        let seen: Vec<_> = items.iter().map(|item| fields(item, &names)).collect();
        assert_eq!(
            seen,
            [
                "root | ALL:ALL | ALL | false",
                "%sudo | ALL | /bin/a, sha256:0a /bin/b | true",
                "ada | root | /bin/ls a\\:b | false",
                "ada | root | ALL | true",
                "#1000 | #0 | ALL | false",
            ]
        );
    }

    #[test]
    fn what_is_no_grant_is_unparsable() {
        assert!(rules(&tree(&[(FILE, "what is this\n")])).is_err());
    }
}
