//! Canaries at the edge: whether each rule of a policy can fire on this host.
//!
//! Every `Detection` document of the policy is taken in turn, when the policy comes, each hour, and when what the
//! host's sources show has changed. A rule can't fire where its canary does not match, or where the source that it
//! needs is there and can't be read; it is not applicable where the host has no such source at all. Of a rule
//! without a canary the source alone is judged. What is told are transitions; what an earlier run of the agent told
//! is known ([`Standing`]), and told once more at a start or after a loss. What the first turn of all finds is the
//! asset's backlog.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::canonical::Value;
use bartizan_core::document::Document;
use bartizan_core::fact::Unseen;
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_detect::canary::{Canary, Form, Need, Subject};
use bartizan_detect::detector::Detector;
use bartizan_detect::event::Source;
use bartizan_detect::rules::{KIND, Rules};
use bartizan_detect::start;
use serde::{Deserialize, Serialize};

/// How often every rule is proved anew.
const EVERY: Duration = Duration::from_secs(3_600);

/// How long the sources have to stand as they do before that counts: a log that is being rotated is gone for a
/// moment, and a reader that ended is started again.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// The most rules that can't fire of which each is told, half of what one report carries; those beyond are counted.
const DEAD_LIMIT: usize = 500;

/// The most rules that are remembered as ones that could not fire.
const TOLD_LIMIT: usize = 2 * DEAD_LIMIT;

/// The longest title, and the longest reason, that is kept, in bytes.
const TEXT_BYTES_LIMIT: usize = 512;

/// How one source of events stands on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// It is followed.
    Seen,
    /// It is there, and can't be read.
    Unread(Unseen),
    /// There is none, or nobody asks for it.
    #[default]
    Absent,
}

/// What the rules of a host can see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub journal: Sight,
    /// The log files together: seen where one of them is.
    pub files: Sight,
    pub starts: Sight,
}

/// A source of events, where one has to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ground {
    Journal,
    LogFile,
    Starts,
}

/// What has to outlive the agent, so that a transition is told once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The sources that were followed at some time: one that is gone is no longer read, and not one that never was.
    seen: BTreeSet<Ground>,
    /// The rules that were told as ones that can't fire.
    dead: BTreeMap<String, Dead>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Dead {
    title: String,
    severity: Severity,
    why: String,
    /// Whether the first turn found it, and it could not fire since.
    #[serde(default)]
    backlog: bool,
}

/// A document as it is kept until its turn: packed, since rules are long and looked at once an hour.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: usize,
    packed: Vec<u8>,
}

/// How a rule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    CanFire,
    /// The host has no source of this kind.
    NotApplicable,
    CanNot(String),
}

/// What one step brought.
#[derive(Debug, Default)]
pub struct Step {
    pub noticed: Vec<Noticed>,
    /// Rules that can't fire and are not told one by one.
    pub dropped: u64,
    /// What the next run has to know, where that has changed.
    pub standing: Option<Standing>,
}

/// The rules of a policy, and how each was last found.
#[derive(Debug)]
pub struct Watch {
    documents: Vec<Packed>,
    asked: Asked,
    view: Option<View>,
    /// Another view than the one that counts, and since when.
    unsettled: Option<(View, Timestamp)>,
    /// The turn that is under way.
    turn: Option<Turn>,
    due_at: Timestamp,
    standing: Standing,
    /// Whether the standing has changed since it was given.
    changed: bool,
    /// What could not fire at some time since the start, or before it.
    told: BTreeMap<String, Dead>,
    /// Whether no turn has ended yet, now or before this start: what is found then is the asset's backlog.
    first: bool,
    /// Whether no turn has ended yet since this start.
    starting: bool,
}

/// What is asked of the sources.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// There is no policy yet.
    Nothing,
    /// A policy came, and what its rules ask for was not looked at yet.
    Anew,
    Known,
}

#[derive(Debug, Default)]
struct Turn {
    /// The document that is next.
    next: usize,
    dead: BTreeMap<String, Dead>,
    /// Of the rules that could not fire before, those that are there and can, or need not.
    well: BTreeMap<String, Outcome>,
    beyond: u64,
}

impl Packed {
    /// A document of rules; none of another kind.
    pub fn of(document: &Document) -> Option<Packed> {
        if document.kind != KIND {
            return None;
        }
        let text = document.written.to_canonical();
        let packed = zstd::bulk::compress(text.as_bytes(), 1).ok()?;
        Some(Packed { bytes: text.len(), packed })
    }

    fn document(&self) -> Option<Document> {
        let text = zstd::bulk::decompress(&self.packed, self.bytes).ok()?;
        Document::from_value("policy", Value::parse_slice(&text).ok()?).ok()
    }
}

impl Standing {
    /// Whether another holds all that this one does.
    pub fn is_within(&self, other: &Standing) -> bool {
        let dead = self.dead.iter().all(|(rule, dead)| other.dead.get(rule) == Some(dead));
        dead && self.seen.is_subset(&other.seen)
    }

    /// Both together.
    #[must_use]
    pub fn join(mut self, other: &Standing) -> Standing {
        self.seen.extend(&other.seen);
        for (rule, dead) in &other.dead {
            self.dead.entry(rule.clone()).or_insert_with(|| dead.clone());
        }
        self
    }
}

impl Default for Watch {
    /// A host that no rule was ever tried on.
    fn default() -> Self {
        Watch::new(None)
    }
}

impl Watch {
    /// Goes on from how rules stood when the agent last ran; none where it never did.
    pub fn new(kept: Option<Standing>) -> Watch {
        let first = kept.is_none();
        let standing = kept.unwrap_or_default();
        Watch {
            documents: Vec::new(),
            asked: Asked::Nothing,
            view: None,
            unsettled: None,
            turn: None,
            due_at: Timestamp::default(),
            told: standing.dead.clone(),
            standing,
            changed: false,
            first,
            starting: true,
        }
    }

    /// Takes the documents of a new policy: all of them are due.
    pub fn assign(&mut self, documents: Vec<Packed>) {
        self.documents = documents;
        self.asked = Asked::Anew;
        self.turn = Some(Turn::default());
    }

    /// Takes how the sources stand. The first word after a policy came counts at once, since rules may ask for
    /// others now; another one when it has held for a while.
    pub fn see(&mut self, view: View, now: Timestamp) {
        let fresh = match self.asked {
            Asked::Nothing => return,
            Asked::Anew => true,
            Asked::Known => false,
        };
        self.asked = Asked::Known;
        let settled = match (&self.view, &self.unsettled) {
            (None, _) => true,
            (Some(known), _) if fresh && *known != view => true,
            (Some(known), _) if *known == view => {
                self.unsettled = None;
                return;
            }
            // A clock that was set back must not keep it unsettled.
            (_, Some((seen, since))) if *seen == view => {
                now.since(*since).max(since.since(now)) >= SETTLED_AFTER
            }
            _ => {
                self.unsettled = Some((view, now));
                return;
            }
        };
        if settled {
            let grounds = [
                (Ground::Journal, &view.journal),
                (Ground::LogFile, &view.files),
                (Ground::Starts, &view.starts),
            ];
            let seen = grounds.into_iter().filter(|(_, sight)| **sight == Sight::Seen);
            for (ground, _) in seen {
                self.changed |= self.standing.seen.insert(ground);
            }
            self.view = Some(view);
            self.unsettled = None;
            self.turn = Some(Turn::default());
        }
    }

    /// Takes the next so many documents where a turn is under way or due, and tells at its end what has changed.
    pub fn step(&mut self, documents: usize, now: Timestamp) -> Step {
        let Some(view) = &self.view else { return Step::default() };
        let late = now >= self.due_at || self.due_at.since(now) > EVERY;
        if self.turn.is_none() && late && !self.documents.is_empty() {
            self.turn = Some(Turn::default());
        }
        let Some(mut turn) = self.turn.take() else { return Step::default() };
        let host = Host { view, seen: &self.standing.seen };
        let end = turn.next.saturating_add(documents);
        for packed in self.documents.iter().take(end).skip(turn.next) {
            // One that can't be read was told as a problem of its policy.
            if let Some(document) = packed.document() {
                turn.take(&document, &host, &self.standing.dead);
            }
        }
        turn.next = end;
        if end < self.documents.len() {
            self.turn = Some(turn);
            return Step::default();
        }
        self.due_at = now.plus(EVERY);
        self.end(turn, now)
    }

    /// Whether all documents were taken: nothing is under way.
    pub const fn is_at_rest(&self) -> bool {
        self.turn.is_none()
    }

    /// How every rule stands that could not fire at some time, after something was lost on its way to the server.
    pub fn tell_again(&self, now: Timestamp) -> Vec<Noticed> {
        let told = |(rule, dead): (&String, &Dead)| match self.standing.dead.get(rule) {
            Some(dead) => fires(rule, dead, now),
            None => notice(
                rule,
                dead,
                State::Resolved,
                &format!("{} is no rule that can't fire", dead.title),
                now,
            ),
        };
        self.told.iter().map(told).collect()
    }

    fn end(&mut self, turn: Turn, now: Timestamp) -> Step {
        let mut noticed = Vec::new();
        let before = std::mem::take(&mut self.standing.dead);
        for (rule, dead) in &before {
            if !turn.dead.contains_key(rule) {
                let words = match turn.well.get(rule) {
                    Some(Outcome::NotApplicable) => {
                        "needs not fire here: this host has no such source of events"
                    }
                    Some(_) => "can fire again",
                    None => "is asked for no more",
                };
                noticed.push(notice(rule, dead, State::Resolved, &format!("{} {words}", dead.title), now));
            }
        }
        for (rule, mut dead) in turn.dead {
            let known = before.get(&rule);
            dead.backlog = known.map_or(self.first, |known| known.backlog);
            // At a start it is told again: the server may be another one since, or an older one.
            if known.is_none() || self.starting {
                noticed.push(fires(&rule, &dead, now));
            }
            if self.told.len() < TOLD_LIMIT {
                self.told.insert(rule.clone(), dead.clone());
            }
            self.standing.dead.insert(rule, dead);
        }
        self.changed |= self.first || !noticed.is_empty();
        (self.first, self.starting) = (false, false);
        let standing = std::mem::take(&mut self.changed).then(|| self.standing.clone());
        Step { noticed, dropped: turn.beyond, standing }
    }
}

impl Turn {
    fn take(&mut self, document: &Document, host: &Host<'_>, before: &BTreeMap<String, Dead>) {
        let mut rules = Rules::default();
        if rules.read_document(document).is_err() {
            return;
        }
        let broken = Detector::new(&rules).err();
        for subject in rules.subjects() {
            let outcome = match &broken {
                Some(_) => Outcome::CanNot("it can't be compiled".to_owned()),
                None => host.outcome(&rules, &subject),
            };
            match outcome {
                // Of two rules with one name the one that can't fire is told.
                Outcome::CanNot(why) if self.dead.len() < DEAD_LIMIT || before.contains_key(&subject.id) => {
                    let Subject { id, title, severity, .. } = subject;
                    let dead = Dead { title: cut(title), severity, why: cut(why), backlog: false };
                    self.dead.insert(id, dead);
                }
                Outcome::CanNot(_) => self.beyond += 1,
                well if before.contains_key(&subject.id) => drop(self.well.insert(subject.id, well)),
                _ => {}
            }
        }
    }
}

/// What a rule is judged by.
struct Host<'a> {
    view: &'a View,
    seen: &'a BTreeSet<Ground>,
}

impl Host<'_> {
    /// How a rule stands: the worst that its canaries show; without one, what its source does.
    fn outcome(&self, rules: &Rules, subject: &Subject) -> Outcome {
        let mut own = rules.canaries().iter().filter(|canary| canary.rule() == subject.id).peekable();
        if own.peek().is_some() {
            return worst(own.map(|canary| self.proved(rules, canary)));
        }
        // One source that can be read is enough for a correlation to be fed.
        best(subject.sources.iter().map(|source| self.fed(source)))
    }

    fn proved(&self, rules: &Rules, canary: &Canary) -> Outcome {
        let form = match self.form(canary.need()) {
            Ok(form) => form,
            Err(outcome) => return outcome,
        };
        match canary.matches(rules, form) {
            Ok(true) => Outcome::CanFire,
            Ok(false) => Outcome::CanNot("its canary does not match".to_owned()),
            Err(_) => Outcome::CanNot("it can't be compiled".to_owned()),
        }
    }

    /// Whether a source feeds a rule. A host of Linux has none of another product.
    fn fed(&self, source: &Source) -> Outcome {
        if source.product.as_deref().is_some_and(|product| product != "linux") {
            return Outcome::NotApplicable;
        }
        let need = match source.category.as_deref() {
            None => Need::Log,
            Some(start::CATEGORY) => Need::Starts,
            Some(_) => {
                let what = format!("{source} has no source in this agent");
                return Outcome::CanNot(format!("{what} ({})", Reason::Unsupported));
            }
        };
        self.form(need).map_or_else(|outcome| outcome, |_| Outcome::CanFire)
    }

    /// The form in which lines come, where what is needed can be read.
    fn form(&self, need: Need) -> Result<Form, Outcome> {
        let journal = self.sight(Ground::Journal, &self.view.journal, "the journal");
        let looked_at = match need {
            Need::Journal => vec![(journal, Form::Journal)],
            Need::Log => {
                let files = self.sight(Ground::LogFile, &self.view.files, "the log file");
                vec![(journal, Form::Journal), (files, Form::LogFile)]
            }
            Need::Starts => {
                vec![(self.sight(Ground::Starts, &self.view.starts, "process starts"), Form::LogFile)]
            }
        };
        if let Some((_, form)) = looked_at.iter().find(|(sight, _)| *sight == Sight::Seen) {
            return Ok(*form);
        }
        let unread = looked_at.iter().filter_map(|(sight, _)| match sight {
            Sight::Unread(unseen) => Some(format!("{} can't be read ({})", unseen.what, unseen.reason)),
            Sight::Seen | Sight::Absent => None,
        });
        let unread = unread.collect::<Vec<_>>().join(", ");
        Err(if unread.is_empty() { Outcome::NotApplicable } else { Outcome::CanNot(unread) })
    }

    /// A source as it counts: one that was followed once and is gone is not one that never was.
    fn sight(&self, ground: Ground, sight: &Sight, what: &str) -> Sight {
        match sight {
            Sight::Absent if self.seen.contains(&ground) => {
                Sight::Unread(Unseen { what: what.to_owned(), reason: Reason::Unseen })
            }
            sight => sight.clone(),
        }
    }
}

/// One that can't fire decides, then one that can.
fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::NotApplicable => 0,
        Outcome::CanFire => 1,
        Outcome::CanNot(_) => 2,
    };
    outcomes.max_by_key(rank).unwrap_or(Outcome::NotApplicable)
}

/// One that can fire decides, then one that can't.
fn best(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::NotApplicable => 0,
        Outcome::CanNot(_) => 1,
        Outcome::CanFire => 2,
    };
    outcomes.max_by_key(rank).unwrap_or(Outcome::NotApplicable)
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_LIMIT));
    text
}

fn fires(rule: &str, dead: &Dead, now: Timestamp) -> Noticed {
    let summary = format!("{} can't fire: {}", dead.title, dead.why);
    Noticed { backlog: dead.backlog, ..notice(rule, dead, State::Firing, &summary, now) }
}

fn notice(rule: &str, dead: &Dead, state: State, summary: &str, at: Timestamp) -> Noticed {
    Noticed {
        kind: Kind::Canary,
        subject: rule.to_owned(),
        object: String::new(),
        state,
        severity: dead.severity,
        summary: summary.to_owned(),
        at,
        backlog: false,
    }
}

#[cfg(test)]
mod tests;
