//! The posture's index and figures on every engine.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::posture::index::{About, Plane};
use bartizan_core::posture::{AssetNumber, TupleNumber};
use bartizan_core::severity::Severity;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_core::vulnerability::affected::{Pair, Release};
use bartizan_core::vulnerability::matching::{self, Match, Tuple};
use bartizan_store::Store;
use bartizan_store::log::Log;
use bartizan_store::matching::{Matched, Progress};
use bartizan_store::posture::Taken;
use bartizan_store::posture::count::Standings;
use bartizan_store::report::{Report, Verdicts};
use bartizan_store::vulnerability::{Filter, Summary};

use crate::matching::found;
use crate::suite::{builds as told, commit, enrol, later, report, secret, subject, tuple};

/// Takes in all that waits, in every shard.
pub(crate) async fn take_in(store: &Store) {
    for shard in store.shards(Log::Transition).await.unwrap() {
        while store.take_in(shard).await.unwrap() != Taken::default() {}
    }
}

pub(crate) async fn the_index_follows_the_transitions_and_can_be_rebuilt(store: Store) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    commit(&store, report(&one, 1, &[("r1", Verdict::NotMet)])).await;
    commit(&store, report(&two, 1, &[("r1", Verdict::NotMet)])).await;
    take_in(&store).await;
    let bad = (About::Subject(0), Plane::NotMet);
    assert_eq!(store.cohorts(0, bad).await.unwrap().all().len(), 2);
    commit(&store, report(&two, 2, &[("r1", Verdict::Met)])).await;
    let present = Report { tuples: told([tuple("openssl")]), ..report(&one, 2, &[]) };
    commit(&store, present).await;
    assert_eq!(store.as_of().await.unwrap().waiting, 2);
    take_in(&store).await;
    let before = store.cohorts(0, bad).await.unwrap();
    assert_eq!(before.all().iter().collect::<Vec<_>>(), [one.number]);
    assert_eq!(store.present(&[0]).await.unwrap().iter().collect::<Vec<_>>(), [one.number]);
    let counts = store.standings().await.unwrap();
    let expected = Standings { assigned: 2, met: 1, not_met: 1, unknown: 0 };
    assert_eq!(counts, BTreeMap::from([(0, expected)]));
    let as_of = store.as_of().await.unwrap();
    assert_eq!((as_of.at, as_of.waiting, as_of.builds), (Some(later(2)), 0, 1));
    store.drop_index().await.unwrap();
    assert!(store.standings().await.unwrap().is_empty());
    take_in(&store).await;
    assert_eq!(store.cohorts(0, bad).await.unwrap(), before);
    assert_eq!(store.standings().await.unwrap(), counts);
}

pub(crate) async fn looks_that_meet_take_in_each_transition_once(store: Store) {
    let asset = enrol(&store, 1).await;
    for sequence in 1..=6 {
        let verdict = if sequence % 2 == 0 { Verdict::Met } else { Verdict::NotMet };
        commit(&store, report(&asset, sequence, &[("r1", verdict)])).await;
        let (one, two) = tokio::join!(store.take_in(0), store.take_in(0));
        let conflict = |error: bartizan_store::Error| {
            assert_eq!(error.class(), bartizan_core::error::Class::Conflict, "{error}");
            0
        };
        let taken = |look: Result<Taken, _>| look.map_or_else(conflict, |taken| taken.transitions);
        assert_eq!(taken(one) + taken(two), 1);
    }
    let expected = Standings { assigned: 1, met: 1, not_met: 0, unknown: 0 };
    assert_eq!(store.standings().await.unwrap(), BTreeMap::from([(0, expected)]));
}

/// A sequence that looks like chance, and is the same in every run (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn verdict(&mut self) -> Verdict {
        [Verdict::Met, Verdict::NotMet, Verdict::Unknown(Reason::Denied)]
            [usize::try_from(self.roll(3)).unwrap()]
    }
}

/// Builds of three sources in two releases, each in three versions.
fn builds() -> Vec<Tuple> {
    let mut all = Vec::new();
    for release in ["bookworm", "trixie"] {
        for source in ["openssl", "zlib", "curl"] {
            for version in ["1", "2", "3"] {
                let release = release.to_owned();
                all.push(Tuple { release, source_version: version.to_owned(), ..tuple(source) });
            }
        }
    }
    all
}

/// What a feed might say of a build just now.
fn said(dice: &mut Dice, source: &str) -> Vec<Match> {
    let mut matches = Vec::new();
    for id in ["CVE-2024-1", "CVE-2024-2", "CVE-2024-3"] {
        let verdict = match dice.roll(5) {
            0 | 1 => matching::Verdict::Affected,
            2 => matching::Verdict::Unknown(Reason::Unassigned),
            3 => matching::Verdict::Fixed,
            _ => continue,
        };
        let severity = Severity::ALL.get(usize::try_from(dice.roll(6)).unwrap()).copied();
        matches.push(found(id, source, verdict, severity));
    }
    matches
}

/// Every figure that pages are made of, as the store keeps it.
#[derive(Debug, PartialEq)]
struct Figures {
    standings: BTreeMap<u32, Standings>,
    summaries: BTreeMap<Pair, Summary>,
    releases: BTreeMap<Release, u64>,
}

async fn kept(store: &Store, pairs: &BTreeSet<Pair>) -> Figures {
    let mut summaries = BTreeMap::new();
    for pair in pairs {
        summaries.extend(store.vulnerability(pair).await.unwrap().map(|summary| (pair.clone(), summary)));
    }
    let open = summaries.values().filter(|summary| summary.affected > 0).count();
    let unknown = summaries.values().filter(|summary| summary.unknown > 0).count();
    let totals = store.vulnerability_totals().await.unwrap();
    assert_eq!((totals.open, totals.unknown), (open as u64, unknown as u64));
    let (standings, releases) = (store.standings().await.unwrap(), store.releases().await.unwrap());
    Figures { standings, summaries, releases }
}

/// The same from the records and matches themselves, asset by asset.
async fn counted(store: &Store, assets: &[AssetNumber]) -> Figures {
    let mut standings: BTreeMap<u32, Standings> = BTreeMap::new();
    let mut present: BTreeMap<TupleNumber, BTreeSet<AssetNumber>> = BTreeMap::new();
    for asset in assets {
        let record = store.record(*asset).await.unwrap();
        for (subject, standing) in record.verdicts() {
            let counted = standings.entry(subject).or_default();
            counted.assigned += 1;
            match standing.verdict {
                Verdict::Met => counted.met += 1,
                Verdict::NotMet => counted.not_met += 1,
                Verdict::Unknown(_) => counted.unknown += 1,
            }
        }
        for (tuple, _) in record.present() {
            present.entry(tuple).or_default().insert(*asset);
        }
    }
    let numbers: Vec<TupleNumber> = present.keys().copied().collect();
    let mut releases: BTreeMap<Release, BTreeSet<AssetNumber>> = BTreeMap::new();
    for (number, tuple) in store.tuples(&numbers).await.unwrap() {
        let release = Release { ecosystem: tuple.ecosystem, release: tuple.release };
        releases.entry(release).or_default().extend(&present[&number]);
    }
    let mut by_pair: BTreeMap<Pair, Vec<(TupleNumber, Match)>> = BTreeMap::new();
    for known in store.matches(&numbers).await.unwrap() {
        let pair =
            Pair { vulnerability: known.found.vulnerability.clone(), source: known.found.source.clone() };
        by_pair.entry(pair).or_default().push((known.tuple, known.found));
    }
    let mut summaries = BTreeMap::new();
    for (pair, matches) in by_pair {
        let is = |wanted: bool| {
            matches.iter().filter(move |(_, found)| match found.verdict {
                matching::Verdict::Affected => wanted,
                matching::Verdict::Unknown(_) => !wanted,
                _ => false,
            })
        };
        let on = |wanted| is(wanted).flat_map(|(tuple, _)| &present[tuple]).copied().collect::<BTreeSet<_>>();
        let affected = on(true);
        let unknown: Vec<AssetNumber> = on(false).difference(&affected).copied().collect();
        let shown = is(true).next().or_else(|| is(false).next().filter(|_| !unknown.is_empty()));
        let Some((_, shown)) = shown else { continue };
        let worst = is(true).map(|(_, found)| found.severity.as_ref().map(|rating| rating.rating)).max();
        let summary = Summary {
            pair: pair.clone(),
            affected: affected.len() as u64,
            unknown: unknown.len() as u64,
            severity: worst.flatten(),
            title: shown.evidence.clone(),
            fixed: shown.fixed.clone(),
            fix_state: shown.fix_state.map(|state| state.as_str().to_owned()),
        };
        summaries.insert(pair, summary);
    }
    let releases = releases.into_iter().map(|(release, on)| (release, on.len() as u64)).collect();
    Figures { standings, summaries, releases }
}

/// One thing happens: an asset reports, is emptied, or a feed says something else of a build.
async fn happen(store: &Store, dice: &mut Dice, sequence: u64, assets: &[AssetNumber], template: &Report) {
    let builds = builds();
    if dice.roll(3) == 0 {
        let known = u64::try_from(store.head(Log::Tuple, 0).await.unwrap()).unwrap();
        if known == 0 {
            return;
        }
        let number = TupleNumber::try_from(dice.roll(known)).unwrap();
        let source = store.tuples(&[number]).await.unwrap()[&number].source.clone();
        let matched = Matched { tuple: number, covered: true, matches: said(dice, &source) };
        store.put_matches(&[matched], &secret("feeds"), Progress::Part, later(9)).await.unwrap();
        return;
    }
    let number = assets[usize::try_from(dice.roll(assets.len() as u64)).unwrap()];
    let at = later(u32::try_from(sequence).unwrap());
    let mut looks = Vec::new();
    for rule in ["r1", "r2", "r3"] {
        if dice.roll(2) == 0 {
            looks.push((subject(rule), dice.verdict(), at));
        }
    }
    let whole = dice.roll(6) == 0;
    let tuples = (dice.roll(2) == 0).then(|| {
        // Most of one release; sometimes nothing at all, as of a host that is emptied.
        let half = if dice.roll(2) == 0 { &builds[..9] } else { &builds[9..] };
        if dice.roll(8) == 0 {
            return Vec::new();
        }
        let some = half.iter().filter(|_| dice.roll(3) == 0).cloned();
        told(some).unwrap_or_default()
    });
    let report = Report {
        number,
        sequence,
        digest: secret(&format!("{number} {sequence}")),
        recorded_at: at,
        verdicts: Verdicts { whole, looks },
        tuples,
        ..template.clone()
    };
    commit(store, report).await;
}

pub(crate) async fn figures_equal_a_full_count_after_any_moves(store: Store) {
    let asset = enrol(&store, 1).await;
    let template = report(&asset, 1, &[]);
    // Of two shards: the store asks nobody whether an asset enrolled.
    let assets = [0, 1, 2, 3, 1 << 16, (1 << 16) + 1, (1 << 16) + 2];
    let pairs: BTreeSet<Pair> = ["CVE-2024-1", "CVE-2024-2", "CVE-2024-3"]
        .into_iter()
        .flat_map(|id| ["openssl", "zlib", "curl"].map(|source| (id.to_owned(), source.to_owned())))
        .map(|(vulnerability, source)| Pair { vulnerability, source })
        .collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..12 {
        for step in 0..12 {
            happen(&store, &mut dice, 1 + round * 12 + step, &assets, &template).await;
            // Now and then a look comes between, at one shard only.
            if dice.roll(5) == 0 {
                let shards = store.shards(Log::Transition).await.unwrap();
                if let Some(shard) = shards.last() {
                    store.take_in(*shard).await.unwrap();
                }
            }
        }
        take_in(&store).await;
        let expected = counted(&store, &assets).await;
        assert_eq!(kept(&store, &pairs).await, expected, "round {round}");
        take_in(&store).await;
        assert_eq!(kept(&store, &pairs).await, expected, "again, in round {round}");
        if round % 4 == 3 {
            store.drop_index().await.unwrap();
            let nothing = kept(&store, &pairs).await;
            assert!(nothing.standings.is_empty() && nothing.summaries.is_empty(), "round {round}");
            take_in(&store).await;
            assert_eq!(kept(&store, &pairs).await, expected, "built anew in round {round}");
        }
    }
}

pub(crate) async fn vulnerabilities_are_paged_the_worst_first(store: Store) {
    let asset = enrol(&store, 1).await;
    let sources = ["openssl", "zlib", "curl"];
    let present = Report { tuples: told(sources.map(tuple)), ..report(&asset, 1, &[]) };
    commit(&store, present).await;
    let affected = matching::Verdict::Affected;
    let mut matched = Vec::new();
    for (number, tuple) in store.tuples(&[0, 1, 2]).await.unwrap() {
        let source = tuple.source.as_str();
        let mut matches = vec![
            found("CVE-2024-1", source, affected, Severity::High),
            found("CVE-2024-2", source, affected, (source != "curl").then_some(Severity::None)),
            found("CVE-2024-3", source, matching::Verdict::Unknown(Reason::Unseen), Severity::Critical),
        ];
        if source == "zlib" {
            matches[0].fixed = Some("11".to_owned());
            matches.push(Match {
                fix_state: None,
                fixed: None,
                evidence: "100%_sure".to_owned(),
                ..found("CVE-2024-4", source, affected, Severity::Critical)
            });
        }
        matched.push(Matched { tuple: number, covered: true, matches });
    }
    store.put_matches(&matched, &secret("feeds"), Progress::Part, later(1)).await.unwrap();
    take_in(&store).await;
    let names = async |filter: &Filter, from, limit| {
        let rows = store.vulnerabilities(filter, from, limit).await.unwrap();
        let name = |row: Summary| format!("{} {}", row.pair.vulnerability, row.pair.source);
        rows.into_iter().map(name).collect::<Vec<_>>()
    };
    let all = Filter::default();
    assert_eq!(store.count_vulnerabilities(&all).await.unwrap(), 7);
    assert_eq!(names(&all, 0, 3).await, ["CVE-2024-4 zlib", "CVE-2024-1 curl", "CVE-2024-1 openssl"]);
    assert_eq!(names(&all, 3, 3).await, ["CVE-2024-1 zlib", "CVE-2024-2 curl", "CVE-2024-2 openssl"]);
    let unrated = Filter { severity: Some(None), text: String::new() };
    assert_eq!(names(&unrated, 0, 9).await, ["CVE-2024-2 curl"], "harmless is a rating");
    let high = Filter { severity: Some(Some(Severity::High)), text: "OPEN".to_owned() };
    assert_eq!(names(&high, 0, 9).await, ["CVE-2024-1 openssl"]);
    for (text, count) in [("100%_s", 1), ("100_", 0), ("%", 1), ("zlib", 3), ("\\", 0)] {
        let filter = Filter { severity: None, text: text.to_owned() };
        assert_eq!(store.count_vulnerabilities(&filter).await.unwrap(), count, "{text}");
    }
    let totals = store.vulnerability_totals().await.unwrap();
    assert_eq!((totals.open, totals.fixable, totals.severe, totals.unknown), (7, 6, 4, 3));
    assert_eq!(totals.unrated, 1);
    let updates = store.updates(2).await.unwrap();
    let told: Vec<_> = updates.iter().map(|u| (u.source.as_str(), u.closes, u.severity)).collect();
    assert_eq!(told, [("curl", 2, Some(Severity::High)), ("openssl", 2, Some(Severity::High))]);
    assert_eq!(store.count_updates().await.unwrap(), 3);
    let exploited = store.fixable_among(&["CVE-2024-1", "CVE-2024-4", "CVE-1999-1"]).await.unwrap();
    assert_eq!(exploited.values().sum::<u64>(), 3);
    let sources = BTreeSet::from(["zlib".to_owned()]);
    assert_eq!(store.updates_of(&sources).await.unwrap()[0].closes, 2);
    let fixes = &store.fixes_of(&sources).await.unwrap()["zlib"];
    let (release, fixed) = fixes.first_key_value().unwrap();
    assert_eq!((fixes.len(), fixed.as_str()), (1, "11"), "the highest closes all");
    assert_eq!(store.binaries_of(release, "zlib").await.unwrap().len(), 1);
}
