//! The file of one feed: a header, blocks, and a body that says where each block lies.
//!
//! The header is 64 bytes: 16 that name the format, the body's offset and length (u64, little-endian),
//! and the body's SHA-256. For advisories the body is text, a line for each package, sorted:
//! `ecosystem TAB release TAB package TAB offset TAB length TAB digest`; a block is zstd over the package's
//! records, a JSON object a line, and the digest is over them (the first half of SHA-256, in hex; files
//! written by earlier programs have none). For KEV the body is the catalogue's JSON, for EPSS rows of 14 bytes.

mod write;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::vulnerability::advisory::Record;

use crate::epss::{Cve, Estimate};
use crate::error::Error;
use crate::kev::{Catalogue, Exploited};

pub(super) use write::{Spool, write_body};

const MAGIC: [u8; 16] = *b"bartizan-feed/1\n";
const HEADER_BYTES: u64 = 64;

/// The largest body, in bytes: a line for each package of each release.
const BODY_BYTES: u64 = 1 << 30;

/// The largest block, in bytes, packed; and unpacked.
const BLOCK_BYTES: u64 = 256 << 20;
const UNPACKED_BYTES: usize = 1 << 30;

/// A row of EPSS: year (u16), number, probability, percentile (u32), little-endian.
pub const ROW_BYTES: usize = 14;

/// What stands for "no percentile" in a row.
const NONE: u32 = u32::MAX;

/// The advisories of one feed.
#[derive(Debug)]
pub(super) struct Advisories {
    path: PathBuf,
    file: File,
    table: String,
}

/// The scores of EPSS.
#[derive(Debug, Default)]
pub(super) struct Scores {
    rows: Vec<u8>,
}

/// What a package's line begins with.
pub(super) fn key(ecosystem: &str, release: &str, name: &str) -> String {
    format!("{ecosystem}\t{release}\t{name}")
}

impl Advisories {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, body) = open(path)?;
        let table = String::from_utf8(body).map_err(|error| broken(path, error))?;
        Ok(Self { path: path.to_owned(), file, table })
    }

    pub(super) fn covers(&self, ecosystem: &str, release: &str) -> bool {
        let prefix = key(ecosystem, release, "");
        let at = self.lower_bound(&prefix);
        self.table.get(at..).is_some_and(|rest| rest.starts_with(&prefix))
    }

    /// Adds the records of a package.
    pub(super) fn read(&self, key: &str, records: &mut Vec<Record>) -> Result<(), Error> {
        let prefix = format!("{key}\t");
        let at = self.lower_bound(&prefix);
        let Some(rest) = self.table.get(at..).and_then(|rest| rest.strip_prefix(prefix.as_str())) else {
            return Ok(());
        };
        let mut place = rest.lines().next().unwrap_or_default().split('\t').map(str::parse);
        let place = place.next().zip(place.next());
        let place = place.and_then(|(offset, length)| Some((offset.ok()?, length.ok()?)));
        let (offset, length): (u64, u64) = place.ok_or_else(|| broken(&self.path, "a line of its table"))?;
        if length > BLOCK_BYTES {
            return Err(broken(&self.path, "a block passes its limit"));
        }
        let mut packed = vec![0; usize::try_from(length).map_err(|error| broken(&self.path, error))?];
        self.file
            .read_exact_at(&mut packed, offset)
            .map_err(|error| Error::file("read a block of", &self.path, error))?;
        let lines = unpack(&packed).map_err(|error| broken(&self.path, error))?;
        for record in serde_json::Deserializer::from_slice(&lines).into_iter() {
            records.push(record.map_err(|error| broken(&self.path, error))?);
        }
        Ok(())
    }

    /// Whether these are the same file: its name ends in the digest of what it was made from.
    pub(super) fn is(&self, other: &Advisories) -> bool {
        self.path == other.path
    }

    /// The packages whose records are not as `older` has them: `ecosystem TAB release TAB package`.
    pub(super) fn changed_since<'a>(&'a self, older: &'a Advisories) -> Vec<&'a str> {
        let (mut new, mut old) = (lines(&self.table).peekable(), lines(&older.table).peekable());
        let mut changed = Vec::new();
        // Both tables are sorted by package.
        loop {
            let order = match (new.peek(), old.peek()) {
                (None, None) => return changed,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((new, _)), Some((old, _))) => new.cmp(old),
            };
            let newer = if order.is_le() { new.next() } else { None };
            let older = if order.is_ge() { old.next() } else { None };
            let digest = |line: Option<(&'a str, Option<&'a str>)>| line.and_then(|(_, digest)| digest);
            if digest(newer).is_none() || digest(newer) != digest(older) {
                changed.extend(newer.or(older).map(|(package, _)| package));
            }
        }
    }

    /// Every package, as [`Advisories::changed_since`] has them.
    pub(super) fn packages(&self) -> impl Iterator<Item = &str> {
        lines(&self.table).map(|(package, _)| package)
    }

    /// Where the first line begins that is not before `wanted`.
    fn lower_bound(&self, wanted: &str) -> usize {
        let bytes = self.table.as_bytes();
        let (mut low, mut high) = (0, bytes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let before = bytes.get(low..middle).unwrap_or_default();
            let start = before.iter().rposition(|&b| b == b'\n').map_or(low, |newline| low + newline + 1);
            let line = bytes.get(start..high).unwrap_or_default();
            let line = line.split(|&b| b == b'\n').next().unwrap_or_default();
            if line < wanted.as_bytes() {
                low = (start + line.len() + 1).min(high);
            } else {
                high = start;
            }
        }
        low
    }
}

/// The lines of a table: the package, and the digest of its records where there is one.
fn lines(table: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    table.lines().map(|line| {
        let end = line.match_indices('\t').nth(2).map_or(line.len(), |(at, _)| at);
        (line.get(..end).unwrap_or(line), line.get(end..).and_then(|rest| rest.split('\t').nth(3)))
    })
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut lines = Vec::new();
    let limit = UNPACKED_BYTES as u64;
    zstd::Decoder::with_buffer(packed)?.take(limit + 1).read_to_end(&mut lines)?;
    if lines.len() > UNPACKED_BYTES {
        return Err(std::io::Error::other("a block passes its limit when it is unpacked"));
    }
    Ok(lines)
}

impl Scores {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (_, rows) = open(path)?;
        if rows.len() % ROW_BYTES != 0 {
            return Err(broken(path, "its length"));
        }
        Ok(Self { rows })
    }

    pub(super) fn find(&self, wanted: Cve) -> Option<Estimate> {
        let (rows, _) = self.rows.as_chunks::<ROW_BYTES>();
        let at = rows.binary_search_by_key(&wanted, |row| unrow(row).0).ok()?;
        rows.get(at).map(|row| unrow(row).1)
    }
}

/// A row's bytes.
pub(super) fn row(cve: Cve, estimate: Estimate) -> [u8; ROW_BYTES] {
    let [a, b] = cve.year.to_le_bytes();
    let [c, d, e, f] = cve.number.to_le_bytes();
    let [g, h, i, j] = estimate.probability_millionths.to_le_bytes();
    let [k, l, m, n] = estimate.percentile_millionths.unwrap_or(NONE).to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

fn unrow(row: &[u8; ROW_BYTES]) -> (Cve, Estimate) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *row;
    let percentile = u32::from_le_bytes([k, l, m, n]);
    (
        Cve { year: u16::from_le_bytes([a, b]), number: u32::from_le_bytes([c, d, e, f]) },
        Estimate {
            probability_millionths: u32::from_le_bytes([g, h, i, j]),
            percentile_millionths: (percentile != NONE).then_some(percentile),
        },
    )
}

pub(super) fn read_kev(path: &Path) -> Result<Vec<Exploited>, Error> {
    let (_, body) = open(path)?;
    let catalogue: Catalogue = serde_json::from_slice(&body).map_err(|error| broken(path, error))?;
    Ok(catalogue.entries)
}

/// The file and its body, checked.
fn open(path: &Path) -> Result<(File, Vec<u8>), Error> {
    let unread = |error| Error::file("read", path, error);
    let file = File::open(path).map_err(unread)?;
    let mut header = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut header, 0).map_err(|error| broken(path, error))?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let number =
        |at: usize| -> Option<u64> { Some(u64::from_le_bytes(*rest.get(at..)?.first_chunk::<8>()?)) };
    let digest = rest.get(16..).and_then(|digest| digest.first_chunk::<32>());
    let (Some(offset), Some(length), Some(digest)) = (number(0), number(8), digest) else {
        return Err(broken(path, "its header"));
    };
    if magic != MAGIC.as_slice() || length > BODY_BYTES {
        return Err(broken(path, "its header"));
    }
    // A header that lies about the length must not make room for it.
    let size = file.metadata().map_err(unread)?.len();
    if offset.checked_add(length) != Some(size) {
        return Err(broken(path, "it was cut, or added to"));
    }
    let mut body = vec![0; usize::try_from(length).map_err(|error| broken(path, error))?];
    file.read_exact_at(&mut body, offset).map_err(unread)?;
    if Digest::of_bytes(&body) != Digest::from_bytes(*digest) {
        return Err(broken(path, "its digest is another than its header says"));
    }
    Ok((file, body))
}

fn broken(path: &Path, problem: impl ToString) -> Error {
    let problem = format!("{} is wrong; import the feed again", problem.to_string());
    Error::broken(&path.display().to_string(), "", problem)
}
