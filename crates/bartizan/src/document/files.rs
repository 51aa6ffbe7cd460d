//! Files of documents on this machine, and how they stand to what is applied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_core::document::{self, Document, Fault};
use bartizan_detect::example;
use bartizan_server::api::document::{File, Row, check};
use serde::Serialize;

use crate::exit::Failure;
use crate::up::content::detection;

/// The most bytes that one call sends: what the server takes, less what JSON adds.
const BYTES_LIMIT: usize = 8 << 20;

/// The deepest folder below one that is named.
const DEPTH_LIMIT: usize = 16;

/// Files as they are sent, and the documents in them.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) files: Vec<File>,
    documents: Vec<Document>,
}

/// How a document stands to what is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    New,
    Changed,
    Same,
}

/// One document of the files.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) state: State,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) digest: String,
    /// The digest that is applied; none for a new document.
    pub(crate) applied: Option<String>,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            State::New => "new",
            State::Changed => "changed",
            State::Same => "same",
        }
    }
}

/// Reads and checks every document that the paths hold; a folder's are its `.yaml` and `.yml` files.
///
/// A Sigma rule is taken as the Detection that carries it.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Read, Failure> {
    let mut read = Read { files: Vec::new(), documents: Vec::new() };
    let mut faults: Vec<Fault> = Vec::new();
    let mut bytes = 0;
    for path in paths {
        let mut found = Vec::new();
        collect(path, 0, &mut found)?;
        for file in found {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::invalid(format_args!("can't read {}: {error}", file.display())))?;
            let (name, text) = (file.display().to_string(), document_text(path, &file, text)?);
            bytes += text.len();
            match document::parse(&name, &text) {
                Ok(documents) => {
                    faults.extend(documents.iter().flat_map(check));
                    read.documents.extend(documents);
                }
                Err(more) => faults.extend(more),
            }
            read.files.push(File { name, text });
        }
    }
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(Failure::invalid(lines.join("\n")).hint("nothing was sent: mend the documents first"));
    }
    if read.documents.is_empty() {
        return Err(Failure::invalid("there is no document in what -f names")
            .hint("documents are in files that end in .yaml or .yml"));
    }
    if bytes > BYTES_LIMIT {
        let message = format!("the files have {bytes} bytes; one call takes {BYTES_LIMIT}");
        return Err(Failure::new(bartizan_core::error::Class::Limit, message)
            .hint("name fewer of them, in several calls"));
    }
    Ok(read)
}

/// How the files' documents stand to those that are applied in an environment, by digest.
pub(crate) fn compare(read: &Read, applied: &[Row], environment: &str) -> Vec<Compared> {
    let held: BTreeMap<(&str, &str), &str> = applied
        .iter()
        .filter(|row| row.environment == environment)
        .map(|row| ((row.kind.as_str(), row.name.as_str()), row.digest.as_str()))
        .collect();
    let one = |document: &Document| {
        let digest = document.digest.to_string();
        let applied = held.get(&(document.kind.as_str(), document.name.as_str())).copied();
        let state = match applied {
            None => State::New,
            Some(applied) if applied == digest => State::Same,
            Some(_) => State::Changed,
        };
        let (kind, name) = (document.kind.clone(), document.name.clone());
        Compared { state, kind, name, digest, applied: applied.map(str::to_owned) }
    };
    read.documents.iter().map(one).collect()
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::invalid(format_args!("can't read {}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == DEPTH_LIMIT {
        let message = format!("{} is more than {DEPTH_LIMIT} folders deep", path.display());
        return Err(Failure::new(bartizan_core::error::Class::Limit, message));
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let is_document = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_document || is_folder {
            collect(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

/// A document as it is written, or a Sigma rule inside of the document that carries it, with the canaries among
/// the examples beside it.
fn document_text(named: &Path, file: &Path, text: String) -> Result<String, Failure> {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    if has("kind:") || !has("detection:") || !has("logsource:") {
        return Ok(text);
    }
    let beside = file.with_extension(example::EXTENSION);
    let examples = match std::fs::read_to_string(&beside) {
        Ok(examples) => Some(examples),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::invalid(format_args!("can't read {}: {error}", beside.display()))),
    };
    detection(&detection_name(named, file), &text, examples.as_deref())
}

/// The path below the folder `detections`, else below what was named: the shipped rules keep their names.
fn detection_name(named: &Path, file: &Path) -> String {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(at) = parts.iter().rposition(|part| part == "detections") {
        return parts.get(at + 1..).unwrap_or_default().join("/");
    }
    let below = file.strip_prefix(named).ok().filter(|below| !below.as_os_str().is_empty());
    let below = below.or_else(|| file.file_name().map(Path::new)).unwrap_or(file);
    below.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_brings_the_canaries_that_stand_among_its_examples() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let sigma = "title: t\nid: r\nlevel: low\nlogsource: {product: linux}\n\
            detection: {s: {a: b}, condition: s}\n";
        std::fs::write(at("a.yml"), sigma).unwrap();
        let canaries = || read(&[at("a.yml")]).unwrap().documents[0].spec.get("canaries").cloned();
        assert_eq!(canaries(), None);
        let examples = |text: &str| std::fs::write(at("a.example.json"), text).unwrap();
        examples(r#"{"match": [], "canaries": [{"rule": "r", "lines": ["sshd: x"]}]}"#);
        let found = canaries().unwrap().to_canonical();
        assert_eq!(found, r#"[{"lines":["sshd: x"],"rule":"r"}]"#);
        examples(r#"{"canaries": [{"rule": "other", "lines": ["sshd: x"]}]}"#);
        let refused = read(&[at("a.yml")]).unwrap_err();
        assert!(format!("{refused:?}").contains("canaries[0].rule"), "{refused:?}");
    }

    #[test]
    fn a_rule_is_called_by_its_path_below_the_detections() {
        for (named, file, name) in [
            ("content", "content/detections/linux/a.yml", "linux/a.yml"),
            ("content/detections/linux/a.yml", "content/detections/linux/a.yml", "linux/a.yml"),
            ("rules", "rules/web/b.yml", "web/b.yml"),
            ("c.yml", "c.yml", "c.yml"),
        ] {
            assert_eq!(detection_name(Path::new(named), Path::new(file)), name);
        }
    }
}
