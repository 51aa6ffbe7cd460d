//! Subjects: what a verdict is about, each numbered once.

use std::collections::BTreeMap;

use bartizan_core::digest::Digest;
use bartizan_core::posture::SubjectNumber;

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes};
use crate::log::Log;

/// What a verdict is about: a rule of a baseline, at one digest of its check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub baseline: String,
    pub rule: String,
    pub check: Digest,
}

const KIND: &str = "rule";

/// Neither part may hold this character: documents refuse control characters in names.
const BETWEEN: char = '\u{1f}';

impl Subject {
    fn key(&self) -> String {
        format!("{}{BETWEEN}{}", self.baseline, self.rule)
    }
}

fn read(row: &Row) -> Result<(SubjectNumber, Subject), Error> {
    let key: String = row.get(1)?;
    let parts = key.split_once(BETWEEN).ok_or_else(|| Error::corrupt("a subject", &key))?;
    let (baseline, rule) = (parts.0.to_owned(), parts.1.to_owned());
    Ok((row.number(0)?, Subject { baseline, rule, check: row.digest(2)? }))
}

impl Transaction {
    /// The numbers of subjects; those that are new are numbered.
    pub(crate) async fn number_subjects<'a>(
        &self,
        subjects: &[&'a Subject],
    ) -> Result<BTreeMap<&'a Subject, SubjectNumber>, Error> {
        let mut numbers = BTreeMap::new();
        let mut fresh = Vec::new();
        for subject in subjects.iter().copied() {
            let row = self
                .one(
                    "SELECT id FROM subject WHERE kind = $1 AND key = $2 AND digest = $3",
                    [KIND.into(), subject.key().into(), bytes(&subject.check)],
                )
                .await?;
            match row {
                Some(row) => drop(numbers.insert(subject, row.number(0)?)),
                None => fresh.push(subject),
            }
        }
        if fresh.is_empty() {
            return Ok(numbers);
        }
        let mut next = self.take_numbers(Log::Subject, 0, fresh.len()).await?;
        for subject in fresh {
            self.run(
                "INSERT INTO subject (id, kind, key, digest) VALUES ($1, $2, $3, $4)",
                [next.into(), KIND.into(), subject.key().into(), bytes(&subject.check)],
            )
            .await?;
            let number = u32::try_from(next).map_err(|error| Error::corrupt("a subject's number", error))?;
            numbers.insert(subject, number);
            next += 1;
        }
        Ok(numbers)
    }
}

impl Store {
    /// Every subject, by number: a few for each rule that was ever applied.
    pub async fn subjects(&self) -> Result<BTreeMap<SubjectNumber, Subject>, Error> {
        let reading = self.reading("read the subjects");
        let rows = reading.all("SELECT id, key, digest FROM subject ORDER BY id", []).await?;
        rows.iter().map(read).collect()
    }
}
