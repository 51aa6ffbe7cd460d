//! Looking at what may be missing: absence is an answer, whatever else stands in the way is noted.

use std::collections::BTreeMap;

use bartizan_core::fact::Section;

use crate::root::{CONFIGURATION, Error, Limit, Root};

/// One value of the kernel, under /proc or /sys.
pub(crate) const ATTRIBUTE: Limit = Limit { name: "kernel attribute", bytes: 64 << 10 };

/// Tables of the kernel that grow with what runs: sockets, mounts, maps of a process.
pub(crate) const TABLE: Limit = Limit { name: "kernel table", bytes: 64 << 20 };

/// A file's text; none where it is missing. Another obstacle is noted.
pub(crate) fn text<T>(root: &Root, path: &str, limit: Limit, section: &mut Section<T>) -> Option<String> {
    match root.read_text(path, limit) {
        Ok(text) => Some(text.text),
        Err(error) => {
            note(path, &error, section);
            None
        }
    }
}

/// The names in a folder; none where it is missing. Another obstacle is noted.
pub(crate) fn names<T>(root: &Root, path: &str, section: &mut Section<T>) -> Vec<String> {
    root.names(path).unwrap_or_else(|error| {
        note(path, &error, section);
        Vec::new()
    })
}

/// One value of the kernel without the white space around it; none where it is missing or empty.
pub(crate) fn attribute<T>(root: &Root, path: &str, section: &mut Section<T>) -> Option<String> {
    let text = text(root, path, ATTRIBUTE, section)?;
    let value = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The last part of where a link leads; none where there is no link.
pub(crate) fn link_name(root: &Root, path: &str) -> Option<String> {
    let target = root.link(path).ok()??;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// Notes why something could not be read, unless it is just not there.
pub(crate) fn note<T>(path: &str, error: &Error, section: &mut Section<T>) {
    if !matches!(error, Error::Missing { .. }) {
        section.miss(path, error.reason());
    }
}

/// Configuration in several folders, as systemd, modprobe and sysctl read it: of two files with one
/// name the earlier folder's counts, and the files are read in the order of their names. A file that is
/// a link to `/dev/null` or empty masks the others.
pub(crate) fn layered<T>(
    root: &Root,
    folders: &[&str],
    suffix: &str,
    section: &mut Section<T>,
) -> Vec<(String, String)> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in folders {
        for name in names(root, folder, section) {
            if name.ends_with(suffix) && !name.starts_with('.') {
                files.entry(name).or_insert_with_key(|name| format!("{folder}/{name}"));
            }
        }
    }
    let masked =
        |path: &str| matches!(root.link(path), Ok(Some(target)) if target.as_os_str() == "/dev/null");
    files.retain(|_, path| !masked(path));
    files.into_values().filter_map(|path| Some((text(root, &path, CONFIGURATION, section)?, path))).collect()
}
