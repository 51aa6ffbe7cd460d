//! Reads the rows of one table of an SQLite database (sqlite.org/fileformat2.html).
//!
//! Read-only, without locks and without the library: an agent that only observes must be able to look
//! at a root that it can't write to, and a damaged database must cost the rows that are damaged.
//! A change under way may tear a page; what it tears is told, and the next look sees it whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::wal::Wal;
use crate::root::{Error, Limit, Root};

const MAGIC: &[u8] = b"SQLite format 3\0";

/// The database's own header, before the first page's.
const HEADER_BYTES: usize = 100;

/// How deep a b-tree may be; SQLite itself goes no deeper.
const DEPTH: usize = 20;

/// The longest row: rpm's own limit for a header is four times as much.
const ROW_BYTES: usize = 64 << 20;

/// The largest database: ten times that of a host with everything installed.
const DATABASE: Limit = Limit { name: "rpm database", bytes: 2 << 30 };

/// How a journal begins that was not finished.
const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Columns of one row.
const COLUMNS: usize = 100;

const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;

/// A database that is open for reading.
pub(super) struct Database {
    file: File,
    wal: Option<Wal>,
    page_bytes: usize,
    /// Of a page, what may hold content.
    usable_bytes: usize,
    /// Pages there are.
    pages: u32,
}

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("is no SQLite database")]
    NoDatabase,
    #[error("its SQLite format {0} is unsupported")]
    Format(u8),
    #[error("has no table `{0}`")]
    NoTable(String),
    #[error("page {0} is broken: the rows on it are not known")]
    Page(u32),
    #[error("row {0} is broken")]
    Row(i64),
    #[error("the pages of its table run in a circle")]
    Circle,
    #[error("page {page} can't be read: {source}")]
    Read { page: u32, source: std::io::Error },
    #[error("the changes in its write-ahead log can't be read, the newest may be missing: {0}")]
    Wal(String),
    #[error("a change to it was cut short: what it says may be half of it")]
    Journal,
}

/// A value as far as the tables that are read need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Real,
    Blob(&'a [u8]),
    Text(&'a [u8]),
}

impl Database {
    /// Opens the database at a path. The inner error is told of the database itself; what may be missing
    /// of it is a problem.
    pub(super) fn open(
        root: &Root,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Result<Result<Self, Problem>, Error> {
        let file = root.open(path)?;
        let length = file.metadata().map_err(|source| Error::Read { path: path.into(), source })?.len();
        if length > DATABASE.bytes {
            return Err(Error::Limit { path: path.into(), limit: DATABASE });
        }
        let mut header = [0; HEADER_BYTES];
        if file.read_exact_at(&mut header, 0).is_err() || !header.starts_with(MAGIC) {
            return Ok(Err(Problem::NoDatabase));
        }
        let (size, version, reserved) = (integer(&header, 16, 2), byte(&header, 19), byte(&header, 20));
        let (Some(size), Some(version), Some(reserved)) = (size, version, reserved) else {
            return Ok(Err(Problem::NoDatabase));
        };
        if version > 2 {
            return Ok(Err(Problem::Format(version)));
        }
        let page_bytes = if size == 1 { 1 << 16 } else { usize::try_from(size).unwrap_or(0) };
        let usable_bytes = page_bytes.saturating_sub(usize::from(reserved));
        if !page_bytes.is_power_of_two() || page_bytes < 512 || usable_bytes < 480 {
            return Ok(Err(Problem::NoDatabase));
        }
        let wal = if version == 2 { Wal::open(root, path, page_bytes) } else { Ok(None) };
        let wal = wal.unwrap_or_else(|error| {
            problems.push(Problem::Wal(error));
            None
        });
        let mut journal = [0; JOURNAL.len()];
        if let Ok(file) = root.open(format!("{path}-journal"))
            && file.read_exact_at(&mut journal, 0).is_ok()
            && journal == JOURNAL
        {
            problems.push(Problem::Journal);
        }
        let own = u32::try_from(length / page_bytes as u64).unwrap_or(u32::MAX);
        let pages = wal.as_ref().map_or(own, |wal| wal.pages.max(own));
        Ok(Ok(Self { file, wal, page_bytes, usable_bytes, pages }))
    }

    /// Calls for each row of a table with its number and its columns. What is broken is told, and the
    /// rest goes on.
    pub(super) fn rows(
        &self,
        table: &str,
        problems: &mut Vec<Problem>,
        mut visit: impl FnMut(i64, &[Value<'_>]),
    ) -> Result<(), Problem> {
        let mut found = None;
        // Its columns: type, name, table, root page, statement.
        self.walk(1, problems, &mut |_, columns| {
            if let [Value::Text(b"table"), Value::Text(name), _, Value::Integer(page), ..] = columns
                && name.eq_ignore_ascii_case(table.as_bytes())
            {
                found = u32::try_from(*page).ok();
            }
        })?;
        let root = found.ok_or_else(|| Problem::NoTable(table.to_owned()))?;
        self.walk(root, problems, &mut visit)
    }

    /// The rows of the b-tree under a page, in its order.
    fn walk(
        &self,
        root: u32,
        problems: &mut Vec<Problem>,
        visit: &mut dyn FnMut(i64, &[Value<'_>]),
    ) -> Result<(), Problem> {
        let mut visits = self.pages;
        let mut waiting = vec![(root, 0)];
        let mut row = Vec::new();
        while let Some((number, depth)) = waiting.pop() {
            visits = visits.checked_sub(1).ok_or(Problem::Circle)?;
            if depth > DEPTH {
                return Err(Problem::Circle);
            }
            let page = match self.page(number) {
                Ok(page) => page,
                Err(problem) => {
                    tell(problems, problem);
                    continue;
                }
            };
            let start = if number == 1 { HEADER_BYTES } else { 0 };
            match byte(&page, start) {
                Some(LEAF) => {
                    let cells = cells(&page, start, 8).unwrap_or_else(|| {
                        tell(problems, Problem::Page(number));
                        Vec::new()
                    });
                    for cell in cells {
                        match self.cell(&page, cell, &mut row, &mut visits) {
                            Some((number, columns)) => visit(number, &columns),
                            None => tell(problems, broken_row(&page, cell, number)),
                        }
                    }
                }
                Some(INTERIOR) => match children(&page, start) {
                    // The last child is read last, so it waits longest.
                    Some(children) => {
                        waiting.extend(children.into_iter().rev().map(|child| (child, depth + 1)))
                    }
                    None => tell(problems, Problem::Page(number)),
                },
                _ => tell(problems, Problem::Page(number)),
            }
        }
        Ok(())
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, Problem> {
        let mut page = vec![0; self.page_bytes];
        let read = match self.wal.as_ref().and_then(|wal| wal.read(number, &mut page)) {
            Some(read) => read,
            None => {
                let place = u64::from(number).checked_sub(1).ok_or(Problem::Page(number))?;
                self.file.read_exact_at(&mut page, place.saturating_mul(self.page_bytes as u64))
            }
        };
        read.map_err(|source| Problem::Read { page: number, source })?;
        page.truncate(self.usable_bytes);
        Ok(page)
    }

    /// The row of a leaf's cell: the length of its payload, its number, the payload or its beginning,
    /// and where it does not fit the first of the pages on which it goes on.
    fn cell<'a>(
        &self,
        page: &'a [u8],
        at: usize,
        row: &'a mut Vec<u8>,
        visits: &mut u32,
    ) -> Option<(i64, Vec<Value<'a>>)> {
        let (length, number, start) = cell_head(page, at)?;
        let local = self.local_bytes(length);
        let payload = page.get(start..start.checked_add(local)?)?;
        if local == length {
            return Some((number, columns(payload)?));
        }
        row.clear();
        row.extend_from_slice(payload);
        let mut next = integer(page, start + local, 4)?;
        // A circle ends with the row's length, and many of them with the visits: no two rows share a page.
        while row.len() < length {
            *visits = visits.checked_sub(1)?;
            let page = self.page(next).ok()?;
            next = integer(&page, 0, 4)?;
            let rest = page.get(4..)?;
            row.extend_from_slice(rest.get(..rest.len().min(length - row.len()))?);
        }
        Some((number, columns(row)?))
    }

    /// How much of a payload stands in its cell (section 1.6).
    fn local_bytes(&self, length: usize) -> usize {
        let usable = self.usable_bytes;
        if length <= usable - 35 {
            return length;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (usable - 4);
        if fitting <= usable - 35 { fitting } else { least }
    }
}

/// The most problems kept of one database; more tell no more of one that is broken throughout.
const PROBLEMS: usize = 1000;

fn tell(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.len() < PROBLEMS {
        problems.push(problem);
    }
}

fn broken_row(page: &[u8], cell: usize, number: u32) -> Problem {
    cell_head(page, cell).map_or(Problem::Page(number), |(_, row, _)| Problem::Row(row))
}

/// The payload's length and number of a leaf's cell, and where its payload begins.
fn cell_head(page: &[u8], at: usize) -> Option<(usize, i64, usize)> {
    let (length, at) = varint(page, at)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= ROW_BYTES)?;
    let (number, at) = varint(page, at)?;
    Some((length, number, at))
}

/// Where the cells of a page begin: after its header stand their places.
fn cells(page: &[u8], start: usize, header_bytes: usize) -> Option<Vec<usize>> {
    let count = usize::try_from(integer(page, start + 3, 2)?).ok()?;
    let places = page.get(start + header_bytes..)?.get(..count * 2)?;
    let (places, _) = places.as_chunks::<2>();
    let places: Vec<usize> = places.iter().map(|place| usize::from(u16::from_be_bytes(*place))).collect();
    // No two cells are one: a small database must not stand for a large one.
    let distinct: BTreeSet<usize> = places.iter().copied().collect();
    (distinct.len() == places.len()).then_some(places)
}

/// The pages under an interior one, in their order.
fn children(page: &[u8], start: usize) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for cell in cells(page, start, 12)? {
        children.push(integer(page, cell, 4)?);
    }
    children.push(integer(page, start + 8, 4)?);
    Some(children)
}

/// The columns of a record: their types in a header, then their values.
fn columns(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header, mut kind) = varint(record, 0)?;
    let header = usize::try_from(header).ok()?;
    let mut value = header;
    let mut columns = Vec::new();
    while kind < header && columns.len() < COLUMNS {
        let (serial, next) = varint(record, kind)?;
        kind = next;
        let length = match serial {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(serial).ok()?,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((serial - 12) / 2).ok()?,
            _ => return None,
        };
        let end = value.checked_add(length)?;
        let bytes = record.get(value..end)?;
        value = end;
        columns.push(match serial {
            0 => Value::Null,
            7 => Value::Real,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(signed(bytes)),
            _ if serial % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        });
    }
    Some(columns)
}

/// A number of up to eight bytes, the first with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |number, byte| (number << 8) | i64::from(*byte))
}

/// A number of one to nine bytes, seven bits in each but the ninth, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut number: u64 = 0;
    for place in 0..9 {
        let byte = byte(bytes, at.checked_add(place)?)?;
        if place == 8 {
            return Some((((number << 8) | u64::from(byte)).cast_signed(), at + 9));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number.cast_signed(), at + place + 1));
        }
    }
    None
}

/// A number of up to four bytes.
fn integer(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}
