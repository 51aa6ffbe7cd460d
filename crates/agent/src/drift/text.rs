//! Texts as the reference has them, so that what changed in them can be told. They lie in a folder of the
//! agent's, each under the digest of its content; what only some may read is never among them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use bartizan_core::configuration::drift::{Drift, Object, Standing, difference};
use bartizan_probe::drift::Files;
use sha2::{Digest as _, Sha256};

use crate::state::replace;

/// The most bytes that are kept, over all texts.
const BYTES_LIMIT: u64 = 16 << 20;

/// How a line of the reference names the content of a file.
const DIGEST: &str = "sha256:";

/// The folder of texts.
#[derive(Debug)]
pub(super) struct Texts {
    folder: Option<PathBuf>,
    bytes: u64,
}

impl Texts {
    /// The texts in a folder, made where it is missing; without one nothing is kept, and no lines are told.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let folder = folder.filter(|folder| fs::create_dir_all(folder).is_ok());
        let sizes = folder.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let bytes = sizes.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum();
        Self { folder, bytes }
    }

    /// Takes away the texts that no line of the reference names any more.
    pub(super) fn sweep(&mut self, reference: &Standing) {
        let named: BTreeSet<PathBuf> = reference.values().filter_map(|line| self.place(line)).collect();
        let entries = self.folder.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        for entry in entries.flatten().filter(|entry| !named.contains(&entry.path())) {
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            if fs::remove_file(entry.path()).is_ok() {
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Keeps the text of an object as it stands.
    pub(super) fn keep(&mut self, files: Option<&Files>, object: &Object, standing: &Standing) {
        let (Some(files), Some(line)) = (files, standing.get(object)) else { return };
        let Some(place) = self.place(line).filter(|place| !place.exists()) else { return };
        let Some(text) = files.text(&object.name) else { return };
        let bytes = self.bytes.saturating_add(text.len() as u64);
        // What can't be kept, or changed since it was looked at, is told without its lines.
        let is_it = line.ends_with(&hex::encode(Sha256::digest(&text)));
        if is_it && bytes <= BYTES_LIMIT && replace(&place, text.as_bytes()).is_ok() {
            self.bytes = bytes;
        }
    }

    /// The lines that went and came; none where one of the two texts is nobody's business or was not kept.
    pub(super) fn difference(&self, files: Option<&Files>, drift: &Drift) -> Vec<String> {
        let Some((files, object)) = files.zip(drift.object.parse::<Object>().ok()) else { return Vec::new() };
        let before = match &drift.before {
            Some(line) => {
                self.place(line).ok_or(io::ErrorKind::NotFound.into()).and_then(fs::read_to_string).ok()
            }
            None => Some(String::new()),
        };
        let after = match &drift.after {
            Some(_) => files.text(&object.name),
            None => Some(String::new()),
        };
        before.zip(after).map(|(before, after)| difference(&before, &after)).unwrap_or_default()
    }

    /// Where the content lies that a line of the reference names.
    fn place(&self, line: &str) -> Option<PathBuf> {
        let digest = line.split_once(DIGEST)?.1;
        let is_name = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_name.then(|| Some(self.folder.as_ref()?.join(digest)))?
    }
}
