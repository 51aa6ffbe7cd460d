//! What apt's lists tell (apt-get(8), sources.list(5)): who built a package, and what could be installed.
//!
//! A repository's `Release` names its `Origin`; beside it lie the `Packages` files with what it offers.
//! They hold everything that a distribution has, so they are read once, as a stream, and only what is
//! installed is kept.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read};

use bartizan_core::fact::{Package, PackageManager};
use flate2::bufread::MultiGzDecoder;

use super::control::{Next, Stanzas};
use super::unpack::Unpacked;
use super::{Candidates, lz4, tell};
use crate::fault::{Collected, Fault, Place};
use crate::root::{Error, Limit, Root};

const FOLDER: &str = "/var/lib/apt/lists";

/// Some ten times what Debian has, unpacked.
const LIST: Limit = Limit { name: "apt list", bytes: 1 << 30 };

/// What is read of a `Release`: its first lines say whose it is, the digests of its files follow.
const RELEASE_BYTES: u64 = 16 << 10;

/// What is read at once.
const BLOCK_BYTES: usize = 128 << 10;

/// One `Packages` file.
struct List<'a> {
    name: &'a str,
    compression: Compression,
    /// Whose it is, by the `Release` of its repository.
    origin: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Lz4,
    /// Another one, by the end of its name.
    Unread(&'static str),
}

/// How a list's name ends.
const SUFFIXES: [(&str, Compression); 8] = [
    ("", Compression::None),
    (".gz", Compression::Gzip),
    (".lz4", Compression::Lz4),
    (".xz", Compression::Unread("xz")),
    (".zst", Compression::Unread("zstd")),
    (".bz2", Compression::Unread("bzip2")),
    (".lzma", Compression::Unread("lzma")),
    (".uncompressed", Compression::None),
];

/// One package that a repository offers.
struct Offer<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
}

/// What is asked of the lists.
struct Sieve<'a> {
    /// The packages of dpkg, by name.
    installed: HashMap<String, Vec<&'a mut Package>>,
    /// The host's own distribution.
    distribution: String,
    /// Names and architectures of which a builder is known from a list.
    listed: BTreeSet<(String, String)>,
    candidates: Candidates,
}

impl Sieve<'_> {
    /// Notes that a version is offered, and the origin of the packages that are this very one. Where
    /// several repositories list it, the host's own distribution is taken for the builder if it is one of
    /// them: others repeat its packages, it does not repeat theirs.
    fn take(&mut self, origin: Option<&str>, offer: &Offer<'_>) {
        let Some(packages) = self.installed.get_mut(offer.name) else { return };
        let key = (offer.name.to_owned(), offer.architecture.to_owned());
        self.candidates.entry(key.clone()).or_default().push(offer.version.to_owned());
        let Some(origin) = origin else { return };
        let word = origin.split([' ', '-']).next();
        let is_own = word.is_some_and(|word| word.eq_ignore_ascii_case(&self.distribution));
        for package in packages {
            let is_it = package.version == offer.version && package.architecture == offer.architecture;
            if is_it && (self.listed.insert(key.clone()) || is_own) {
                package.origin = Some(origin.to_owned());
            }
        }
    }
}

/// Sets the origin of each dpkg package that a list names with its version and architecture, and gives
/// what the repositories offer under the names of those packages.
pub(super) fn survey(root: &Root, packages: &mut [Package]) -> Collected<Candidates> {
    let mut collected = Collected::default();
    let mut installed: HashMap<String, Vec<&mut Package>> = HashMap::new();
    for package in packages.iter_mut().filter(|package| package.manager == PackageManager::Dpkg) {
        installed.entry(package.name.clone()).or_default().push(package);
    }
    if installed.is_empty() {
        return collected;
    }
    let distribution = crate::os::read(root).map(|system| system.id).unwrap_or_default();
    let (listed, candidates) = (BTreeSet::new(), Candidates::new());
    let mut sieve = Sieve { installed, distribution, listed, candidates };
    for_each(root, &mut collected.faults, &mut sieve);
    collected.items = sieve.candidates;
    for versions in collected.items.values_mut() {
        versions.sort_unstable();
        versions.dedup();
    }
    collected
}

/// Puts every list through the sieve, in the order of their names.
fn for_each(root: &Root, faults: &mut Vec<Fault>, sieve: &mut Sieve<'_>) {
    let names = match root.names(FOLDER) {
        Ok(names) => names,
        Err(Error::Missing { .. }) => return,
        Err(error) => {
            faults.push(Fault::new(FOLDER, None, error));
            return;
        }
    };
    let releases: Vec<(&str, Option<String>)> = names
        .iter()
        .filter_map(|name| {
            let stem = name.strip_suffix("InRelease").or_else(|| name.strip_suffix("Release"))?;
            stem.ends_with('_').then(|| (stem, origin(root, name, faults)))
        })
        .collect();
    for name in &names {
        let Some(compression) = compression(name) else { continue };
        // The longest that fits: of a repository within another's address, its own.
        let release = releases.iter().filter(|(stem, _)| name.starts_with(stem));
        let origin = release.max_by_key(|(stem, _)| stem.len()).and_then(|(_, origin)| origin.clone());
        let list = List { name, compression, origin };
        if let Err(fault) = read(root, &list, faults, sieve) {
            tell(faults, || fault);
        }
    }
}

fn compression(name: &str) -> Option<Compression> {
    let (stem, end) = name.rsplit_once('_').unwrap_or(("", name));
    let suffix = end.strip_prefix("Packages")?;
    let known = SUFFIXES.iter().find(|(known, _)| *known == suffix)?.1;
    (!stem.is_empty()).then_some(known)
}

/// Whose a repository is: its `Origin`, else its `Label`, else the host it is fetched from.
fn origin(root: &Root, name: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let path = format!("{FOLDER}/{name}");
    let mut bytes = Vec::new();
    let read = root.open(&path).and_then(|file| {
        let failed = |source| Error::Read { path: path.clone().into(), source };
        file.take(RELEASE_BYTES).read_to_end(&mut bytes).map_err(failed)
    });
    if let Err(error) = read {
        tell(faults, || Fault::new(&path, None, error));
        return None;
    }
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let site = || Some(name.split_once('_')?.0.to_owned());
    field("Origin").or_else(|| field("Label")).or_else(site)
}

fn read(root: &Root, list: &List<'_>, faults: &mut Vec<Fault>, sieve: &mut Sieve<'_>) -> Result<(), Fault> {
    let path = format!("{FOLDER}/{}", list.name);
    let fault = |problem: &dyn std::fmt::Display| Fault::new(&path, None, problem);
    if let Compression::Unread(name) = list.compression {
        return Err(fault(&format_args!("is compressed with {name}, which is not read")));
    }
    let file = BufReader::with_capacity(BLOCK_BYTES, root.open(&path).map_err(|error| fault(&error))?);
    let unpacked: Box<dyn Read + Send> = match list.compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
        Compression::Lz4 => Box::new(lz4::Decoder::new(file)),
        Compression::None | Compression::Unread(_) => Box::new(file),
    };
    // One thread unpacks while the other reads: a distribution's whole list lies in one file.
    let result = std::thread::scope(|scope| {
        let unpacked = Unpacked::start(scope, unpacked.take(LIST.bytes))?;
        let mut stanzas = Stanzas::new(unpacked);
        read_stanzas(&path, &mut stanzas, faults, list.origin.as_deref(), sieve)
    });
    result.map_err(|error| fault(&format_args!("can't be read further: {error}")))
}

fn read_stanzas<R: BufRead>(
    path: &str,
    stanzas: &mut Stanzas<R>,
    faults: &mut Vec<Fault>,
    origin: Option<&str>,
    sieve: &mut Sieve<'_>,
) -> std::io::Result<()> {
    loop {
        stanzas.skip(b"Package", |name| {
            std::str::from_utf8(name).map_or(true, |name| sieve.installed.contains_key(name))
        })?;
        let line = match stanzas.next()? {
            Next::End => return Ok(()),
            Next::TooLong(line) => line,
            Next::Stanza(stanza) => {
                let (mut name, mut version, mut architecture) = (None, None, None);
                for field in stanza.fields().flatten() {
                    match field.name {
                        b"Package" => name = std::str::from_utf8(field.value).ok(),
                        b"Version" => version = std::str::from_utf8(field.value).ok(),
                        b"Architecture" => architecture = std::str::from_utf8(field.value).ok(),
                        _ => continue,
                    }
                    // They stand among the first; what follows is nine tenths of the list.
                    let is_asked = name.is_none_or(|name| sieve.installed.contains_key(name));
                    if !is_asked || name.is_some() && version.is_some() && architecture.is_some() {
                        break;
                    }
                }
                match (name, version, architecture) {
                    (Some(name), _, _) if !sieve.installed.contains_key(name) => continue,
                    (Some(name), Some(version), Some(architecture)) => {
                        sieve.take(origin, &Offer { name, version, architecture });
                        continue;
                    }
                    _ => stanza.line,
                }
            }
        };
        tell(faults, || Fault::new(path, Some(Place::Line(line)), "names no package with its version"));
    }
}

#[cfg(test)]
mod tests;
