//! Writing the file of one feed: records are spooled as they come, then sorted by package.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::vulnerability::advisory::Record;

use super::{HEADER_BYTES, MAGIC, key};
use crate::error::Error;

/// zstd's level: 3 is its default, and takes a few seconds for the largest feed.
const LEVEL: i32 = 3;

/// The most runs of records that a feed may come in: a package and release of an advisory each.
const RUNS: usize = 20_000_000;

/// How much of a digest stands in a line: enough to tell a change, half of the room.
const DIGEST_BYTES: usize = 16;

/// Records on their way into a file: those of one package in one release lie together, wherever in
/// the feed they stood, and memory holds but their places.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    runs: Vec<Run>,
    records: u64,
}

/// Records of one package that were given in a row.
#[derive(Debug)]
struct Run {
    key: String,
    offset: u64,
    length: u64,
}

impl Spool {
    /// A spool in a temporary file, which goes when the spool does.
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = BufWriter::new(file.map_err(|error| Error::file("create", &path, error))?);
        Ok(Self { path, file, length: 0, runs: Vec::new(), records: 0 })
    }

    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Adds a record. `file` is where it came from.
    pub(crate) fn add(&mut self, record: &Record, file: &str) -> Result<(), Error> {
        let name = record.package.name();
        if [&record.ecosystem, &record.release, name].iter().any(|text| text.contains(char::is_control)) {
            return Err(Error::broken(file, &record.id, "a name holds a control character"));
        }
        let failed = |error| Error::file("write", &self.path, error);
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)?;
        let key = key(&record.ecosystem, &record.release, name);
        let length = line.len() as u64;
        match self.runs.last_mut() {
            Some(run) if run.key == key => run.length += length,
            _ => self.runs.push(Run { key, offset: self.length, length }),
        }
        if self.runs.len() > RUNS {
            return Err(Error::Limit { file: file.to_owned(), what: "runs of records", limit: RUNS as u64 });
        }
        self.length += length;
        self.records += 1;
        Ok(())
    }

    /// Writes the feed's file and removes the spool.
    pub(crate) fn finish(mut self, target: &Path) -> Result<(), Error> {
        let failed = |error| Error::file("write", target, error);
        self.file.flush().map_err(failed)?;
        self.runs.sort_by(|a, b| a.key.cmp(&b.key));
        write(target, |out| {
            let mut table = Vec::new();
            let mut offset = HEADER_BYTES;
            let mut packer = zstd::bulk::Compressor::new(LEVEL)?;
            packer.include_checksum(true)?;
            for runs in self.runs.chunk_by(|a, b| a.key == b.key) {
                let mut lines = Vec::new();
                for run in runs {
                    let start = lines.len();
                    lines.resize(start + usize::try_from(run.length).map_err(io::Error::other)?, 0);
                    let room = lines.get_mut(start..).unwrap_or_default();
                    self.file.get_ref().read_exact_at(room, run.offset)?;
                }
                let block = packer.compress(&lines)?;
                out.write_all(&block)?;
                if let Some(run) = runs.first() {
                    let digest = Digest::of_bytes(&lines);
                    let digest =
                        hex::encode(digest.as_bytes().first_chunk::<DIGEST_BYTES>().unwrap_or(&[0; _]));
                    writeln!(table, "{}\t{offset}\t{}\t{digest}", run.key, block.len())?;
                }
                offset += block.len() as u64;
            }
            Ok((offset, table))
        })
        .map_err(failed)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What is left over goes with the next import.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a feed's file that is all body.
pub(crate) fn write_body(target: &Path, body: Vec<u8>) -> Result<(), Error> {
    write(target, |_| Ok((HEADER_BYTES, body))).map_err(|error| Error::file("write", target, error))
}

/// Writes blocks, body and header under a temporary name, and renames it.
fn write(
    target: &Path,
    blocks: impl FnOnce(&mut BufWriter<File>) -> io::Result<(u64, Vec<u8>)>,
) -> io::Result<()> {
    let temporary = target.with_extension("tmp");
    let mut out = BufWriter::with_capacity(256 << 10, File::create(&temporary)?);
    out.write_all(&[0; HEADER_BYTES as usize])?;
    let (offset, body) = blocks(&mut out)?;
    out.write_all(&body)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&MAGIC)?;
    out.write_all(&offset.to_le_bytes())?;
    out.write_all(&(body.len() as u64).to_le_bytes())?;
    out.write_all(Digest::of_bytes(&body).as_bytes())?;
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(&temporary, target)
}
