//! What the parsers read: a host's files, or an example's.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::root::{CONFIGURATION, Error, Root};

/// The most files that one pattern may name.
const PATHS_LIMIT: usize = 10_000;

/// A tree of files. Paths are absolute inside it, links are followed inside it.
pub trait View {
    /// The text of a regular file; what is not UTF-8 stands in it as U+FFFD.
    fn text(&self, path: &str) -> Result<String, Error>;
    /// What stands there, links followed.
    fn status(&self, path: &str) -> Result<Status, Error>;
    /// The names in a folder, sorted.
    fn names(&self, path: &str) -> Result<Vec<String>, Error>;
    /// Where the link there leads, as written; none where no link stands there.
    fn link(&self, path: &str) -> Result<Option<String>, Error>;
    /// Whether it may hold a part of a host alone, so that a folder which is not there proves nothing.
    fn may_be_part(&self) -> bool;
}

/// What a file is, whose, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Other,
}

impl View for Root {
    fn text(&self, path: &str) -> Result<String, Error> {
        Ok(self.read_text(path, CONFIGURATION)?.text)
    }

    fn status(&self, path: &str) -> Result<Status, Error> {
        let metadata = self.metadata(path)?;
        let kind = if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Folder
        } else {
            Kind::Other
        };
        let mode = metadata.permissions().mode() & 0o7777;
        Ok(Status { kind, mode, uid: metadata.uid(), gid: metadata.gid() })
    }

    fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        Root::names(self, path)
    }

    fn link(&self, path: &str) -> Result<Option<String>, Error> {
        Ok(Root::link(self, path)?.map(|target| target.to_string_lossy().into_owned()))
    }

    /// The running host's own root is there whole; under another folder lies what somebody put there.
    fn may_be_part(&self) -> bool {
        !self.is_host()
    }
}

/// The text of a file; none where there is none, or where a device stands for "nothing here" as
/// `/dev/null` does.
pub(super) fn optional(view: &dyn View, path: &str) -> Result<Option<String>, Error> {
    match view.text(path) {
        Ok(text) => Ok(Some(text)),
        Err(Error::Missing { .. } | Error::NotAFile { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a folder; empty where there is none.
pub(super) fn optional_names(view: &dyn View, path: &str) -> Result<Vec<String>, Error> {
    match view.names(path) {
        Err(Error::Missing { .. }) => Ok(Vec::new()),
        answer => answer,
    }
}

/// Whether something stands there; what may not be looked at is an error.
pub(super) fn exists(view: &dyn View, path: &str) -> Result<bool, Error> {
    match view.status(path) {
        Ok(_) => Ok(true),
        Err(Error::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The paths that a pattern names, sorted component by component. A path without `*` and `?` is
/// given back whether or not something stands there.
pub(super) fn expand(view: &dyn View, pattern: &str) -> Result<Vec<String>, Error> {
    let mut paths = vec![String::new()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        for path in &paths {
            if component.contains(['*', '?']) {
                let folder = if path.is_empty() { "/" } else { path };
                let names = optional_names(view, folder)?;
                let hit = |name: &&String| {
                    (component.starts_with('.') || !name.starts_with('.')) && matches(component, name)
                };
                next.extend(names.iter().filter(hit).map(|name| format!("{path}/{name}")));
            } else {
                next.push(format!("{path}/{component}"));
            }
            if next.len() > PATHS_LIMIT {
                let source = std::io::Error::other(format!("names more than {PATHS_LIMIT} files"));
                return Err(Error::Read { path: Path::new(pattern).to_owned(), source });
            }
        }
        paths = next;
    }
    Ok(paths)
}

/// How deep the folders lie that show whether a part of a host was seen: `/etc/apt` does, and what is
/// missing inside of it (`/etc/apt/apt.conf.d`) is known to be.
const TELLING_DEPTH: usize = 2;

/// The outermost missing folder, of those in which the files of a pattern would show that they were
/// looked for; none where they are there, or where the whole host is in view.
pub(super) fn unseen_folder(view: &dyn View, pattern: &str) -> Result<Option<String>, Error> {
    if !view.may_be_part() {
        return Ok(None);
    }
    let Some((folders, _)) = pattern.trim_start_matches('/').rsplit_once('/') else { return Ok(None) };
    let literal = folders.split('/').take_while(|folder| !folder.contains(['*', '?']));
    let mut path = String::new();
    for folder in literal.take(TELLING_DEPTH) {
        path.push('/');
        path.push_str(folder);
        if !exists(view, &path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether a text matches a pattern of `*` (any letters) and `?` (one letter).
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how far the text was when it was met: a mismatch goes back there.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

/// The lines of a text that say something, with their numbers from 1: trimmed, without blank ones
/// and those that begin with `#`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The files of the folders of a `NAME.d` scheme, as systemd and modprobe read them: by name; of two
/// with the same name the earlier folder's counts.
pub(super) fn drop_ins(view: &dyn View, folders: &[&str], suffix: &str) -> Result<Vec<String>, Error> {
    let mut files = std::collections::BTreeMap::new();
    for folder in folders {
        for name in optional_names(view, folder)?.into_iter().filter(|name| name.ends_with(suffix)) {
            files.entry(name.clone()).or_insert_with(|| format!("{folder}/{name}"));
        }
    }
    Ok(files.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_a_question_mark_for_one() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c*", "abcde", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ba", false),
            ("", "", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
