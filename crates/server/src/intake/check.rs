//! Whether what an agent sent can be right, before any of it is taken.

use std::collections::BTreeMap;

use bartizan_core::digest::Digest;
use bartizan_core::fact::{Name, OperatingSystem, Package};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::order::{Ending, STEPS_LIMIT, StepOutcome};
use bartizan_wire::report::{
    LOSS_LIMIT, OUTCOMES_LIMIT, PACKAGES_LIMIT, Report, SECTIONS_LIMIT, SIGNALS_LIMIT, TEXT_BYTES_LIMIT,
    VERDICTS_LIMIT, WORD_BYTES_LIMIT,
};

/// The pseudo-section whose hash is over all verdicts; it never has a body.
pub(super) const VERDICTS: &str = "verdicts";

/// The bodies of a report's sections as canonical JSON, by name: written once, since a host's packages are long.
pub(super) type Bodies = BTreeMap<String, Vec<u8>>;

/// Whether a report keeps the limits, and each body is what its hash says.
pub(super) fn check(report: &Report) -> Result<Bodies, String> {
    let within = |what: &str, found: usize, limit: usize| {
        if found > limit { Err(format!("it has {found} {what}; the limit is {limit}")) } else { Ok(()) }
    };
    within("sections", report.sections.len(), SECTIONS_LIMIT)?;
    within("verdicts", report.verdicts.len(), VERDICTS_LIMIT)?;
    within("signals", report.signals.len(), SIGNALS_LIMIT)?;
    within("outcomes", report.outcomes.len(), OUTCOMES_LIMIT)?;
    within("sources that lost something", report.loss.len(), LOSS_LIMIT)?;
    // What the store can't hold would fail the reports of others that are committed together with it.
    let generations = report.outcomes.iter().map(|outcome| outcome.generation);
    let mut counters = [report.epoch, report.sequence].into_iter().chain(generations);
    if let Some(counter) = counters.find(|counter| i64::try_from(*counter).is_err()) {
        return Err(format!("{counter} is more than anything is counted to"));
    }
    let sources = report.loss.keys();
    let looks = report.verdicts.iter().flat_map(|look| [&look.baseline, &look.rule]);
    let signals = report.signals.iter().flat_map(|signal| [&signal.subject, &signal.object, &signal.summary]);
    let mut told = Vec::new();
    for outcome in &report.outcomes {
        match &outcome.ending {
            Ending::Refused(reason) => told.push(reason),
            Ending::CarriedOut(steps) => {
                within("steps of one order", steps.len(), STEPS_LIMIT)?;
                told.extend(steps.iter().filter_map(StepOutcome::text));
            }
        }
    }
    for text in sources.chain(looks).chain(signals).chain(told) {
        within("bytes in one text", text.len(), TEXT_BYTES_LIMIT)?;
    }
    for look in &report.verdicts {
        if [&look.baseline, &look.rule].into_iter().any(|name| name.chars().any(char::is_control)) {
            return Err(format!("the rule `{}` holds control characters", look.rule.escape_debug()));
        }
    }
    let mut bodies = Bodies::new();
    for (name, section) in &report.sections {
        if name != VERDICTS && name.parse::<Name>().is_err() {
            return Err(format!("there is no section `{}`", name.escape_debug()));
        }
        let Some(body) = &section.body else { continue };
        let body = body.to_canonical().into_bytes();
        if Digest::of_bytes(&body) != section.hash {
            return Err(format!("the body of section `{name}` has another digest than it says"));
        }
        bodies.insert(name.clone(), body);
    }
    // Not what the server says of itself: an agent can't report absence, or that it was cloned.
    let agents = [Kind::Health, Kind::Detection, Kind::Drift, Kind::Canary, Kind::Fork];
    match report.signals.iter().find(|signal| !agents.contains(&signal.kind)) {
        Some(signal) => Err(format!("an agent does not notice a signal of kind {}", signal.kind)),
        None => Ok(bodies),
    }
}

/// Whether a host can have this system and these packages: they are numbered for the whole fleet, and what an
/// index can't hold would fail the reports of others.
pub(super) fn check_facts(system: &OperatingSystem, packages: &[Package]) -> Result<(), String> {
    if packages.len() > PACKAGES_LIMIT {
        return Err(format!("it has {} packages; the limit is {PACKAGES_LIMIT}", packages.len()));
    }
    let good = |text: &str| text.len() <= WORD_BYTES_LIMIT && !text.chars().any(char::is_control);
    let of_system = [&system.id, &system.version_id, &system.codename];
    if !of_system.into_iter().all(|text| good(text)) {
        return Err(format!(
            "section `os`: its words take at most {WORD_BYTES_LIMIT} bytes and no control characters"
        ));
    }
    for package in packages {
        let Package { name, architecture, version, source, source_version, origin, .. } = package;
        let texts = [name, architecture, version, source, source_version];
        if !texts.into_iter().chain(origin).all(|text| good(text)) {
            let shown: String = name.escape_debug().take(80).collect();
            return Err(format!(
                "section `packages`: the words of `{shown}` take at most {WORD_BYTES_LIMIT} bytes and no \
                 control characters"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::fact::PackageManager;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            architecture: "amd64".to_owned(),
            version: "1".to_owned(),
            source: name.to_owned(),
            source_version: "1".to_owned(),
            manager: PackageManager::Dpkg,
            origin: None,
            provides: Vec::new(),
        }
    }

    #[test]
    fn packages_are_so_many_and_their_words_short_and_plain() {
        let system = OperatingSystem::default();
        let long = "x".repeat(WORD_BYTES_LIMIT + 1);
        let table = [
            (vec![package("bash")], true),
            (vec![package("bash"), package("b\u{0}sh")], false),
            (vec![package("b\nsh")], false),
            (vec![package(&long)], false),
            (vec![Package { origin: Some(long.clone()), ..package("bash") }], false),
            (vec![package("bash"); PACKAGES_LIMIT], true),
            (vec![package("bash"); PACKAGES_LIMIT + 1], false),
        ];
        for (number, (packages, good)) in table.into_iter().enumerate() {
            assert_eq!(check_facts(&system, &packages).is_ok(), good, "{number}");
        }
        let strange = OperatingSystem { id: "deb\u{0}ian".to_owned(), ..OperatingSystem::default() };
        assert!(check_facts(&strange, &[]).is_err());
    }
}
