//! The bytes of records and changes: numbers as LEB128, keys as differences from the last one.
//!
//! A first byte names the form, so that a later form can be read beside this one.

use std::collections::BTreeMap;

use super::{Change, RECORD_ENTRIES_LIMIT, Record, Standing, code, verdict};
use crate::time::Timestamp;

const FORM: u8 = 1;

/// Bytes that are no record and no changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the posture's bytes are broken at {at}: {problem}")]
pub struct Malformed {
    pub at: usize,
    pub problem: &'static str,
}

pub(super) fn record(record: &Record) -> Vec<u8> {
    let mut out = vec![FORM];
    number(&mut out, record.verdicts.len() as u64);
    let mut last = 0;
    for (subject, standing) in &record.verdicts {
        number(&mut out, u64::from(subject - last));
        last = *subject;
        put_standing(&mut out, *standing);
    }
    number(&mut out, record.present.len() as u64);
    last = 0;
    for (tuple, since) in &record.present {
        number(&mut out, u64::from(tuple - last));
        last = *tuple;
        put_time(&mut out, *since);
    }
    out
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
    let mut out = vec![FORM];
    number(&mut out, changes.len() as u64);
    for change in changes {
        match *change {
            Change::Verdict { subject, from, to } => {
                out.push(sides(0, from.is_some(), to.is_some()));
                number(&mut out, u64::from(subject));
                [from, to].into_iter().flatten().for_each(|standing| put_standing(&mut out, standing));
            }
            Change::Present { tuple, from, to } => {
                out.push(sides(1, from.is_some(), to.is_some()));
                number(&mut out, u64::from(tuple));
                [from, to].into_iter().flatten().for_each(|since| put_time(&mut out, since));
            }
        }
    }
    out
}

pub(super) fn read_changes(bytes: &[u8]) -> Result<Vec<Change>, Malformed> {
    let mut input = Input::open(bytes)?;
    let mut changes = Vec::new();
    for _ in 0..input.count()? {
        let sides = input.byte()?;
        let (has_from, has_to) = (sides & 2 != 0, sides & 4 != 0);
        let key = input.key(0)?;
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

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    // Zigzag: times before 1970 are rare, and still times.
    let ms = time.as_millis();
    number(out, ((ms << 1) ^ (ms >> 63)).cast_unsigned());
}

fn put_standing(out: &mut Vec<u8>, standing: Standing) {
    out.push(code(standing.verdict));
    put_time(out, standing.since);
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Self { bytes, at: 0 };
        match input.byte()? {
            FORM => Ok(input),
            _ => Err(input.fault("this program does not know the form")),
        }
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

    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.number()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= RECORD_ENTRIES_LIMIT);
        count.ok_or_else(|| self.fault("there are more entries than an asset may have"))
    }

    fn key(&mut self, last: u32) -> Result<u32, Malformed> {
        let step = self.number()?;
        let key = u32::try_from(step).ok().and_then(|step| last.checked_add(step));
        key.ok_or_else(|| self.fault("a number of a subject is too large"))
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        let raw = self.number()?;
        Ok(Timestamp::from_millis((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()))
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
