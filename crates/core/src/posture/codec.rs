//! The bytes of records and changes: numbers as LEB128, keys and times as differences from the last one.
//!
//! A first byte names the form, so that an earlier form can be read beside this one. In form 1 times stood
//! as they are, and so did the keys of changes: most of what a report tells happened at the same
//! moment, so that six bytes of each entry said nothing new.

use std::collections::BTreeMap;

use super::{Change, Record, Standing, code, verdict};
use crate::time::Timestamp;

/// Times, and keys of changes, as they are.
const PLAIN: u8 = 1;

/// Times, and keys of changes, as differences.
const DIFFERENCES: u8 = 2;

/// The fewest bytes of an entry: a key and a time.
const ENTRY_BYTES: usize = 2;

/// Bytes that are no record and no changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the posture's bytes are broken at {at}: {problem}")]
pub struct Malformed {
    pub at: usize,
    pub problem: &'static str,
}

pub(super) fn record(record: &Record) -> Vec<u8> {
    let mut out = Output::open(record.verdicts.len() + record.present.len());
    out.number(record.verdicts.len() as u64);
    let mut last = 0;
    for (subject, standing) in &record.verdicts {
        out.number(u64::from(subject - last));
        last = *subject;
        out.standing(*standing);
    }
    out.number(record.present.len() as u64);
    last = 0;
    for (tuple, since) in &record.present {
        out.number(u64::from(tuple - last));
        last = *tuple;
        out.time(*since);
    }
    out.bytes
}

pub(super) fn read_record(bytes: &[u8]) -> Result<Record, Malformed> {
    let mut input = Input::open(bytes)?;
    let mut verdicts = BTreeMap::new();
    let mut last = 0_u32;
    for _ in 0..input.count()? {
        last = input.key(last)?;
        verdicts.insert(last, input.standing()?);
    }
    let mut present = BTreeMap::new();
    last = 0;
    for _ in 0..input.count()? {
        last = input.key(last)?;
        present.insert(last, input.time()?);
    }
    input.end()?;
    Ok(Record { verdicts, present })
}

pub(super) fn changes(changes: &[Change]) -> Vec<u8> {
    let mut out = Output::open(changes.len());
    out.number(changes.len() as u64);
    let mut last = 0;
    for change in changes {
        match *change {
            Change::Verdict { subject, from, to } => {
                out.bytes.push(sides(0, from.is_some(), to.is_some()));
                out.difference(i64::from(subject), &mut last);
                [from, to].into_iter().flatten().for_each(|standing| out.standing(standing));
            }
            Change::Present { tuple, from, to } => {
                out.bytes.push(sides(1, from.is_some(), to.is_some()));
                out.difference(i64::from(tuple), &mut last);
                [from, to].into_iter().flatten().for_each(|since| out.time(since));
            }
        }
    }
    out.bytes
}

pub(super) fn read_changes(bytes: &[u8]) -> Result<Vec<Change>, Malformed> {
    let mut input = Input::open(bytes)?;
    let mut changes = Vec::new();
    let mut last = 0;
    for _ in 0..input.count()? {
        let sides = input.byte()?;
        let (has_from, has_to) = (sides & 2 != 0, sides & 4 != 0);
        let key = input.changed(&mut last)?;
        changes.push(match sides & !6 {
            0 => Change::Verdict {
                subject: key,
                from: has_from.then(|| input.standing()).transpose()?,
                to: has_to.then(|| input.standing()).transpose()?,
            },
            1 => Change::Present {
                tuple: key,
                from: has_from.then(|| input.time()).transpose()?,
                to: has_to.then(|| input.time()).transpose()?,
            },
            _ => return Err(input.fault("there is no change of this kind")),
        });
    }
    input.end()?;
    Ok(changes)
}

const fn sides(kind: u8, from: bool, to: bool) -> u8 {
    kind | (from as u8) << 1 | (to as u8) << 2
}

/// Bytes in the newest form.
struct Output {
    bytes: Vec<u8>,
    /// The last time, in milliseconds.
    at: i64,
}

impl Output {
    fn open(entries: usize) -> Self {
        let mut bytes = Vec::with_capacity(16 + 4 * entries);
        bytes.push(DIFFERENCES);
        Self { bytes, at: 0 }
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }

    /// The difference to the last value, zigzag: it may be negative.
    fn difference(&mut self, value: i64, last: &mut i64) {
        let step = value.wrapping_sub(*last);
        *last = value;
        self.number(((step << 1) ^ (step >> 63)).cast_unsigned());
    }

    fn time(&mut self, time: Timestamp) {
        let mut at = self.at;
        self.difference(time.as_millis(), &mut at);
        self.at = at;
    }

    fn standing(&mut self, standing: Standing) {
        self.bytes.push(code(standing.verdict));
        self.time(standing.since);
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether times and keys of changes stand as they are.
    plain: bool,
    /// The last time, in milliseconds.
    time: i64,
}

impl<'a> Input<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Self { bytes, at: 0, plain: false, time: 0 };
        match input.byte()? {
            PLAIN => input.plain = true,
            DIFFERENCES => {}
            _ => return Err(input.fault("this program does not know the form")),
        }
        Ok(input)
    }

    fn fault(&self, problem: &'static str) -> Malformed {
        Malformed { at: self.at, problem }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.fault("they end too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.fault("a number is too large"))
    }

    /// How many entries follow. What was written can be read, however much it is: the bytes themselves are
    /// the limit, since an entry has two at least.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.number()?;
        let left = self.bytes.len().saturating_sub(self.at);
        let count = usize::try_from(count).ok().filter(|count| *count <= left / ENTRY_BYTES);
        count.ok_or_else(|| self.fault("there are more entries than bytes for them"))
    }

    fn key(&mut self, last: u32) -> Result<u32, Malformed> {
        let step = self.number()?;
        let key = u32::try_from(step).ok().and_then(|step| last.checked_add(step));
        key.ok_or_else(|| self.fault("a number of a subject is too large"))
    }

    /// A number that is a difference to the last value, or the value itself.
    fn signed(&mut self, last: i64) -> Result<i64, Malformed> {
        let raw = self.number()?;
        let step = (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed();
        Ok(if self.plain { step } else { last.wrapping_add(step) })
    }

    /// The key of a change.
    fn changed(&mut self, last: &mut i64) -> Result<u32, Malformed> {
        if self.plain {
            return self.key(0);
        }
        *last = self.signed(*last)?;
        u32::try_from(*last).map_err(|_| self.fault("a number of a subject is no number"))
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.time = self.signed(self.time)?;
        Ok(Timestamp::from_millis(self.time))
    }

    fn standing(&mut self) -> Result<Standing, Malformed> {
        let code = self.byte()?;
        let verdict = verdict(code).ok_or_else(|| self.fault("there is no such verdict"))?;
        Ok(Standing { verdict, since: self.time()? })
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fault("something follows the end")) }
    }
}
