//! Debian's security tracker, as its JSON export says it
//! (<https://security-tracker.debian.org/tracker/data/json>): source package → vulnerability →
//! release → state.
//!
//! The export is some 70 MB. It is read as a stream that hands out one source package at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use bartizan_core::severity::Severity;
use bartizan_core::vulnerability::advisory::{Named, NoFix, Rating, Record, Standing, Statement};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};

use crate::error::Error;

/// The feed's name in records.
pub const FEED: &str = "debian-tracker";

/// The most vulnerabilities of one source package: the kernel has some ten thousand.
const VULNERABILITIES: usize = 200_000;

/// The most releases of one vulnerability: the tracker names some six.
const RELEASES: usize = 100;

/// The longest name, version or reason, in bytes.
const TEXT_BYTES: usize = 4 << 10;

/// Debian's releases by number (<https://www.debian.org/releases/>).
const RELEASE_NAMES: [(&str, &str); 14] = [
    ("3.0", "woody"),
    ("3.1", "sarge"),
    ("4.0", "etch"),
    ("5.0", "lenny"),
    ("6.0", "squeeze"),
    ("7", "wheezy"),
    ("8", "jessie"),
    ("9", "stretch"),
    ("10", "buster"),
    ("11", "bullseye"),
    ("12", "bookworm"),
    ("13", "trixie"),
    ("14", "forky"),
    ("15", "duke"),
];

/// One vulnerability as the tracker has it, as far as judging needs it.
#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    releases: BTreeMap<String, State>,
}

#[derive(Debug, Deserialize)]
struct State {
    status: Status,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
    /// What the words in `nodsa` come down to: `postponed`, `ignored`, or nothing.
    #[serde(default)]
    nodsa_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Resolved,
    Undetermined,
}

/// Reads the tracker's export and hands out the records of one source package after another, those
/// of one package in the order of vulnerability and release.
///
/// Fails at the first thing that is not as the tracker writes it, naming its JSON path.
pub fn read(
    reader: impl Read,
    file: &str,
    sink: &mut dyn FnMut(Vec<Record>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut input = serde_json::Deserializer::from_reader(reader);
    let mut track = serde_path_to_error::Track::new();
    let mut refused = None;
    let export = Export { file, sink, refused: &mut refused };
    let read = export.deserialize(serde_path_to_error::Deserializer::new(&mut input, &mut track));
    if let Some(error) = refused {
        return Err(error);
    }
    read.and_then(|()| input.end()).map_err(|error| Error::json(file, &track.path().to_string(), error))
}

/// The codename of a release: 12 is bookworm.
pub fn codename(number: &str) -> Option<&'static str> {
    RELEASE_NAMES.iter().find(|(of, _)| *of == number).map(|(_, codename)| *codename)
}

/// The number of a release: bookworm is 12.
pub fn number(codename: &str) -> Option<&'static str> {
    RELEASE_NAMES.iter().find(|(_, of)| *of == codename).map(|(number, _)| *number)
}

/// The whole export: handed out while it is read.
struct Export<'a> {
    file: &'a str,
    sink: &'a mut dyn FnMut(Vec<Record>) -> Result<(), Error>,
    /// The error of the sink or of a limit, which serde's own can't carry.
    refused: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Export<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Export<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(source) = map.next_key::<String>()? {
            let issues: BTreeMap<String, Issue> = map.next_value()?;
            let given = records(self.file, &source, issues).and_then(|records| (self.sink)(records));
            if let Err(error) = given {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn records(file: &str, source: &str, issues: BTreeMap<String, Issue>) -> Result<Vec<Record>, Error> {
    limit(file, "vulnerabilities of one source package", issues.len(), VULNERABILITIES)?;
    let mut records = Vec::new();
    for (id, issue) in issues {
        limit(file, "releases of one vulnerability", issue.releases.len(), RELEASES)?;
        for (release, state) in issue.releases {
            let statement = statement(&state).map_err(|problem| {
                Error::broken(file, format!("{source}.{id}.releases.{release}"), problem)
            })?;
            let longest = [source, &id, &release].map(str::len).into_iter().max().unwrap_or_default();
            limit(file, "bytes of a name", longest, TEXT_BYTES)?;
            records.push(Record {
                feed: FEED.to_owned(),
                standing: Standing::Tracker,
                vulnerabilities: if id.starts_with("CVE-") { vec![id.clone()] } else { Vec::new() },
                id: id.clone(),
                ecosystem: "debian".to_owned(),
                release,
                package: Named::Source(source.to_owned()),
                statement,
                severity: state.urgency.as_deref().and_then(rating),
            });
        }
    }
    Ok(records)
}

fn limit(file: &str, what: &'static str, is: usize, limit: usize) -> Result<(), Error> {
    if is > limit {
        return Err(Error::Limit { file: file.to_owned(), what, limit: limit as u64 });
    }
    Ok(())
}

fn statement(state: &State) -> Result<Statement, String> {
    match state.status {
        Status::Undetermined => Ok(Statement::Undetermined),
        Status::Open => Ok(Statement::Open { fix: no_fix(state) }),
        Status::Resolved => match &state.fixed_version {
            Some(version) if version.len() <= TEXT_BYTES => Ok(Statement::Fixed { version: version.clone() }),
            Some(_) => Err(format!("its fixed_version is longer than {TEXT_BYTES} bytes")),
            None => Err("it is resolved, but has no fixed_version".to_owned()),
        },
    }
}

/// Why an open issue has no fix. Without a reason it may still come, by a point release if not by an advisory.
fn no_fix(state: &State) -> NoFix {
    if state.urgency.as_deref().is_some_and(|urgency| urgency.starts_with("end-of-life")) {
        return NoFix::EndOfLife;
    }
    match state.nodsa_reason.as_deref() {
        Some("postponed") => NoFix::Postponed,
        Some("ignored") => NoFix::Ignored,
        _ => NoFix::NoneYet,
    }
}

/// Debian's urgency as a rating. Two stars mark one that was taken over from elsewhere;
/// `unimportant` is for what is no security problem in Debian's builds.
fn rating(urgency: &str) -> Option<Rating> {
    let rating = match urgency.trim_end_matches('*') {
        "unimportant" => Severity::None,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        _ => return None,
    };
    Some(Rating { rating, score_tenths: None, vector: None, version: None, source: FEED.to_owned() })
}

#[cfg(test)]
mod tests;
