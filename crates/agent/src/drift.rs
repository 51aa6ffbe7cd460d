//! Drift at the edge: looks at the host go in, what drifts and what no longer does comes out.
//!
//! The reference is taken at first sight and kept on disk; it moves when this agent's own orders set
//! something. A modification is told once it has stood for a moment: what an editor or a package manager
//! puts aside for an instant is none, and an order's own work is known by then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bartizan_core::configuration::drift::watch::{self, Watches};
use bartizan_core::configuration::drift::{
    self, Drift, Drifts, Explained, Object, Standing, TOLD_LIMIT, UNREAD, Way,
};
use bartizan_core::fact::Section;
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_probe::drift::Files;
use bartizan_probe::root::Root;
use serde::{Deserialize, Serialize};

mod bell;
mod text;

use bell::Bell;
use text::Texts;

/// How long a modification has to stand before it is told.
const STANDS_FOR: Duration = Duration::from_millis(900);

/// How long one may go on changing before it is told as it stands then.
const CHANGES_FOR: Duration = Duration::from_secs(3);

/// How often everything is looked at by its metadata, whatever the kernel told.
const WHOLE_EVERY: Duration = Duration::from_secs(300);

/// The same where the kernel does not tell of every folder.
const BLIND_EVERY: Duration = Duration::from_secs(10);

/// The longest summary, in characters.
const SUMMARY_LIMIT: usize = 300;

/// What the next run goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// How objects stood when they were last accounted for.
    reference: Standing,
    /// By which documents: what they did not watch is no drift when others do.
    watches: Vec<Watches>,
    /// What drifts, as it was told.
    told: Vec<Told>,
    /// The last explanation of each object that was taken: it holds once.
    #[serde(default)]
    taken: BTreeMap<String, Timestamp>,
}

/// A drift as it was told: by the name of the watch that its object belonged to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Told {
    watch: String,
    drift: Drift,
}

impl Told {
    fn is_about(&self, other: &Told) -> bool {
        self.watch == other.watch && self.drift.object == other.drift.object
    }
}

/// A modification that does not stand long enough yet.
#[derive(Clone, Debug)]
struct Pending {
    /// How the object stands.
    after: Option<String>,
    /// Since when it stands so.
    since: Timestamp,
    /// When it was first found otherwise than accounted for.
    first: Timestamp,
}

/// What one look brings.
#[derive(Debug, Default)]
pub struct Step {
    /// What is to be on disk before the rest is told.
    pub kept: Option<Kept>,
    pub noticed: Vec<Noticed>,
    pub section: Option<Section<Drifts>>,
}

/// What is watched on one host, and how it stands.
#[derive(Debug)]
pub struct Watch {
    root: Root,
    watches: Vec<Watches>,
    files: Option<Files>,
    bell: Bell,
    texts: Texts,
    kept: Kept,
    /// Whether this host was never looked at.
    first: bool,
    /// Whether it is known what is watched: until then nothing is judged.
    is_assigned: bool,
    /// Modifications that do not stand long enough yet.
    pending: BTreeMap<String, Pending>,
    /// What people accounted for.
    explained: Vec<Explained>,
    /// Whether that changed since the last look.
    is_news: bool,
    /// What an order of ours is setting.
    expected: Vec<Object>,
    /// How what drifted stood when that order began: what stays so is not its work.
    former: BTreeMap<String, Option<String>>,
    /// Whether that order is over: what it set shows in the next look.
    is_over: bool,
    due: BTreeSet<String>,
    whole_at: Timestamp,
    section: Option<Section<Drifts>>,
}

impl Kept {
    /// Whether everything that it tells of is told by another, too.
    pub fn is_within(&self, other: &Kept) -> bool {
        self.told.iter().all(|told| other.told.contains(told))
    }

    /// With what another told besides.
    pub fn join(mut self, other: &Kept) -> Kept {
        let besides = |told: &&Told| !self.told.iter().any(|own| own.is_about(told));
        let mut more: Vec<Told> = other.told.iter().filter(besides).cloned().collect();
        self.told.append(&mut more);
        self.told.sort();
        self
    }
}

impl Watch {
    /// Goes on from what the run before kept; none where there was none. Texts of which changes are told
    /// are kept in a folder of the agent's.
    pub fn new(root: &Root, kept: Option<Kept>, texts: Option<PathBuf>) -> Watch {
        let mut texts = Texts::new(texts);
        texts.sweep(&kept.iter().flat_map(|kept| kept.reference.clone()).collect());
        Watch {
            root: root.clone(),
            watches: Vec::new(),
            files: None,
            bell: Bell::new(root),
            texts,
            first: kept.is_none(),
            is_assigned: false,
            kept: kept.unwrap_or_default(),
            pending: BTreeMap::new(),
            explained: Vec::new(),
            is_news: false,
            expected: Vec::new(),
            former: BTreeMap::new(),
            is_over: false,
            due: BTreeSet::new(),
            whole_at: Timestamp::default(),
            section: None,
        }
    }

    /// Takes what is watched from now on.
    pub fn assign(&mut self, watches: Vec<Watches>) {
        self.is_assigned = true;
        if self.watches == watches && self.files.is_some() != watches.is_empty() {
            return;
        }
        let mut places: Vec<String> =
            watches.iter().flat_map(|watches| watches.places()).map(str::to_owned).collect();
        places.sort();
        places.dedup();
        let all = places.clone();
        places.retain(|place| {
            !all.iter()
                .any(|outer| place.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/')))
        });
        self.files = (!watches.is_empty()).then(|| Files::new(&self.root, places));
        self.watches = watches;
        self.whole_at = Timestamp::default();
    }

    /// Takes what people accounted for.
    pub fn explain(&mut self, explained: Vec<Explained>) {
        self.is_news |= self.explained != explained;
        self.explained = explained;
    }

    /// An order of ours begins to set these: what changes there is no drift.
    pub fn expect(&mut self, objects: Vec<Object>) {
        self.expected = objects;
        self.is_over = false;
        let told = self.kept.told.iter().map(|told| (told.drift.object.clone(), told.drift.after.clone()));
        let pending = self.pending.iter().map(|(object, pending)| (object.clone(), pending.after.clone()));
        self.former = told.chain(pending).collect();
    }

    /// The order is over.
    pub fn over(&mut self) {
        self.is_over = true;
    }

    /// Tells again of all that drifts: what was told of it may not have arrived.
    pub fn tell_again(&self, now: Timestamp) -> Vec<Noticed> {
        self.kept.told.iter().map(|told| self.noticed(told, State::Firing, now)).collect()
    }

    /// Looks at what may have changed.
    pub fn step(&mut self, now: Timestamp) -> Step {
        if !self.is_assigned {
            return Step::default();
        }
        let is_news = std::mem::take(&mut self.is_news);
        if !self.look(now) && self.pending.is_empty() && !self.is_over && !is_news {
            return Step::default();
        }
        let mut step = self.judge(now);
        if self.is_over {
            self.expected.clear();
            self.former.clear();
            self.is_over = false;
        }
        let section = self.describe();
        if self.section.as_ref() != Some(&section) {
            self.section = Some(section.clone());
            step.section = Some(section);
        }
        step
    }

    /// Reads what the kernel says has changed, and everything when its turn has come; whether anything was read.
    fn look(&mut self, now: Timestamp) -> bool {
        // Nothing is watched any more, or never was: what was told of it is over.
        let Some(files) = &mut self.files else {
            return !self.kept.told.is_empty()
                || self.section.as_ref().is_some_and(|told| told.body.objects > 0);
        };
        let mut rung = self.bell.rung();
        let every = if self.bell.is_blind() { BLIND_EVERY } else { WHOLE_EVERY };
        // A clock that was set back must not keep the turn away.
        let is_whole = rung.everything || now >= self.whole_at || self.whole_at.since(now) > every;
        rung.folders.append(&mut self.due);
        if is_whole {
            self.whole_at = now.plus(every);
            files.survey(now);
        } else if rung.folders.is_empty() {
            return false;
        } else {
            files.again(&rung.folders, now);
        }
        // What came between the look and the bell shows in the next look.
        self.due = self.bell.hang(&files.folders());
        true
    }

    fn judge(&mut self, now: Timestamp) -> Step {
        let watches = self.watches.clone();
        let seen = self.files.as_ref().map(|files| files.inventory(|object| is_watched(&watches, object)));
        let seen = seen.unwrap_or_default();
        if std::mem::take(&mut self.first) {
            return self.first_sight(seen.standing);
        }
        let before = self.kept.clone();
        self.kept.reference.retain(|object, _| is_watched(&watches, object));
        let told: Vec<Drift> = self.kept.told.iter().map(|told| told.drift.clone()).collect();
        let mut found = drift::drifts(&self.kept.reference, &seen, &told);
        self.read_at_last(&seen.standing);
        found.retain(|drift| match drift.object.parse::<Object>() {
            Ok(object) if is_watched(&watches, &object) => {
                let is_accounted = !is_watched(&before.watches, &object)
                    || self.is_our_work(&object, drift)
                    || self.takes_explanation(drift);
                if is_accounted {
                    self.account(object, drift.after.as_ref());
                }
                !is_accounted
            }
            _ => false,
        });
        self.kept.watches = watches;
        self.kept.told = self.settle(found, now);
        let noticed = self.news(&before.told, now);
        let kept = (self.kept != before).then(|| self.kept.clone());
        Step { kept, noticed, section: None }
    }

    /// What is there is how it shall be.
    fn first_sight(&mut self, standing: Standing) -> Step {
        standing.keys().for_each(|object| self.texts.keep(self.files.as_ref(), object, &standing));
        self.kept = Kept { reference: standing, watches: self.watches.clone(), ..Kept::default() };
        Step { kept: Some(self.kept.clone()), ..Step::default() }
    }

    /// Takes it that an object stands as it shall.
    fn account(&mut self, object: Object, after: Option<&String>) {
        match after {
            Some(after) => drop(self.kept.reference.insert(object.clone(), after.clone())),
            None => drop(self.kept.reference.remove(&object)),
        }
        self.texts.keep(self.files.as_ref(), &object, &self.kept.reference);
    }

    /// Content that could not be read when it was accounted for is taken as it is first read.
    fn read_at_last(&mut self, standing: &Standing) {
        for (object, line) in &mut self.kept.reference {
            let rights = line.strip_suffix(UNREAD);
            let read = standing.get(object).filter(|now| !now.ends_with(UNREAD));
            if let (Some(rights), Some(now)) = (rights, read)
                && now.rsplit_once(' ').is_some_and(|(found, _)| found == rights)
            {
                line.clone_from(now);
            }
        }
    }

    /// Whether a person accounted for it as it stands, later than what was taken of them before.
    fn takes_explanation(&mut self, drift: &Drift) -> bool {
        let taken = self.kept.taken.get(&drift.object).copied();
        let fits = |one: &&Explained| {
            one.object == drift.object && one.after == drift.after && taken.is_none_or(|taken| one.at > taken)
        };
        let Some(explained) = self.explained.iter().find(fits) else { return false };
        self.kept.taken.insert(explained.object.clone(), explained.at);
        true
    }

    /// Whether an order of ours sets the object, and it stands otherwise than before.
    fn is_our_work(&self, object: &Object, drift: &Drift) -> bool {
        let is_former = self.former.get(&drift.object).is_some_and(|former| *former == drift.after);
        !is_former && self.is_expected(object)
    }

    fn is_expected(&self, object: &Object) -> bool {
        let covers =
            |expected: &Object| expected.name.ends_with('/') && object.name.starts_with(&expected.name);
        self.expected
            .iter()
            .any(|expected| expected.kind == object.kind && (expected == object || covers(expected)))
    }

    /// Those of what drifts that have stood for a moment; one that was told before stays told as it was until
    /// then.
    fn settle(&mut self, found: Vec<Drift>, now: Timestamp) -> Vec<Told> {
        let pending = std::mem::take(&mut self.pending);
        let mut settled = Vec::new();
        for mut drift in found {
            let watch = self.watch_of(&drift.object).map(|watch| watch.id.clone()).unwrap_or_default();
            let told = self.kept.told.iter().find(|told| told.drift.object == drift.object);
            let told = told.map(|told| Told { watch: watch.clone(), ..told.clone() });
            if let Some(told) = told.clone().filter(|told| told.drift.after == drift.after) {
                settled.push(told);
                continue;
            }
            let held = pending.get(&drift.object);
            let first = held.map_or(now, |held| held.first);
            let since = held.filter(|held| held.after == drift.after).map_or(now, |held| held.since);
            let waits = now.since(since) < STANDS_FOR && now.since(first) < CHANGES_FOR;
            // A clock that was set back must not keep it away.
            if waits && now >= first {
                settled.extend(told);
                self.pending.insert(drift.object, Pending { after: drift.after, since, first });
                continue;
            }
            drift.lines = self.texts.difference(self.files.as_ref(), &drift);
            settled.push(Told { watch, drift });
        }
        settled.sort_by(|a, b| a.drift.cmp(&b.drift));
        settled
    }

    /// What is told anew, and what is over.
    fn news(&self, before: &[Told], now: Timestamp) -> Vec<Noticed> {
        let came = self.kept.told.iter().filter(|told| !before.contains(told));
        let came = came.map(|told| self.noticed(told, State::Firing, now));
        let over = |told: &&Told| !self.kept.told.iter().any(|other| other.is_about(told));
        let went = before.iter().filter(over).map(|told| self.noticed(told, State::Resolved, now));
        came.chain(went).collect()
    }

    fn watch_of(&self, object: &str) -> Option<&watch::Watch> {
        let object = object.parse().ok()?;
        self.watches.iter().find_map(|watches| watches.of(&object))
    }

    fn noticed(&self, told: &Told, state: State, now: Timestamp) -> Noticed {
        let Told { watch: subject, drift } = told;
        let watch = self.watch_of(&drift.object);
        let name = drift.object.split_once(':').map_or(drift.object.as_str(), |(_, name)| name);
        let word = match drift.way {
            Way::Added => "is new",
            Way::Modified => "was modified",
            Way::Removed => "is gone",
        };
        let summary = match state {
            State::Firing => format!("{name} {word}, and no change explains it"),
            _ if watch.is_none() => format!("{name} is not watched any more"),
            _ => format!("{name} stands as it was accounted for"),
        };
        Noticed {
            kind: Kind::Drift,
            subject: subject.clone(),
            object: name.to_owned(),
            state,
            severity: watch.map_or(Severity::Medium, |watch| watch.severity),
            summary: summary.chars().take(SUMMARY_LIMIT).collect(),
            at: now,
            backlog: false,
        }
    }

    fn describe(&self) -> Section<Drifts> {
        let Kept { reference, told, .. } = &self.kept;
        let mut section = Section::new(Drifts {
            reference: drift::reference_digest(reference).to_string(),
            objects: reference.len() as u64,
            drifts: told.iter().take(TOLD_LIMIT).map(|told| told.drift.clone()).collect(),
            more: told.len().saturating_sub(TOLD_LIMIT) as u64,
        });
        let files = self.files.iter().flat_map(Files::unseen);
        files.for_each(|unseen| section.miss(unseen.what, unseen.reason));
        section
    }
}

fn is_watched(watches: &[Watches], object: &Object) -> bool {
    watches.iter().any(|watches| watches.of(object).is_some())
}

#[cfg(test)]
mod tests;
