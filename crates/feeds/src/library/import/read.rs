//! Reading the raw files of one feed, with their digests, under limits, telling how far it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::advisory::Record;
use sha2::{Digest as _, Sha256};

use super::super::index::{self, Spool};
use super::super::source::{Kind, Source};
use super::{Body, Progress, Ready, digest};
use crate::error::Error;
use crate::{debian, epss, kev, osv};

/// The largest raw file, in bytes: the tracker has some 70 MB, the zip of all of osv.dev some 2 GB.
const FILE_BYTES: u64 = 16 << 30;

/// The largest file of a single record, in bytes.
const RECORD_BYTES: u64 = 32 << 20;

/// How much is read between two calls of progress, in bytes.
const STEP: u64 = 1 << 20;

/// What was read so far of the files of one feed.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    into: &'a Path,
    name: &'static str,
    spools: BTreeMap<String, (Spool, Vec<Digest>)>,
    plain: Option<(Vec<u8>, u64)>,
    files: Vec<Digest>,
    published_at: Option<Timestamp>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(into: &'a Path, name: &'static str) -> Self {
        Self { into, name, spools: BTreeMap::new(), plain: None, files: Vec::new(), published_at: None }
    }

    pub(super) fn read(&mut self, source: &Source, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let name = source.path.display().to_string();
        let unread = |error| Error::file("read", &source.path, error);
        let mut file = File::open(&source.path).map_err(unread)?;
        let total = file.metadata().map_err(unread)?.len();
        if total > FILE_BYTES {
            return Err(Error::Limit { file: name, what: "bytes of a feed", limit: FILE_BYTES });
        }
        let of_file = hash(&mut file).map_err(unread)?;
        self.files.push(of_file);
        file.rewind().map_err(unread)?;
        let mut at = |done| progress(Progress { file: source.path.clone(), done, total });
        at(0);
        match source.kind {
            Kind::Debian => self.debian(file, &name, of_file, &mut at)?,
            Kind::OsvZip => osv::read_zip(BufReader::new(file), &name, &mut |parsed, done| {
                at(done);
                self.osv(parsed, &name, of_file)
            })?,
            Kind::Osv => {
                let parsed = osv::read(&whole(file, RECORD_BYTES, &name)?, &name)?;
                self.osv(parsed, &name, of_file)?;
            }
            Kind::Kev => {
                let catalogue = kev::read(&whole(file, kev::BYTES, &name)?, &name)?;
                self.publish(catalogue.released.as_deref());
                let body = serde_json::to_vec(&catalogue).map_err(|error| unread(error.into()))?;
                self.plain = Some((body, catalogue.entries.len() as u64));
            }
            Kind::Epss => {
                let scores = epss::read(file, &name)?;
                self.publish(scores.scored.as_deref());
                let rows: Vec<u8> = scores.rows.iter().flat_map(|(cve, e)| index::row(*cve, *e)).collect();
                self.plain = Some((rows, scores.rows.len() as u64));
            }
        }
        at(total);
        Ok(())
    }

    fn debian(
        &mut self,
        file: File,
        name: &str,
        of_file: Digest,
        at: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let feed = debian::FEED;
        let counted = Counted { inner: file, done: 0, told: 0, tell: at };
        // An export without a single package is still a feed.
        self.spool(feed, of_file)?;
        debian::read(BufReader::with_capacity(256 << 10, counted), name, &mut |records| {
            let spool = self.spool(feed, of_file)?;
            records.iter().try_for_each(|record| spool.add(record, name))
        })
    }

    /// OSV's records make a feed for each distribution, so that one can come without the others.
    fn osv(&mut self, parsed: osv::Parsed, name: &str, of_file: Digest) -> Result<(), Error> {
        if !parsed.records.is_empty() {
            self.publish(parsed.modified.as_deref());
        }
        for record in parsed.records {
            let feed = format!("{}-{}", osv::FEED, record.ecosystem);
            let record = Record { feed: feed.clone(), ..record };
            self.spool(&feed, of_file)?.add(&record, name)?;
        }
        Ok(())
    }

    fn spool(&mut self, feed: &str, of_file: Digest) -> Result<&mut Spool, Error> {
        if !self.spools.contains_key(feed) {
            let path = self.into.join(format!(".{feed}.spool"));
            self.spools.insert(feed.to_owned(), (Spool::create(path)?, Vec::new()));
        }
        let missing = || Error::Missing { path: PathBuf::from(feed) };
        let (spool, files) = self.spools.get_mut(feed).ok_or_else(missing)?;
        if files.last() != Some(&of_file) {
            files.push(of_file);
        }
        Ok(spool)
    }

    /// Notes when something was published; the latest counts.
    fn publish(&mut self, at: Option<&str>) {
        self.published_at = self.published_at.max(at.and_then(|at| at.parse().ok()));
    }

    /// The feeds that came out of it.
    pub(super) fn finish(self) -> Result<Vec<Ready>, Error> {
        let published_at = self.published_at;
        if let Some((body, records)) = self.plain {
            let name = self.name.to_owned();
            let body = Body::Plain(body);
            return Ok(vec![Ready { name, digest: digest(self.files), records, published_at, body }]);
        }
        let ready = self.spools.into_iter().map(|(name, (spool, files))| Ready {
            name,
            digest: digest(files),
            records: spool.records(),
            published_at,
            body: Body::Advisories(spool),
        });
        Ok(ready.collect())
    }
}

fn hash(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

fn whole(file: File, limit: u64, name: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::file("read", Path::new(name), error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Limit { file: name.to_owned(), what: "bytes of a file", limit });
    }
    Ok(bytes)
}

/// A reader that tells how much was read of it.
struct Counted<'a, R> {
    inner: R,
    done: u64,
    told: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done += read as u64;
        if self.done - self.told >= STEP {
            self.told = self.done;
            (self.tell)(self.done);
        }
        Ok(read)
    }
}
