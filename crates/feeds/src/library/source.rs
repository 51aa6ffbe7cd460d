//! Recognising feeds: in a folder by the names they are published under, a single file also by its content.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;

use crate::error::Error;

/// How deep folders are looked into.
const DEPTH: usize = 6;

/// The most entries that are looked at: osv.dev's records as single files of one distribution.
const ENTRIES: usize = 1_000_000;

/// How much of a file is looked at to recognise it, in bytes.
const BEGINNING: u64 = 64 << 10;

/// A file that is a feed, or part of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Debian,
    Osv,
    OsvZip,
    Kev,
    Epss,
}

/// The feeds in a folder, or the one that a file is; sorted.
pub(super) fn find(raw: &Path) -> Result<Vec<Source>, Error> {
    let metadata = fs::metadata(raw).map_err(|error| Error::file("look at", raw, error))?;
    let mut sources = Vec::new();
    if metadata.is_dir() {
        let mut seen = 0;
        walk(raw, 0, &mut seen, &mut sources)?;
        sources.sort();
    } else {
        let named = raw.file_name().and_then(|name| by_name(&name.to_string_lossy()));
        let kind = match named {
            Some(kind) => Some(kind),
            None => by_content(&beginning(raw)?),
        };
        sources.extend(kind.map(|kind| Source { kind, path: raw.to_owned() }));
    }
    if sources.is_empty() {
        return Err(Error::NoFeed { path: raw.to_owned() });
    }
    Ok(sources)
}

/// A digest that changes when a feed in this folder or file does: of paths, sizes and times, not of
/// contents.
pub fn fingerprint(raw: &Path) -> Result<Digest, Error> {
    let unread = |path: &Path, error| Error::file("look at", path, error);
    let whole = fs::canonicalize(raw).map_err(|error| unread(raw, error))?;
    let mut parts = vec![Value::String(whole.display().to_string())];
    for source in find(raw)? {
        let metadata = fs::metadata(&source.path).map_err(|error| unread(&source.path, error))?;
        let modified = metadata.modified().map_err(|error| unread(&source.path, error))?;
        let modified = modified.duration_since(UNIX_EPOCH).map(|age| age.as_nanos()).unwrap_or_default();
        parts.push(Value::String(format!("{}\t{}\t{modified}", source.path.display(), metadata.len())));
    }
    Ok(Digest::derived("raw-feeds", parts))
}

fn walk(folder: &Path, depth: usize, seen: &mut usize, sources: &mut Vec<Source>) -> Result<(), Error> {
    let unread = |error| Error::file("list", folder, error);
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        *seen += 1;
        if *seen > ENTRIES {
            let file = folder.display().to_string();
            return Err(Error::Limit { file, what: "files of a folder of feeds", limit: ENTRIES as u64 });
        }
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(unread)?;
        // A link to a folder is not followed: it could lead in a circle.
        if kind.is_dir() {
            if depth < DEPTH {
                walk(&path, depth + 1, seen, sources)?;
            }
        } else if let Some(kind) = by_name(&name) {
            sources.push(Source { kind, path });
        } else if kind.is_file() && name.ends_with(".json") && is_osv(&beginning(&path)?) {
            sources.push(Source { kind: Kind::Osv, path });
        }
    }
    Ok(())
}

fn by_name(name: &str) -> Option<Kind> {
    let is_epss = name.starts_with("epss") && (name.ends_with(".csv") || name.ends_with(".csv.gz"));
    match name {
        "tracker.json" => Some(Kind::Debian),
        "all.zip" => Some(Kind::OsvZip),
        "known_exploited_vulnerabilities.json" => Some(Kind::Kev),
        _ => is_epss.then_some(Kind::Epss),
    }
}

fn beginning(path: &Path) -> Result<Vec<u8>, Error> {
    let unread = |error| Error::file("read", path, error);
    let mut bytes = Vec::new();
    File::open(path).map_err(unread)?.take(BEGINNING).read_to_end(&mut bytes).map_err(unread)?;
    Ok(bytes)
}

fn by_content(bytes: &[u8]) -> Option<Kind> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start();
    if bytes.starts_with(b"PK\x03\x04") {
        Some(Kind::OsvZip)
    } else if bytes.starts_with(&[0x1f, 0x8b])
        || text.starts_with("#model_version")
        || text.starts_with("cve,epss")
    {
        Some(Kind::Epss)
    } else if text.contains("\"catalogVersion\"") || text.contains("\"cveID\"") {
        Some(Kind::Kev)
    } else if is_osv(bytes) {
        Some(Kind::Osv)
    } else {
        (text.starts_with('{') && text.contains("\"releases\"")).then_some(Kind::Debian)
    }
}

/// Whether a file begins like an OSV record. The schema of such records names the same keys.
fn is_osv(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.trim_start().starts_with('{')
        && !text.contains("\"$schema\"")
        && ["\"id\"", "\"affected\"", "\"ecosystem\""].iter().all(|key| text.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognised_by_what_it_begins_with() {
        for (content, expected) in [
            ("{\"bash\": {\"CVE-1\": {\"releases\": {", Some(Kind::Debian)),
            ("{\"id\": \"X\", \"affected\": [{\"package\": {\"ecosystem\": \"Debian:12\"", Some(Kind::Osv)),
            ("{\"catalogVersion\": \"1\"", Some(Kind::Kev)),
            ("#model_version:v1", Some(Kind::Epss)),
            ("PK\u{3}\u{4}", Some(Kind::OsvZip)),
            ("{\"bomFormat\": \"CycloneDX\"}", None),
            ("{\"$schema\": \"x\", \"id\": \"affected\": \"ecosystem\"", None),
            ("", None),
        ] {
            assert_eq!(by_content(content.as_bytes()), expected, "{content}");
        }
    }

    #[test]
    fn in_a_folder_a_feed_goes_by_its_name() {
        for (name, expected) in [
            ("tracker.json", Some(Kind::Debian)),
            ("all.zip", Some(Kind::OsvZip)),
            ("epss_scores-2026-09-29.csv.gz", Some(Kind::Epss)),
            ("epss.json", None),
            ("debian.json", None),
        ] {
            assert_eq!(by_name(name), expected, "{name}");
        }
    }
}
