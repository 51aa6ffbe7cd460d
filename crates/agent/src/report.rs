//! The composer: observations go in, reports come out. Pure; what is told when is decided here.
//!
//! A report carries what changed since the one before. After anything was lost on the way, or
//! where the server asks, the next one names every section by its hash and carries all verdicts,
//! so that the server finds out what it lacks and its root meets ours again.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Noticed;
use bartizan_core::order::Outcome;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_wire::report::{
    Look, Loss, Report, SIGNALS_LIMIT, Section, TEXT_BYTES_LIMIT, VERDICTS_LIMIT, root,
};

use crate::spool::Counts;

/// The pseudo-section whose hash is over all verdicts; it never has a body.
pub const VERDICTS: &str = "verdicts";

/// The largest canonical body of one section, in bytes: more is no section that a server takes.
pub const SECTION_BYTES_LIMIT: usize = 16 << 20;

/// How many bytes of canonical bodies one report carries; the rest waits for the next one.
const BODIES_BYTES_LIMIT: usize = 16 << 20;

/// What a rule's verdict is known by: baseline and rule.
type Subject = (String, String);

/// What the agent has, and what of it is still to be told.
#[derive(Debug)]
pub struct Composer {
    epoch: u64,
    sequence: u64,
    sections: BTreeMap<String, Held>,
    verdicts: BTreeMap<Subject, Look>,
    pending: Pending,
    /// Whether a report was lost on its way, and with it signals.
    lost: bool,
}

/// A section's body, packed: a host's packages take a tenth of the room that way.
#[derive(Debug)]
struct Held {
    hash: Digest,
    bytes: usize,
    packed: Vec<u8>,
}

#[derive(Debug, Default)]
struct Pending {
    /// Sections to name by their hashes.
    hashes: BTreeSet<String>,
    /// Sections whose bodies go along.
    bodies: BTreeSet<String>,
    verdicts: BTreeSet<Subject>,
    whole: bool,
    signals: Vec<Noticed>,
    outcomes: Vec<Outcome>,
    tallies: BTreeMap<String, Tally>,
}

/// What a source saw and sent.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    seen: u64,
    sent: u64,
}

/// A report that is ready to go.
#[derive(Debug)]
pub struct Composed {
    pub report: Report,
    /// What it holds beside state, by source: lost if it is dropped.
    pub carries: Counts,
    /// The losses that it tells of.
    pub told: Counts,
    /// Whether it names every section and carries all verdicts: it makes good for any before it.
    pub complete: bool,
}

/// A body that has more bytes than a section may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the section has {found} bytes; the limit is {SECTION_BYTES_LIMIT}")]
pub struct TooLarge {
    pub found: usize,
}

impl Composer {
    /// A composer for this start of the agent; its first report is whole.
    pub fn new(epoch: u64) -> Self {
        let pending = Pending { whole: true, ..Pending::default() };
        let (sections, verdicts) = (BTreeMap::new(), BTreeMap::new());
        let mut composer = Self { epoch, sequence: 0, sections, verdicts, pending, lost: false };
        composer.hold_verdicts();
        composer
    }

    /// The sequence of the last report.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Over all sections as they are now.
    pub fn root(&self) -> Digest {
        root(self.sections.iter().map(|(name, held)| (name.as_str(), held.hash)))
    }

    /// Takes a section as it was observed (`body` and `unknown`); tells whether it changed.
    pub fn section(&mut self, name: &str, body: &Value) -> Result<bool, TooLarge> {
        let text = body.to_canonical();
        if text.len() > SECTION_BYTES_LIMIT {
            return Err(TooLarge { found: text.len() });
        }
        let hash = Digest::of_bytes(text.as_bytes());
        if self.sections.get(name).is_some_and(|held| held.hash == hash) {
            return Ok(false);
        }
        let packed = zstd::bulk::compress(text.as_bytes(), 1).unwrap_or_default();
        self.sections.insert(name.to_owned(), Held { hash, bytes: text.len(), packed });
        self.pending.hashes.insert(name.to_owned());
        self.pending.bodies.insert(name.to_owned());
        Ok(true)
    }

    /// A section could not be observed: what was seen of it before stays, and is said to be unknown.
    /// One that was never seen is not told at all.
    pub fn unseen(&mut self, name: &str, reason: Reason) -> Result<bool, TooLarge> {
        let Some(Value::Object(mut section)) = self.sections.get(name).and_then(Held::body) else {
            return Ok(false);
        };
        let unseen = [("what", name), ("reason", reason.as_str())];
        let unseen = unseen.map(|(key, word)| (key.to_owned(), Value::from(word)));
        section.insert("unknown".to_owned(), Value::Array(vec![Value::Object(unseen.into())]));
        self.section(name, &Value::Object(section))
    }

    /// Takes the verdicts of all rules: under a new policy, or at first.
    pub fn judged_all(&mut self, looks: Vec<Look>) {
        let looks = looks.into_iter().take(VERDICTS_LIMIT).map(shorten);
        self.verdicts = looks.map(|look| (subject(&look), look)).collect();
        self.pending.whole = true;
        self.hold_verdicts();
    }

    /// Takes the verdicts of some rules, and the subjects that have none any more.
    pub fn judged(&mut self, looks: Vec<Look>, gone: &[(String, String)]) {
        for look in looks.into_iter().map(shorten) {
            let key = subject(&look);
            if self.verdicts.len() >= VERDICTS_LIMIT && !self.verdicts.contains_key(&key) {
                continue;
            }
            let news = |held: &Look| (held.verdict, held.check) != (look.verdict, look.check);
            if self.verdicts.get(&key).is_none_or(news) {
                self.pending.verdicts.insert(key.clone());
            }
            self.verdicts.insert(key, look);
        }
        for key in gone {
            // A change has no word for "no obligation any more": all of them are told.
            self.pending.whole |= self.verdicts.remove(key).is_some();
        }
        self.hold_verdicts();
    }

    /// Takes signals; gives those beyond the limit as counts by source.
    pub fn noticed(&mut self, signals: impl IntoIterator<Item = Noticed>) -> Counts {
        let mut dropped = Counts::new();
        for signal in signals {
            if self.pending.signals.len() < SIGNALS_LIMIT {
                self.pending.signals.push(Noticed {
                    subject: cut(signal.subject),
                    object: cut(signal.object),
                    summary: cut(signal.summary),
                    ..signal
                });
            } else {
                *dropped.entry(signal.kind.to_string()).or_default() += 1;
            }
        }
        dropped
    }

    /// Takes what became of an order.
    pub fn acted(&mut self, outcome: Outcome) {
        self.pending.outcomes.push(outcome);
    }

    /// Takes how many items a source gave. Alone this is no reason to report.
    pub fn saw(&mut self, source: &str, seen: u64, sent: u64) {
        let tally = self.pending.tallies.entry(source.to_owned()).or_default();
        tally.seen += seen;
        tally.sent += sent;
    }

    /// The server lacks these: their bodies, and with [`VERDICTS`] all verdicts, are told again.
    pub fn want(&mut self, names: &[String]) {
        for name in names {
            if name == VERDICTS {
                self.pending.whole = true;
            } else if self.sections.contains_key(name) {
                self.pending.bodies.insert(name.clone());
            }
        }
        // It can name only what it has heard of: every hash shows it what else it lacks.
        self.pending.hashes.extend(self.sections.keys().cloned());
    }

    /// A report was lost on its way: everything is named again, and all verdicts are told.
    pub fn resync(&mut self) {
        self.pending.hashes.extend(self.sections.keys().cloned());
        self.pending.whole = true;
        self.lost = true;
    }

    /// Whether signals may have been lost since it was last asked: whoever noticed them can tell them again.
    pub fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Whether signals wait to be told.
    pub fn has_signals(&self) -> bool {
        !self.pending.signals.is_empty()
    }

    /// Whether there is something to tell.
    pub fn is_due(&self) -> bool {
        let pending = &self.pending;
        pending.whole
            || !(pending.hashes.is_empty()
                && pending.bodies.is_empty()
                && pending.verdicts.is_empty()
                && pending.signals.is_empty()
                && pending.outcomes.is_empty())
    }

    /// The next report, where there is something to tell: what is pending, or losses.
    pub fn compose(&mut self, now: Timestamp, lost: Counts) -> Option<Composed> {
        if !self.is_due() && lost.is_empty() {
            return None;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.sequence += 1;
        let sections = self.told_sections(&mut pending);
        let verdicts = if pending.whole {
            self.verdicts.values().cloned().collect()
        } else {
            pending.verdicts.iter().filter_map(|key| self.verdicts.get(key).cloned()).collect()
        };
        let mut carries = Counts::new();
        for signal in &pending.signals {
            *carries.entry(signal.kind.to_string()).or_default() += 1;
        }
        let report = Report {
            wire: bartizan_wire::VERSION,
            epoch: self.epoch,
            sequence: self.sequence,
            observed_at: now,
            root: self.root(),
            sections,
            verdicts,
            whole: pending.whole,
            signals: pending.signals,
            outcomes: pending.outcomes,
            loss: losses(&pending.tallies, &lost),
        };
        let complete = report.whole && report.sections.len() == self.sections.len();
        Some(Composed { report, carries, told: lost, complete })
    }

    fn told_sections(&mut self, pending: &mut Pending) -> BTreeMap<String, Section> {
        let mut room = BODIES_BYTES_LIMIT;
        let mut sections = BTreeMap::new();
        let names: BTreeSet<&String> = pending.hashes.union(&pending.bodies).collect();
        for name in names {
            let Some(held) = self.sections.get(name) else { continue };
            let mut section = Section { hash: held.hash, body: None };
            if pending.bodies.contains(name) {
                if held.bytes <= room {
                    room -= held.bytes;
                    section.body = held.body();
                } else {
                    self.pending.bodies.insert(name.clone());
                }
            }
            sections.insert(name.clone(), section);
        }
        sections
    }

    fn hold_verdicts(&mut self) {
        let hash = verdicts_hash(self.verdicts.values());
        if self.sections.get(VERDICTS).is_none_or(|held| held.hash != hash) {
            self.sections.insert(VERDICTS.to_owned(), Held { hash, bytes: 0, packed: Vec::new() });
            self.pending.hashes.insert(VERDICTS.to_owned());
        }
    }
}

impl Held {
    fn body(&self) -> Option<Value> {
        let text = zstd::bulk::decompress(&self.packed, self.bytes).ok()?;
        Value::parse_slice(&text).ok()
    }
}

/// The hash that stands for all verdicts: over (baseline, rule, check, verdict), sorted. Times are
/// no part of it: an observation that confirms what is known changes nothing.
pub fn verdicts_hash<'a>(looks: impl IntoIterator<Item = &'a Look>) -> Digest {
    let rows: BTreeSet<[String; 4]> = looks
        .into_iter()
        .map(|look| {
            let verdict = look.verdict.to_string();
            [look.baseline.clone(), look.rule.clone(), look.check.to_string(), verdict]
        })
        .collect();
    let rows = rows.into_iter().map(|row| Value::Array(row.into_iter().map(Value::from).collect()));
    Digest::derived(VERDICTS, rows)
}

fn subject(look: &Look) -> Subject {
    (look.baseline.clone(), look.rule.clone())
}

fn shorten(look: Look) -> Look {
    Look { baseline: cut(look.baseline), rule: cut(look.rule), ..look }
}

/// A text within the limit of a report, cut between letters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_LIMIT));
    text
}

fn losses(tallies: &BTreeMap<String, Tally>, lost: &Counts) -> BTreeMap<String, Loss> {
    let mut losses: BTreeMap<String, Loss> = BTreeMap::new();
    for (source, tally) in tallies {
        let loss = losses.entry(source.clone()).or_default();
        (loss.seen, loss.sent) = (tally.seen, tally.sent);
    }
    for (source, count) in lost {
        losses.entry(source.clone()).or_default().dropped = *count;
    }
    losses
}

#[cfg(test)]
mod tests;
