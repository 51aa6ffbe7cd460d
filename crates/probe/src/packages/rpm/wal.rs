//! The write-ahead log beside an SQLite database (sqlite.org/fileformat2.html section 4).
//!
//! Pages that were committed and not yet copied into the database stand here, the newest last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use crate::root::{Error, Limit, Root};

/// The longest log that is read; SQLite copies it back after some four megabytes.
const LOG: Limit = Limit { name: "write-ahead log", bytes: 1 << 30 };

const MAGIC: u32 = 0x377f_0682;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The committed part of a log.
pub(super) struct Wal {
    file: File,
    /// Where the newest copy of a page begins.
    places: BTreeMap<u32, u64>,
    /// Pages of the database after the last commit.
    pub(super) pages: u32,
}

/// The sums that each frame carries on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    first: u32,
    second: u32,
    big_endian: bool,
}

impl Wal {
    /// Opens the log beside a database; none where there is none, or one with nothing committed.
    pub(super) fn open(root: &Root, database: &str, page_bytes: usize) -> Result<Option<Self>, String> {
        let path = format!("{database}-wal");
        let file = match root.open(&path) {
            Ok(file) => file,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        if length > LOG.bytes {
            return Err(Error::Limit { path: path.into(), limit: LOG }.to_string());
        }
        if length < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let reader = BufReader::new(file.try_clone().map_err(|error| error.to_string())?);
        let frames = frames(reader.take(length), page_bytes).map_err(|error| error.to_string())?;
        Ok(frames.map(|(places, pages)| Self { file, places, pages }))
    }

    /// Reads a page; none where the log has none with that number.
    pub(super) fn read(&self, page: u32, into: &mut [u8]) -> Option<io::Result<()>> {
        let place = self.places.get(&page)?;
        Some(self.file.read_exact_at(into, *place))
    }
}

/// Where committed pages stand, and how many pages the database then has. What follows the last commit,
/// or does not carry on the sums, was never committed.
fn frames(mut reader: impl Read, page_bytes: usize) -> io::Result<Option<(BTreeMap<u32, u64>, u32)>> {
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header)?;
    let magic = number(&header, 0);
    if magic & !1 != MAGIC || usize::try_from(number(&header, 8)) != Ok(page_bytes) {
        return Ok(None);
    }
    let mut sums = Sums { first: 0, second: 0, big_endian: magic & 1 == 1 };
    sums.add(header.get(..24).unwrap_or_default());
    if !sums.are(&header, 24) {
        return Ok(None);
    }
    let salt = header.get(16..24).map(<[u8]>::to_vec);
    let (mut committed, mut open) = (BTreeMap::new(), BTreeMap::new());
    let mut pages = 0;
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let mut place = HEADER_BYTES as u64;
    loop {
        match reader.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        sums.add(frame.get(..8).unwrap_or_default());
        sums.add(frame.get(FRAME_HEADER_BYTES..).unwrap_or_default());
        if frame.get(8..16) != salt.as_deref() || !sums.are(&frame, 16) {
            break;
        }
        open.insert(number(&frame, 0), place + FRAME_HEADER_BYTES as u64);
        place += frame.len() as u64;
        let after = number(&frame, 4);
        if after != 0 {
            pages = after;
            committed.append(&mut open);
        }
    }
    Ok((pages != 0).then_some((committed, pages)))
}

impl Sums {
    /// Carries the sums on over bytes, eight at a time.
    fn add(&mut self, bytes: &[u8]) {
        let word = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        for &[a, b, c, d, e, f, g, h] in bytes.as_chunks::<8>().0 {
            self.first = self.first.wrapping_add(word([a, b, c, d])).wrapping_add(self.second);
            self.second = self.second.wrapping_add(word([e, f, g, h])).wrapping_add(self.first);
        }
    }

    /// Whether they are those written at a place.
    fn are(self, bytes: &[u8], at: usize) -> bool {
        (self.first, self.second) == (number(bytes, at), number(bytes, at + 4))
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
