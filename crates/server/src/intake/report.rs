//! Reports: checked against the limits and the asset's own facts, then committed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use bartizan_core::asset::Asset;
use bartizan_core::digest::Digest;
use bartizan_core::fact::{Name, OperatingSystem, Package, Section};
use bartizan_core::monitoring::flood;
use bartizan_core::monitoring::signal::{Kind, Signal, State};

use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_store::Store;
use bartizan_store::report::{Outcome as Committed, Report, SectionBody, Verdicts};
use bartizan_store::subject::Subject;
use bartizan_store::tuple::Build;
use bartizan_wire::report::{BATCH_LIMIT, Batch, Outcome, Receipt};
use bartizan_wire::{VERSION, report, unpack_versioned};

use super::batch::Batcher;
use super::check::{Bodies, VERDICTS, check, check_facts};
use super::{Asked, Intake, answer};
use crate::nudge::Nudges;
use crate::policy::Policy;
use crate::problem::Problem;
use crate::signal::{CLONE, own_signal};
use crate::tasks::Tasks;

/// Where apt keeps what repositories offer (apt-get(8)).
const REPOSITORIES: &str = "/var/lib/apt/lists";

/// How long a signal may have been on its way.
const SPOOLED: Duration = Duration::from_days(31);

/// What an agent says of a fork is about one of these.
const FORKS: [&str; 2] = ["ledger", "orders"];

/// Reports that arrive together are one transaction.
pub(super) async fn batcher(store: &Store, nudges: &Nudges, tasks: &Tasks) -> Batcher<Report, Committed> {
    let (store, nudges) = (store.clone(), nudges.clone());
    let work = move |reports: Arc<Vec<Report>>| {
        let (store, nudges) = (store.clone(), nudges.clone());
        async move {
            let outcomes = store.commit_reports(&reports).await?;
            nudges.transitions();
            Ok(outcomes)
        }
    };
    Batcher::start("intake batcher", bartizan_store::report::BATCH_LIMIT, work, tasks).await
}

/// Takes a batch of reports. Each gets an outcome of its own: one that can't be right does not
/// hold up those behind it.
pub(super) async fn receive((state, connection, body): Asked) -> Result<Response, Problem> {
    let asset = state.admitted(&connection).await?;
    let batch: Batch = unpack_versioned(&body)?;
    if batch.reports.len() > BATCH_LIMIT {
        let (found, limit) = (batch.reports.len(), BATCH_LIMIT);
        return Err(bartizan_wire::Error::TooLong { found, limit }.into());
    }
    let now = state.ambient.now();
    let mut outcomes = Vec::with_capacity(batch.reports.len());
    for report in batch.reports {
        outcomes.push(one(&state, &asset, report, now).await?);
    }
    state.last_seen.heard(asset.number, now);
    answer(&Receipt { wire: VERSION, outcomes, pace: state.pace() })
}

async fn one(
    state: &Intake,
    asset: &Asset,
    report: report::Report,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let bodies = match check(&report) {
        Ok(bodies) => bodies,
        Err(problem) => {
            tracing::warn!(asset.id = %asset.id, report.problem = problem, "a report was refused");
            return Ok(Outcome::Refused { problem });
        }
    };
    let place = (report.epoch, report.sequence);
    let report = match accept(state, asset, report, bodies, now).await? {
        Ok(report) => report,
        Err(problem) => return Ok(Outcome::Refused { problem }),
    };
    Ok(match state.batch.commit(report).await? {
        Committed::Committed { wanted, .. } => Outcome::Committed { wanted },
        Committed::Repeat | Committed::Older => Outcome::Known,
        Committed::Retired => {
            let problem = Problem::new(bartizan_core::error::Class::Denied, "the asset was retired");
            return Err(problem.hint("enrol the host anew"));
        }
        Committed::Quarantined => return Err(super::waits(asset)),
        Committed::Clone { held } => {
            tracing::warn!(asset.id = %asset.id, report.epoch = place.0, report.sequence = place.1,
                report.held = %held, "two machines report as one asset");
            let name = &asset.name;
            let summary =
                format!("two machines report as {name}: retire the asset, or enrol one of them anew");
            let signal = own_signal(asset, Kind::Clone, CLONE, summary, now);
            state.store.append_signals(&[(asset.number, signal)]).await?;
            state.nudges.alert();
            Outcome::Clone
        }
    })
}

/// The report as the store takes it, or why it can't be right.
async fn accept(
    state: &Intake,
    asset: &Asset,
    report: report::Report,
    mut bodies: Bodies,
    now: Timestamp,
) -> Result<Result<Report, String>, Problem> {
    // Over the message itself, so that another message under the same place is told apart.
    let text = match serde_json::to_vec(&report) {
        Ok(text) => text,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (tuples, partial) = match tuples(state, asset, &bodies).await? {
        Ok(Some((tuples, partial))) => (Some(tuples), partial),
        Ok(None) => (None, false),
        Err(problem) => return Ok(Err(problem)),
    };
    let policy = state.policies.applying(asset, |policy| holds(policy, &report)).await?;
    // Signals of a first report are backlog; most reports have none, and need not ask.
    let first = !report.signals.is_empty() && state.store.asset_standing(asset.number).await?.is_none();
    let noticed = report.signals.into_iter().map(|mut noticed| {
        // A match is an event: it is no state that the agent may have found.
        noticed.backlog &= matches!(noticed.kind, Kind::Health | Kind::Canary);
        noticed.on(asset.id, asset.labels(), first)
    });
    let mut signals: Vec<Signal> = noticed.map(|signal| named(&policy, signal, now)).collect();
    for (source, loss) in report.loss.iter().filter(|(_, loss)| loss.dropped > 0) {
        let (name, all) = (&asset.name, loss.seen.max(loss.dropped));
        let summary = format!("{name} lost {} of {all} items of {source}", loss.dropped);
        signals
            .push(Signal { object: source.clone(), ..own_signal(asset, Kind::Loss, "loss", summary, now) });
    }
    // A look under another check, as one before a change of policy, counts not: another one follows.
    let ours = |look: &report::Look| policy.has_check(&look.baseline, &look.rule, &look.check);
    let looks = report.verdicts.into_iter().filter(ours).map(|look| {
        let subject = Subject { baseline: look.baseline, rule: look.rule, check: look.check };
        (subject, look.verdict, look.observed_at.min(now))
    });
    let sections = report.sections.into_iter().filter(|(name, _)| name != VERDICTS);
    let sections =
        sections.map(|(name, section)| SectionBody { body: bodies.remove(&name), name, hash: section.hash });
    Ok(Ok(Report {
        number: asset.number,
        epoch: report.epoch,
        sequence: report.sequence,
        digest: Digest::of_bytes(&text),
        root: report.root,
        observed_at: report.observed_at.min(now),
        recorded_at: now,
        sections: sections.collect(),
        verdicts: Verdicts { whole: report.whole, looks: looks.collect() },
        tuples,
        partial,
        signals,
        outcomes: report.outcomes,
    }))
}

/// Whether all that a report tells is named by documents that apply to its asset.
fn holds(policy: &Policy, report: &report::Report) -> bool {
    report.verdicts.iter().all(|look| policy.has_check(&look.baseline, &look.rule, &look.check))
        && report.signals.iter().all(|signal| is_named(policy, signal.kind, &signal.subject))
}

fn is_named(policy: &Policy, kind: Kind, subject: &str) -> bool {
    match kind {
        Kind::Fork => FORKS.contains(&subject),
        kind => policy.severity(kind, subject).is_some(),
    }
}

/// An agent's signal as it counts: as grave as its document says, and one that fires under a name which
/// no document gives the asset is only counted.
fn named(policy: &Policy, signal: Signal, now: Timestamp) -> Signal {
    // It may have waited in the spool; no agent keeps one for longer.
    let signal = Signal { at: signal.at.clamp(now.minus(SPOOLED), now), ..signal };
    // Whoever took the agent over would say that all is well: a fork is ended by a person.
    if signal.kind == Kind::Fork && signal.state != State::Firing {
        return flood::surplus(&signal);
    }
    if !is_named(policy, signal.kind, &signal.subject) && signal.state == State::Firing {
        return flood::surplus(&signal);
    }
    let severity = policy.severity(signal.kind, &signal.subject).unwrap_or(signal.severity);
    Signal { severity, ..signal }
}

/// The builds present, where the report tells of packages or of the system that they are judged by; and
/// whether some of them could not be seen.
async fn tuples(
    state: &Intake,
    asset: &Asset,
    bodies: &Bodies,
) -> Result<Result<Option<(Vec<Build>, bool)>, String>, Problem> {
    let told = |name: Name| bodies.get(name.as_str());
    if told(Name::Os).is_none() && told(Name::Packages).is_none() {
        return Ok(Ok(None));
    }
    let os = body(state, asset, Name::Os, told(Name::Os)).await?;
    let packages = body(state, asset, Name::Packages, told(Name::Packages)).await?;
    let (Some(os), Some(packages)) = (os, packages) else { return Ok(Ok(None)) };
    let wrong = |name: Name| move |error: serde_json::Error| format!("section `{}`: {error}", name.as_str());
    let os: Section<OperatingSystem> = match serde_json::from_slice(&os).map_err(wrong(Name::Os)) {
        Ok(os) => os,
        Err(problem) => return Ok(Err(problem)),
    };
    let packages: Section<Vec<Package>> =
        match serde_json::from_slice(&packages).map_err(wrong(Name::Packages)) {
            Ok(packages) => packages,
            Err(problem) => return Ok(Err(problem)),
        };
    if let Err(problem) = check_facts(&os.body, &packages.body) {
        return Ok(Err(problem));
    }
    // A database that could not be read is no host without packages.
    if os.body.id.is_empty() || (packages.body.is_empty() && !packages.unknown.is_empty()) {
        return Ok(Ok(None));
    }
    let tuples: BTreeSet<Tuple> = packages.body.iter().map(|package| Tuple::of(&os.body, package)).collect();
    // What repositories offer is no part of what is there.
    let partial = packages.unknown.iter().any(|unseen| !unseen.what.starts_with(REPOSITORIES));
    let builds = tuples.into_iter().map(Build::of).collect::<Result<_, _>>()?;
    Ok(Ok(Some((builds, partial))))
}

/// A section's body as the report tells it, else as it was told before.
async fn body<'a>(
    state: &Intake,
    asset: &Asset,
    name: Name,
    told: Option<&'a Vec<u8>>,
) -> Result<Option<Cow<'a, [u8]>>, Problem> {
    match told {
        Some(body) => Ok(Some(Cow::Borrowed(body))),
        None => Ok(state.store.asset_section(asset.number, name.as_str()).await?.map(Cow::Owned)),
    }
}
