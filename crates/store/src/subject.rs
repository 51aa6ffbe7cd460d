//! Subjects: what a verdict is about, each numbered once.

use std::collections::BTreeMap;

use bartizan_core::digest::Digest;
use bartizan_core::posture::SubjectNumber;

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, places};
use crate::log::Log;
use crate::numbers::{Numbered, Remembered};
use crate::tuple::BATCH;

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
    pub(crate) async fn number_subjects(
        &self,
        known: &Remembered<Subject>,
        subjects: &[&Subject],
    ) -> Result<Numbered<Subject>, Error> {
        let (mut by_key, missing) = known.look_up(subjects.iter().copied());
        let mut missing: BTreeMap<(String, Digest), &Subject> =
            missing.into_iter().map(|subject| ((subject.key(), subject.check), subject)).collect();
        let mut fresh = Vec::with_capacity(missing.len());
        let keys: Vec<String> = missing.keys().map(|(key, _)| key.clone()).collect();
        for batch in keys.chunks(BATCH) {
            let sql = format!(
                "SELECT id, key, digest FROM subject WHERE kind = $1 AND key IN {}",
                places(2, batch.len())
            );
            let values = [KIND.into()].into_iter().chain(batch.iter().map(|key| key.clone().into()));
            for row in self.all(&sql, values).await? {
                // Of one rule there may be other digests of its check.
                if let Some(subject) = missing.remove(&(row.get(1)?, row.digest(2)?)) {
                    fresh.push((subject.clone(), row.number(0)?));
                }
            }
        }
        if !missing.is_empty() {
            let first = self.take_numbers(Log::Subject, 0, missing.len()).await?;
            let mut rows = Vec::with_capacity(missing.len());
            for (next, ((key, check), subject)) in (first..).zip(missing) {
                rows.push(vec![next.into(), KIND.into(), key.into(), bytes(&check)]);
                let number =
                    u32::try_from(next).map_err(|error| Error::corrupt("a subject's number", error))?;
                fresh.push((subject.clone(), number));
            }
            self.insert("subject (id, kind, key, digest)", &rows, "").await?;
        }
        by_key.extend(fresh.iter().cloned());
        Ok(Numbered { by_key, fresh })
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
