//! Judging at the edge: rules are run when a policy comes, and again when what they read changed.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::configuration::evaluate::{self, Query, RuleResult};
use bartizan_core::fact::{Package, Section};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_probe::query::HostProbe;
use bartizan_probe::root::Root;
use bartizan_wire::report::{Look, VERDICTS_LIMIT};

use super::source::{Source, Stamp, Stamps};

/// How often rules are run whose answers no file shows: sockets, homes of accounts.
const TURN: Duration = Duration::from_secs(30);

/// How often every rule is run, whatever seems to have changed: no watch sees everything.
const WHOLE_TURN: Duration = Duration::from_secs(300);

/// From how many rules of a baseline on it is cheaper to run all, each query asked once.
const MANY: usize = 12;

/// A rule by its places: which baseline, which of its rules.
type Place = (usize, usize);

/// Rules, what each read, and how that stood.
#[derive(Debug)]
pub(super) struct Judge {
    root: Root,
    baselines: Vec<Baseline>,
    packages: Option<Section<Vec<Package>>>,
    reads: BTreeMap<Place, Vec<Query>>,
    stamps: Stamps,
    /// Each source with its stamp and the rules that hang on it.
    sources: BTreeMap<Source, (Stamp, BTreeSet<Place>)>,
    turn_at: Timestamp,
    whole_at: Timestamp,
}

/// What judging again brought.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) looks: Vec<Look>,
    /// Subjects without an obligation.
    pub(super) gone: Vec<(String, String)>,
}

impl Judge {
    pub(super) fn new(root: Root) -> Self {
        Self {
            root,
            baselines: Vec::new(),
            packages: None,
            reads: BTreeMap::new(),
            stamps: Stamps::default(),
            sources: BTreeMap::new(),
            turn_at: Timestamp::default(),
            whole_at: Timestamp::default(),
        }
    }

    /// Takes new baselines and judges all their rules; gives how many rules were beyond the limit.
    pub(super) fn assign(&mut self, baselines: Vec<Baseline>, now: Timestamp) -> (Judged, usize) {
        self.baselines = baselines;
        self.reads.clear();
        self.sources.clear();
        let all: BTreeSet<Place> = self.places().collect();
        let beyond = all.len().saturating_sub(VERDICTS_LIMIT);
        (self.judge_whole(all.into_iter().take(VERDICTS_LIMIT).collect(), now), beyond)
    }

    /// Takes the packages that are installed now.
    pub(super) fn installed(&mut self, packages: Section<Vec<Package>>) {
        self.packages = Some(packages);
        self.stamps.packages += 1;
    }

    /// Judges again what may have changed.
    pub(super) fn look(&mut self, now: Timestamp) -> Judged {
        // A clock that was set back must not keep the turns away.
        if now >= self.whole_at || self.whole_at.since(now) > WHOLE_TURN {
            return self.judge_whole(self.reads.keys().copied().collect(), now);
        }
        let mut changed = BTreeSet::new();
        for (source, (stamp, places)) in &mut self.sources {
            let found = self.stamps.stamp(&self.root, source, now);
            if stamp.differs(found) {
                changed.extend(places.iter().copied());
            }
            *stamp = found;
        }
        if now >= self.turn_at {
            self.turn_at = now.plus(TURN);
            let in_turn = |queries: &[Query]| queries.iter().any(Source::is_in_turn);
            changed
                .extend(self.reads.iter().filter(|(_, queries)| in_turn(queries)).map(|(place, _)| *place));
        }
        if changed.is_empty() { Judged::default() } else { self.judge(changed, now) }
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let rules = |(number, baseline): (usize, &Baseline)| {
            (0..baseline.rules.len()).map(move |rule| (number, rule)).collect::<Vec<_>>()
        };
        self.baselines.iter().enumerate().flat_map(rules)
    }

    fn judge_whole(&mut self, places: BTreeSet<Place>, now: Timestamp) -> Judged {
        self.whole_at = now.plus(WHOLE_TURN);
        self.turn_at = now.plus(TURN);
        self.judge(places, now)
    }

    /// Runs rules. Where one read something new, its stamp came after the reading: the run is done
    /// again, so that no change falls between the two.
    fn judge(&mut self, places: BTreeSet<Place>, now: Timestamp) -> Judged {
        let results = self.run(&places);
        let results = if self.follow(&results, now) { self.run(&places) } else { results };
        self.follow(&results, now);
        let mut judged = Judged::default();
        for ((number, _), result) in results {
            let Some(baseline) = self.baselines.get(number) else { continue };
            let baseline = baseline.name.clone();
            match result.outcome.verdict() {
                Some(verdict) => judged.looks.push(Look {
                    baseline,
                    rule: result.rule,
                    check: result.check_digest,
                    verdict,
                    observed_at: now,
                }),
                None => judged.gone.push((baseline, result.rule)),
            }
        }
        judged
    }

    fn run(&self, places: &BTreeSet<Place>) -> Vec<(Place, RuleResult)> {
        let asks_packages = |place: &Place| {
            let queries = self.reads.get(place);
            queries.is_none_or(|queries| queries.iter().any(|query| matches!(query, Query::Package { .. })))
        };
        let mut probe = HostProbe::new(self.root.clone());
        if let Some(packages) = self.packages.as_ref().filter(|_| places.iter().any(asks_packages)) {
            probe = probe.with_package_section(packages.clone());
        }
        let mut results = Vec::with_capacity(places.len());
        for (number, baseline) in self.baselines.iter().enumerate() {
            let here: Vec<Place> = places.range((number, 0)..(number + 1, 0)).copied().collect();
            if here.len() >= MANY {
                let all = evaluate::run(baseline, None, &mut probe).into_iter().enumerate();
                let asked = all.map(|(rule, result)| ((number, rule), result));
                results.extend(asked.filter(|(place, _)| places.contains(place)));
                continue;
            }
            for place in here {
                let rule = baseline.rules.get(place.1);
                let result = rule.and_then(|rule| evaluate::run_rule(baseline, &rule.id, &mut probe));
                results.extend(result.map(|result| (place, result)));
            }
        }
        results
    }

    /// Notes what rules read; whether something is among it that was not watched.
    fn follow(&mut self, results: &[(Place, RuleResult)], now: Timestamp) -> bool {
        let mut new = false;
        for (place, result) in results {
            match self.reads.get(place) {
                Some(held) if *held == result.read => continue,
                Some(_) => self.sources.retain(|_, (_, places)| {
                    places.remove(place);
                    !places.is_empty()
                }),
                None => {}
            }
            for source in result.read.iter().flat_map(Source::of) {
                let entry = self.sources.entry(source);
                let (_, places) = match entry {
                    std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
                    std::collections::btree_map::Entry::Vacant(free) => {
                        new = true;
                        let stamp = self.stamps.stamp(&self.root, free.key(), now);
                        free.insert((stamp, BTreeSet::new()))
                    }
                };
                places.insert(*place);
            }
            self.reads.insert(*place, result.read.clone());
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::document;
    use bartizan_core::verdict::Verdict;
    use std::fs;

    const BASELINE: &str = "
kind: Baseline
name: test
spec:
  title: Test
  rules:
    - id: motd
      title: The message is set
      rationale: People read it.
      severity: low
      remediation: Write it.
      check: {file: {path: /etc/motd, exists: true}}
    - id: mode
      title: The mode is strict
      rationale: Others must not write.
      severity: low
      remediation: Change it.
      applicable: {file: {path: /etc/opt, exists: true}}
      check: {file: {path: /etc/opt, mode: {bits_within: '0600'}}}
";

    fn baselines() -> Vec<Baseline> {
        let documents = document::parse("t.yaml", BASELINE).unwrap();
        documents.iter().map(|document| Baseline::from_document(document).unwrap()).collect()
    }

    fn verdicts(judged: &Judged) -> Vec<(&str, Verdict)> {
        judged.looks.iter().map(|look| (look.rule.as_str(), look.verdict)).collect()
    }

    #[test]
    fn a_rule_is_judged_again_when_its_file_changes_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let mut judge = Judge::new(Root::at(folder.path()).unwrap());
        let (first, beyond) = judge.assign(baselines(), Timestamp::from_millis(0));
        assert_eq!((verdicts(&first), beyond), (vec![("motd", Verdict::NotMet)], 0));
        assert_eq!(first.gone, [("test".to_owned(), "mode".to_owned())]);
        assert!(judge.look(Timestamp::from_millis(1_000)).looks.is_empty());
        fs::write(folder.path().join("etc/motd"), "hello").unwrap();
        let second = judge.look(Timestamp::from_millis(2_000));
        assert_eq!(verdicts(&second), [("motd", Verdict::Met)]);
        assert!(second.gone.is_empty());
        fs::write(folder.path().join("etc/opt"), "").unwrap();
        let third = judge.look(Timestamp::from_millis(3_000));
        assert_eq!(verdicts(&third).len(), 1);
        assert_eq!(third.looks[0].rule, "mode");
    }

    #[test]
    fn every_rule_has_its_turn_though_nothing_seems_to_change() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let mut judge = Judge::new(Root::at(folder.path()).unwrap());
        judge.assign(baselines(), Timestamp::from_millis(0));
        assert_eq!(judge.look(Timestamp::from_millis(299_000)).gone.len(), 0);
        assert_eq!(judge.look(Timestamp::from_millis(300_000)).gone.len(), 1);
    }
}
