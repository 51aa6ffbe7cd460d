//! The spool: reports that wait for the server, on disk, within bounds.
//!
//! An entry is on disk when `push` returns. When the bounds are met the oldest go first, since
//! what they tell of state the newer ones tell better; what they carried beside state is counted
//! by its source, and that count is kept until the server has acknowledged it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use serde::{Deserialize, Serialize};

use crate::state::replace;

/// How many items of each source.
pub type Counts = BTreeMap<String, u64>;

/// The name under which entries that were damaged on disk are counted.
const DAMAGED: &str = "spool";

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub entries: usize,
    pub bytes: u64,
}

impl Default for Limits {
    /// A week of reports at the default pace, and little enough for a small disk.
    fn default() -> Self {
        Limits { entries: 20_000, bytes: 64 << 20 }
    }
}

/// Reports that wait, the oldest first.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    limits: Limits,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    lost: Counts,
}

/// The place of a report in its agent's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub epoch: u64,
    pub sequence: u64,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    bytes: u64,
    carries: Counts,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    digest: Digest,
    carries: Counts,
}

/// Why the spool can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't {doing} {}: {source}", path.display())]
pub struct Error {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        Class::Unavailable
    }
}

impl Spool {
    /// Opens a folder of waiting reports, makes it where it is missing.
    pub fn open(folder: impl Into<PathBuf>, limits: Limits) -> Result<Spool, Error> {
        let folder = folder.into();
        let fault = |doing| {
            let path = folder.clone();
            move |source| Error { doing, path, source }
        };
        fs::create_dir_all(&folder).map_err(fault("make"))?;
        let mut places: Vec<Place> = fs::read_dir(&folder)
            .map_err(fault("read"))?
            .flatten()
            .filter_map(|entry| place(&entry.file_name().to_string_lossy()))
            .collect();
        places.sort();
        let lost = match fs::read(folder.join("lost.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| damaged()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Counts::new(),
            Err(error) => return Err(fault("read what was lost in")(error)),
        };
        let mut spool = Spool { folder, limits, waiting: VecDeque::new(), bytes: 0, lost };
        for place in places {
            match spool.read(place) {
                Some((header, payload)) => {
                    let bytes = payload.len() as u64;
                    spool.bytes += bytes;
                    spool.waiting.push_back(Waiting { place, bytes, carries: header.carries });
                }
                None => {
                    spool.count_lost(&damaged())?;
                    spool.delete(place)?;
                }
            }
        }
        Ok(spool)
    }

    /// Puts a report at the end; `carries` counts what it holds beside state, by source.
    /// Gives what had to be dropped for it.
    pub fn push(&mut self, place: Place, payload: &[u8], carries: Counts) -> Result<Counts, Error> {
        let mut dropped = Counts::new();
        let bytes = payload.len() as u64;
        while !self.waiting.is_empty()
            && (self.waiting.len() >= self.limits.entries || self.bytes + bytes > self.limits.bytes)
        {
            dropped = self.drop_oldest(dropped)?;
        }
        if bytes > self.limits.bytes {
            self.count_lost(&carries)?;
            add(&mut dropped, &carries);
            return Ok(dropped);
        }
        let header = Header { digest: Digest::of_bytes(payload), carries };
        let mut content = serde_json::to_vec(&header).map_err(|error| Error {
            doing: "write a header for",
            path: self.path(place),
            source: io::Error::other(error),
        })?;
        content.push(b'\n');
        content.extend_from_slice(payload);
        let path = self.path(place);
        replace(&path, &content).map_err(|source| Error { doing: "write", path, source })?;
        self.bytes += bytes;
        self.waiting.push_back(Waiting { place, bytes, carries: header.carries });
        Ok(dropped)
    }

    /// The oldest report that waits. One that was damaged on disk is counted and passed over.
    pub fn oldest(&mut self) -> Result<Option<(Place, Vec<u8>)>, Error> {
        while let Some(place) = self.waiting.front().map(|waiting| waiting.place) {
            if let Some((_, payload)) = self.read(place) {
                return Ok(Some((place, payload)));
            }
            self.count_lost(&damaged())?;
            self.remove(place)?;
        }
        Ok(None)
    }

    /// The oldest reports that wait: at most so many, and no more once their bytes pass the limit.
    /// Those that were damaged on disk are counted and passed over.
    pub fn first(&mut self, entries: usize, bytes: usize) -> Result<Vec<(Place, Vec<u8>)>, Error> {
        let (mut found, mut total) = (Vec::new(), 0);
        let places: Vec<Place> = self.waiting.iter().take(entries).map(|waiting| waiting.place).collect();
        for place in places {
            let Some((_, payload)) = self.read(place) else {
                self.count_lost(&damaged())?;
                self.remove(place)?;
                continue;
            };
            total += payload.len();
            if total > bytes && !found.is_empty() {
                break;
            }
            found.push((place, payload));
        }
        Ok(found)
    }

    /// The places of all reports that wait, the oldest first.
    pub fn places(&self) -> Vec<Place> {
        self.waiting.iter().map(|waiting| waiting.place).collect()
    }

    /// What was pushed at a place; none where it is not there whole.
    pub fn payload(&self, place: Place) -> Option<Vec<u8>> {
        self.read(place).map(|(_, payload)| payload)
    }

    /// Whether a report waits.
    pub fn holds(&self, place: Place) -> bool {
        self.waiting.iter().any(|waiting| waiting.place == place)
    }

    /// What a report that waits carries beside state, by source.
    pub fn carried(&self, place: Place) -> Counts {
        let waiting = self.waiting.iter().find(|waiting| waiting.place == place);
        waiting.map(|waiting| waiting.carries.clone()).unwrap_or_default()
    }

    /// Removes a report that the server has acknowledged.
    pub fn remove(&mut self, place: Place) -> Result<(), Error> {
        self.delete(place)?;
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.place == place)
            && let Some(gone) = self.waiting.remove(at)
        {
            self.bytes = self.bytes.saturating_sub(gone.bytes);
        }
        Ok(())
    }

    /// How many reports wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What was dropped and not yet acknowledged as lost, by source.
    pub fn lost(&self) -> &Counts {
        &self.lost
    }

    /// Counts what a source dropped before it came here.
    pub fn count_lost(&mut self, dropped: &Counts) -> Result<(), Error> {
        add(&mut self.lost, dropped);
        self.keep_lost()
    }

    /// The server has acknowledged a report that told of this loss.
    pub fn acknowledge_lost(&mut self, told: &Counts) -> Result<(), Error> {
        for (source, count) in told {
            if let Some(left) = self.lost.get_mut(source) {
                *left = left.saturating_sub(*count);
            }
        }
        self.lost.retain(|_, count| *count > 0);
        self.keep_lost()
    }

    fn drop_oldest(&mut self, mut dropped: Counts) -> Result<Counts, Error> {
        let Some(oldest) = self.waiting.front() else { return Ok(dropped) };
        let (place, carries) = (oldest.place, oldest.carries.clone());
        // Counted before it goes: a crash between the two counts twice rather than not at all.
        self.count_lost(&carries)?;
        self.remove(place)?;
        add(&mut dropped, &carries);
        Ok(dropped)
    }

    fn keep_lost(&self) -> Result<(), Error> {
        let path = self.folder.join("lost.json");
        let fault = |source| Error { doing: "write what was lost to", path: path.clone(), source };
        let bytes = serde_json::to_vec(&self.lost).map_err(|error| fault(io::Error::other(error)))?;
        replace(&path, &bytes).map_err(fault)
    }

    fn read(&self, place: Place) -> Option<(Header, Vec<u8>)> {
        let content = fs::read(self.path(place)).ok()?;
        let end = content.iter().position(|byte| *byte == b'\n')?;
        let header: Header = serde_json::from_slice(content.get(..end)?).ok()?;
        let payload = content.get(end + 1..)?.to_vec();
        (Digest::of_bytes(&payload) == header.digest).then_some((header, payload))
    }

    fn delete(&self, place: Place) -> Result<(), Error> {
        let path = self.path(place);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error { doing: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, place: Place) -> PathBuf {
        self.folder.join(format!("{:020}-{:020}.report", place.epoch, place.sequence))
    }
}

fn add(counts: &mut Counts, more: &Counts) {
    for (source, count) in more {
        let sum = counts.entry(source.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
}

fn damaged() -> Counts {
    Counts::from([(DAMAGED.to_owned(), 1)])
}

fn place(name: &str) -> Option<Place> {
    let stem = Path::new(name).file_stem()?.to_str()?;
    let (epoch, sequence) = stem.split_once('-')?;
    if !name.ends_with(".report") {
        return None;
    }
    Some(Place { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
}

#[cfg(test)]
mod tests;
