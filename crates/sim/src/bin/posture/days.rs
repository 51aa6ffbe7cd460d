//! What hosts do: they enrol, check in unchanged, and change a little each day.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::verdict::Verdict;
use bartizan_server::keys::authority::Peer;
use bartizan_sim::population::{Image, RULES};
use bartizan_wire::checkin::{Answer, Heartbeat};
use bartizan_wire::report::{Batch, Look, Outcome, Receipt, Report, Section, root};
use bartizan_wire::{VERSION, pack, unpack};
use futures::StreamExt as _;
use tokio::time::Instant;

use crate::fleet::{BASELINE, Fleet, now, rule};
use crate::volume::volume;
use crate::{Failure, goal, say, seconds};

/// How many hosts talk at once.
const AT_ONCE: usize = 1_024;

/// How many of its verdicts change on a host each day: 5 %, in two reports.
const CHANGES: u32 = RULES / 20;
const REPORTS: u32 = 2;

/// How many assets are to enrol in a second, with their first report.
const ENROLMENT_GOAL: f64 = 500.0;

/// How many builds a fleet of the default size has at least.
const BUILDS_GOAL: i64 = 50_000;

/// The sections of an image, made once: that is the hosts' work, not the server's.
struct Sections {
    os: (Digest, Value),
    packages: (Digest, Value),
}

impl Sections {
    fn of(image: Image, fleet: &Fleet) -> Result<Sections, Failure> {
        let (os, packages) = (image.os()?, image.packages(&fleet.population)?);
        Ok(Sections { os: (Digest::of(&os), os), packages: (Digest::of(&packages), packages) })
    }

    /// The root over all sections; the verdicts stand in it by the turn of the host.
    fn root(&self, host: u32, turn: u32) -> Digest {
        let verdicts = Digest::of_bytes(format!("{host} {turn}").as_bytes());
        root([("os", self.os.0), ("packages", self.packages.0), ("verdicts", verdicts)])
    }
}

fn look(fleet: &Fleet, number: u32, verdict: Verdict) -> Result<Look, Failure> {
    let check = *fleet.checks.get(number as usize).ok_or("a rule that the baseline does not have")?;
    Ok(Look { baseline: BASELINE.to_owned(), rule: rule(number), check, verdict, observed_at: now() })
}

fn report(sections: &Sections, host: u32, turn: u32, verdicts: Vec<Look>) -> Report {
    let mut told = BTreeMap::new();
    if turn == 0 {
        for (name, (hash, body)) in [("os", &sections.os), ("packages", &sections.packages)] {
            told.insert(name.to_owned(), Section { hash: *hash, body: Some(body.clone()) });
        }
    }
    Report {
        wire: VERSION,
        epoch: 1,
        sequence: u64::from(turn) + 1,
        observed_at: now(),
        root: sections.root(host, turn),
        sections: told,
        verdicts,
        whole: turn == 0,
        signals: Vec::new(),
        outcomes: Vec::new(),
        loss: BTreeMap::new(),
    }
}

async fn send(fleet: &Fleet, peer: &Peer, report: Report) -> Result<usize, Failure> {
    let body = pack(&Batch { wire: VERSION, reports: vec![report] })?;
    let sent = body.len();
    let receipt: Receipt = unpack(&fleet.ask("/agent/v1/reports", Some(peer), body).await?)?;
    match receipt.outcomes.as_slice() {
        [Outcome::Committed { wanted }] if wanted.is_empty() => Ok(sent),
        other => Err(format!("a report was not taken: {other:?}").into()),
    }
}

fn all_sections(fleet: &Fleet) -> Result<BTreeMap<Image, Sections>, Failure> {
    let mut all = BTreeMap::new();
    for host in 0..fleet.population.hosts {
        let image = fleet.population.image(host);
        if let std::collections::btree_map::Entry::Vacant(place) = all.entry(image) {
            place.insert(Sections::of(image, fleet)?);
        }
    }
    Ok(all)
}

/// Does something for every host, many at once; gives what each brought.
async fn each<T>(fleet: &Fleet, act: impl AsyncFn(u32) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    let mut results = Vec::with_capacity(fleet.population.hosts as usize);
    let mut running =
        futures::stream::iter(0..fleet.population.hosts).map(|host| act(host)).buffered(AT_ONCE);
    while let Some(result) = running.next().await {
        results.push(result?);
    }
    Ok(results)
}

fn rate(count: u64, time: std::time::Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Every host enrols and tells all that it has.
pub(crate) async fn enrol(fleet: &Fleet) -> Result<(), Failure> {
    let hosts = u64::from(fleet.population.hosts);
    let sections = all_sections(fleet)?;
    let store = &fleet.app.web.store;
    let before = volume(store).await?;
    let sent = AtomicU64::new(0);
    let began = Instant::now();
    let peers = each(fleet, async |host| {
        let peer = fleet.enrol(host).await?;
        let of = sections.get(&fleet.population.image(host)).ok_or("a host without an image")?;
        let looks = (0..RULES).map(|number| look(fleet, number, fleet.population.verdict(host, number, 0)));
        let looks = looks.collect::<Result<_, _>>()?;
        let bytes = send(fleet, &peer, report(of, host, 0, looks)).await?;
        sent.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(peer)
    })
    .await?;
    let taken = began.elapsed();
    fleet.counted().await?;
    let counted = began.elapsed();
    let written = volume(store).await?.since(before);
    say(
        "enrolling all from empty",
        &format!(
            "{:.0} assets/s ({}); all of it counted after {}; {}",
            rate(hosts, taken),
            seconds(taken),
            seconds(counted),
            goal(&format!(">= {ENROLMENT_GOAL} assets/s"), rate(hosts, taken) >= ENROLMENT_GOAL)
        ),
    );
    say(
        "  for each asset",
        &format!(
            "{} bytes sent, {} bytes stored, {} bytes written in all (log and database), {} rows",
            sent.load(Ordering::Relaxed) / hosts,
            written.stored / hosts,
            written.bytes / hosts,
            written.rows / hosts
        ),
    );
    fleet.settle().await?;
    say("  until alerts and ledger have followed", &seconds(began.elapsed()));
    fleet.peers.set(peers).map_err(|_| "the fleet enrolled twice")?;
    Ok(())
}

/// Holds the figures against the population's own count.
pub(crate) async fn compare(fleet: &Fleet) -> Result<(), Failure> {
    let population = fleet.population;
    let (mut met, mut not_met, mut unknown, mut affected) = (0_u64, 0_u64, 0_u64, 0_u64);
    for host in 0..population.hosts {
        affected += population.vulnerabilities(population.image(host));
        for number in 0..RULES {
            match population.verdict(host, number, 0) {
                Verdict::Met => met += 1,
                Verdict::NotMet => not_met += 1,
                Verdict::Unknown(_) => unknown += 1,
            }
        }
    }
    let store = &fleet.app.web.store;
    let (mut counted, mut pairs, mut rows) = (0, 0, 0);
    loop {
        let page = store.vulnerabilities(&Default::default(), pairs, 1_000).await?;
        if page.is_empty() {
            break;
        }
        pairs += page.len();
        counted += page.iter().map(|row| row.affected).sum::<u64>();
    }
    let mut standings = (0, 0, 0);
    for figures in store.standings().await?.into_values() {
        rows += 1;
        standings = (standings.0 + figures.met, standings.1 + figures.not_met, standings.2 + figures.unknown);
    }
    if counted != affected || standings != (met, not_met, unknown) {
        return Err(format!(
            "the figures are {counted} and {standings:?}, the population has {affected} and {:?}",
            (met, not_met, unknown)
        )
        .into());
    }
    let builds = store.head(bartizan_store::log::Log::Tuple, 0).await?;
    say(
        "what there is",
        &format!(
            "{builds} builds, {rows} rules, {pairs} vulnerabilities of source packages, {:.0} on each asset; \
             the figures equal the population's own count; {}",
            affected as f64 / f64::from(population.hosts),
            goal(&format!(">= {BUILDS_GOAL} builds"), builds >= BUILDS_GOAL)
        ),
    );
    Ok(())
}

/// A check-in of a host that told everything in `turn + 1` reports.
fn heartbeat(of: &Sections, host: u32, turn: u32, checkpoint: u64) -> Heartbeat {
    Heartbeat {
        wire: VERSION,
        epoch: 1,
        sequence: u64::from(turn) + 1,
        root: of.root(host, turn),
        policy: None,
        at: now(),
        checkpoint,
    }
}

/// Packed check-ins of the first hosts after the day, with nothing new.
pub(crate) async fn checkins(fleet: &Fleet, hosts: u32) -> Result<Vec<(u32, Vec<u8>)>, Failure> {
    let head = fleet.app.web.store.checkpoint().await?.map_or(0, |head| head.size);
    let body = |host: u32| {
        let of = Sections::of(fleet.population.image(host), fleet)?;
        Ok((host, pack(&heartbeat(&of, host, REPORTS, head))?))
    };
    (0..hosts).map(body).collect()
}

/// Packed reports of the first hosts after the day: what changed in its second half is as it was.
pub(crate) fn later_reports(fleet: &Fleet, hosts: u32) -> Result<Vec<(u32, Vec<u8>)>, Failure> {
    let population = fleet.population;
    let body = |host: u32| {
        let of = Sections::of(population.image(host), fleet)?;
        let looks = (CHANGES / REPORTS..CHANGES).map(|nth| {
            let number = population.changing(host, nth);
            look(fleet, number, population.verdict(host, number, 0))
        });
        let report = report(&of, host, REPORTS + 1, looks.collect::<Result<_, Failure>>()?);
        Ok((host, pack(&Batch { wire: VERSION, reports: vec![report] })?))
    };
    (0..hosts).map(body).collect()
}

/// Every host checks in, and has nothing new.
pub(crate) async fn unchanged(fleet: &Fleet) -> Result<(), Failure> {
    let web = &fleet.app.web;
    let sections = all_sections(fleet)?;
    let peers = fleet.peers.get().ok_or("nobody has enrolled")?;
    let head = web.store.checkpoint().await?.map_or(0, |head| head.size);
    let before = volume(&web.store).await?;
    let began = Instant::now();
    each(fleet, async |host| {
        let of = sections.get(&fleet.population.image(host)).ok_or("a host without an image")?;
        let peer = peers.get(host as usize).ok_or("a host that never enrolled")?;
        let body = pack(&heartbeat(of, host, 0, head))?;
        let answer: Answer = unpack(&fleet.ask("/agent/v1/heartbeat", Some(peer), body).await?)?;
        if answer.wanted.is_empty() { Ok(()) } else { Err("an unchanged host was asked for more".into()) }
    })
    .await?;
    let taken = began.elapsed();
    let beats = volume(&web.store).await?.since(before);
    let before = volume(&web.store).await?;
    web.last_seen.flush(&web.store, "bench", now(), std::time::Duration::from_secs(30)).await?;
    let flushed = volume(&web.store).await?.since(before);
    let shards = web.store.shards(bartizan_store::log::Log::Transition).await?.len() as u64;
    if beats.rows != 0 || flushed.rows != shards {
        let (rows, flush) = (beats.rows, flushed.rows);
        return Err(
            format!("check-ins wrote {rows} rows, writing them down {flush} for {shards} shards").into()
        );
    }
    say(
        "unchanged check-ins of all",
        &format!(
            "{:.0} check-ins/s, no row; writing down who was heard: {} rows, {} bytes; {}",
            rate(fleet.population.hosts.into(), taken),
            flushed.rows,
            flushed.bytes,
            goal("no row but one for each shard", beats.rows == 0 && flushed.rows == shards)
        ),
    );
    Ok(())
}

/// A day in which 5 % of the verdicts change on every host.
pub(crate) async fn changes(fleet: &Fleet) -> Result<(), Failure> {
    let population = fleet.population;
    let sections = all_sections(fleet)?;
    let peers = fleet.peers.get().ok_or("nobody has enrolled")?;
    let before = volume(&fleet.app.web.store).await?;
    let began = Instant::now();
    for turn in 1..=REPORTS {
        each(fleet, async |host| {
            let of = sections.get(&population.image(host)).ok_or("a host without an image")?;
            let mine = (CHANGES / REPORTS * (turn - 1))..(CHANGES / REPORTS * turn);
            let looks = mine.map(|nth| {
                let number = population.changing(host, nth);
                look(fleet, number, other(population.verdict(host, number, 0)))
            });
            let looks = looks.collect::<Result<_, _>>()?;
            let peer = peers.get(host as usize).ok_or("a host that never enrolled")?;
            send(fleet, peer, report(of, host, turn, looks)).await
        })
        .await?;
    }
    let taken = began.elapsed();
    fleet.counted().await?;
    let counted = began.elapsed();
    let written = volume(&fleet.app.web.store).await?.since(before);
    let changes = u64::from(CHANGES) * u64::from(population.hosts);
    say(
        &format!("a day: {changes} verdicts change (5%)"),
        &format!(
            "{:.0} reports/s ({}); counted after {}; {} bytes written for each change",
            f64::from(population.hosts * REPORTS) / taken.as_secs_f64(),
            seconds(taken),
            seconds(counted),
            written.bytes / changes
        ),
    );
    fleet.settle().await?;
    say("  until alerts and ledger have followed", &seconds(began.elapsed()));
    Ok(())
}

/// Another verdict than this one.
const fn other(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Met => Verdict::NotMet,
        Verdict::NotMet | Verdict::Unknown(_) => Verdict::Met,
    }
}
