//! OSV records (<https://ossf.github.io/osv-schema/>), one by one or as the zip files of osv.dev.
//!
//! Of the many ecosystems those of Linux distributions are read; records about others are passed by.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::{Read, Seek};

use bartizan_core::vulnerability::advisory::{
    End, Named, RANGES_LIMIT, Range, Rating, Record, Standing, Statement,
};
use bartizan_core::vulnerability::version::{self, Scheme};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Error;
use crate::rating;

mod ecosystem;

/// The feed's name in records.
pub const FEED: &str = "osv";

/// The largest single record, in bytes: the kernel's come to a few.
const RECORD_BYTES: u64 = 32 << 20;

/// The most entries of a zip: all of osv.dev comes to some 600,000.
const ENTRIES: usize = 4_000_000;

/// The most packages of one record: an advisory for a whole desktop has some thousand.
const PACKAGES: usize = 100_000;

/// The most versions that one package of a record lists.
const VERSIONS: usize = 100_000;

/// The most events of one range: a span has two.
const EVENTS: usize = 2 * RANGES_LIMIT;

/// One record, as far as judging needs it.
#[derive(Debug, Deserialize)]
struct Osv {
    id: String,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Vec<Severity>>,
    #[serde(default)]
    affected: Option<Vec<Affected>>,
}

#[derive(Debug, Deserialize)]
struct Severity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Debug, Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    severity: Option<Vec<Severity>>,
    #[serde(default)]
    ranges: Option<Vec<OsvRange>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct OsvRange {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Ecosystem,
    Semver,
    Git,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(IgnoredAny),
}

/// What one file of the feed says: its records, and when it was last changed, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub records: Vec<Record>,
    pub modified: Option<String>,
}

/// Reads one record; several come out of one that is about several packages or releases, none out of
/// one that was withdrawn or is about no distribution.
pub fn read(bytes: &[u8], file: &str) -> Result<Parsed, Error> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let read = Osv::deserialize(serde_path_to_error::Deserializer::new(&mut input, &mut track));
    let osv = read
        .and_then(|osv| input.end().map(|()| osv))
        .map_err(|error| Error::json(file, &track.path().to_string(), error))?;
    records(osv, file)
}

/// Reads a zip of records and hands out those of one entry after another, with the compressed bytes read so far.
pub fn read_zip(
    reader: impl Read + Seek,
    file: &str,
    sink: &mut dyn FnMut(Parsed, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let broken = |place: &str, error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::File { doing: "read", path: file.into(), source }
        }
        error => Error::broken(file, place, error),
    };
    let mut archive = zip::ZipArchive::new(reader).map_err(|error| broken("", error))?;
    if archive.len() > ENTRIES {
        return Err(Error::Limit { file: file.to_owned(), what: "entries", limit: ENTRIES as u64 });
    }
    let mut done = 0;
    let mut bytes = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| broken(&format!("entry {index}"), error))?;
        done += entry.compressed_size();
        if !entry.is_file() || !entry.name().ends_with(".json") {
            continue;
        }
        let name = format!("{file}/{}", entry.name());
        bytes.clear();
        entry
            .take(RECORD_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::broken(&name, "", format_args!("it can't be unpacked: {error}")))?;
        if bytes.len() as u64 > RECORD_BYTES {
            return Err(Error::Limit { file: name, what: "bytes of one record", limit: RECORD_BYTES });
        }
        sink(read(&bytes, &name)?, done)?;
    }
    Ok(())
}

fn records(osv: Osv, file: &str) -> Result<Parsed, Error> {
    let mut parsed = Parsed { records: Vec::new(), modified: osv.modified.clone() };
    if osv.withdrawn.is_some() {
        return Ok(parsed);
    }
    let vulnerabilities = vulnerabilities(&osv);
    let severity = osv.severity.as_deref().and_then(worst);
    let affected = osv.affected.unwrap_or_default();
    limit(file, "packages of one record", affected.len(), PACKAGES)?;
    for affected in affected {
        let Some(package) = affected.package else { continue };
        let Some(place) = ecosystem::place(&package.ecosystem) else { continue };
        let versions = affected.versions.unwrap_or_default();
        limit(file, "versions of one package", versions.len(), VERSIONS)?;
        let mut ranges = Vec::new();
        for range in affected.ranges.unwrap_or_default() {
            if range.kind != Kind::Git {
                limit(file, "events of one range", range.events.len(), EVENTS)?;
                spans(place.scheme, range.events, &mut ranges);
            }
            limit(file, "ranges of one package", ranges.len(), RANGES_LIMIT)?;
        }
        if ranges.is_empty() && versions.is_empty() {
            continue;
        }
        parsed.records.push(Record {
            feed: FEED.to_owned(),
            standing: Standing::Advisory,
            id: osv.id.clone(),
            vulnerabilities: vulnerabilities.clone(),
            ecosystem: place.ecosystem.to_owned(),
            release: place.release,
            package: if place.is_binary { Named::Binary(package.name) } else { Named::Source(package.name) },
            statement: Statement::Affected { ranges, versions },
            severity: affected.severity.as_deref().and_then(worst).or_else(|| severity.clone()),
        });
    }
    Ok(parsed)
}

/// The CVEs that the record is about: its own identifier, its aliases and what it passes on. Where
/// these give none, those it is related to: errata of the Red Hat family list theirs so.
fn vulnerabilities(osv: &Osv) -> Vec<String> {
    let cves = |lists: [&Option<Vec<String>>; 2]| -> BTreeSet<String> {
        lists.into_iter().flatten().flatten().filter(|id| id.starts_with("CVE-")).cloned().collect()
    };
    let mut named = cves([&osv.aliases, &osv.upstream]);
    if osv.id.starts_with("CVE-") {
        named.insert(osv.id.clone());
    }
    if named.is_empty() {
        named = cves([&osv.related, &None]);
    }
    named.into_iter().collect()
}

/// The events of one range as spans. They may be written in any order.
fn spans(scheme: Scheme, events: Vec<Event>, ranges: &mut Vec<Range>) {
    let mut open: Option<String> = None;
    // Where a span begins before the one that is open has ended.
    let mut again: Option<String> = None;
    for event in sorted(scheme, events) {
        let end = match event {
            Event::Introduced(version) => {
                match &open {
                    None => open = Some(version),
                    Some(introduced) if *introduced == version => {}
                    Some(_) => again = Some(version),
                }
                continue;
            }
            Event::Fixed(version) => End::Fixed(version),
            Event::LastAffected(version) => End::LastAffected(version),
            // The end of the branch that was looked at, not of the fault.
            Event::Limit(IgnoredAny) => continue,
        };
        let Some(introduced) = open.take() else { continue };
        // What is fixed and broken again by one version goes on; what began within the span is part of it.
        open = again.take().filter(|version| matches!(&end, End::Fixed(fixed) if fixed == version));
        ranges.push(span(introduced, end));
    }
    if let Some(introduced) = open {
        ranges.push(span(introduced, End::Open));
    }
}

/// Events by their versions, a beginning before an end at the same one. Where a version has no place
/// in the order, they stay as they are written, after the beginning of all.
fn sorted(scheme: Scheme, events: Vec<Event>) -> Vec<Event> {
    let has_order = |event: &Event| {
        event.is_first() || event.version().is_none_or(|it| version::compare(scheme, it, it).is_ok())
    };
    let all_ordered = events.iter().all(has_order);
    let order = |a: &Event, b: &Event| {
        let by_version = match (a.version(), b.version()) {
            (Some(a), Some(b)) if all_ordered => version::compare(scheme, a, b).unwrap_or(Ordering::Equal),
            _ => Ordering::Equal,
        };
        let by_kind = || if all_ordered { a.is_end().cmp(&b.is_end()) } else { Ordering::Equal };
        b.is_first().cmp(&a.is_first()).then_with(|| by_version.then_with(by_kind))
    };
    // A sort would panic where a scheme's own order of odd versions runs in a circle.
    let mut sorted: Vec<Event> = Vec::with_capacity(events.len());
    for event in events.into_iter().filter(|event| event.version().is_some()) {
        let place = sorted.partition_point(|held| order(held, &event) != Ordering::Greater);
        sorted.insert(place, event);
    }
    sorted
}

impl Event {
    fn version(&self) -> Option<&str> {
        match self {
            Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) => {
                Some(version)
            }
            Event::Limit(IgnoredAny) => None,
        }
    }

    /// Whether it stands before every version.
    fn is_first(&self) -> bool {
        matches!(self, Event::Introduced(version) if version == "0")
    }

    fn is_end(&self) -> bool {
        matches!(self, Event::Fixed(_) | Event::LastAffected(_))
    }
}

fn span(introduced: String, end: End) -> Range {
    Range { introduced: (introduced != "0").then_some(introduced), end }
}

/// The worst of the ratings that are given, a newer CVSS before an older.
fn worst(severities: &[Severity]) -> Option<Rating> {
    let rated = severities.iter().filter_map(|severity| {
        if severity.kind.starts_with("CVSS_") {
            rating::of_vector(&severity.score, FEED)
        } else {
            rating::of_word(&severity.score, FEED)
        }
    });
    rated.max_by(|a, b| (&a.version, a.rating, a.score_tenths).cmp(&(&b.version, b.rating, b.score_tenths)))
}

fn limit(file: &str, what: &'static str, is: usize, limit: usize) -> Result<(), Error> {
    if is > limit {
        return Err(Error::Limit { file: file.to_owned(), what, limit: limit as u64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
