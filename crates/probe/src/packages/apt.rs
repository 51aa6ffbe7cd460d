//! What apt's lists tell (apt-get(8), sources.list(5)): who built a package, and what could be installed.
//!
//! A repository's `Release` names its `Origin`; beside it lie the `Packages` files with what it offers.
//! They hold everything that a distribution has, so they are read once, as a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use bartizan_core::fact::{Package, PackageManager};
use flate2::bufread::MultiGzDecoder;

use super::control::{Next, Stanzas};
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

/// Sets the origin of each dpkg package that a list names with its version and architecture. Where
/// several do, the host's own distribution is taken for the builder if it is one of them: others repeat
/// its packages, it does not repeat theirs.
pub(super) fn tell_origins(root: &Root, packages: &mut [Package]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut by_name: BTreeMap<String, Vec<&mut Package>> = BTreeMap::new();
    for package in packages.iter_mut().filter(|package| package.manager == PackageManager::Dpkg) {
        by_name.entry(package.name.clone()).or_default().push(package);
    }
    if by_name.is_empty() {
        return faults;
    }
    let distribution = crate::os::read(root).map(|system| system.id).unwrap_or_default();
    let is_own = |origin: &str| {
        origin.split([' ', '-']).next().is_some_and(|word| word.eq_ignore_ascii_case(&distribution))
    };
    let mut listed: BTreeSet<(String, String)> = BTreeSet::new();
    for_each(root, &mut faults, |list, offer| {
        let (Some(origin), Some(packages)) = (&list.origin, by_name.get_mut(offer.name)) else { return };
        for package in packages {
            if package.version != offer.version || package.architecture != offer.architecture {
                continue;
            }
            let key = (package.name.clone(), package.architecture.clone());
            if listed.insert(key) || is_own(origin) {
                package.origin = Some(origin.clone());
            }
        }
    });
    faults
}

/// What the repositories offer.
pub(super) fn candidates(root: &Root) -> Collected<Candidates> {
    let mut collected = Collected::<Candidates>::default();
    for_each(root, &mut collected.faults, |_, offer| {
        let key = (offer.name.to_owned(), offer.architecture.to_owned());
        collected.items.entry(key).or_default().push(offer.version.to_owned());
    });
    for versions in collected.items.values_mut() {
        versions.sort_unstable();
        versions.dedup();
    }
    collected
}

/// Every package of every list, in the order of the lists' names.
fn for_each(root: &Root, faults: &mut Vec<Fault>, mut visit: impl FnMut(&List<'_>, Offer<'_>)) {
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
        if let Err(fault) = read(root, &list, faults, &mut visit) {
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

fn read(
    root: &Root,
    list: &List<'_>,
    faults: &mut Vec<Fault>,
    visit: &mut impl FnMut(&List<'_>, Offer<'_>),
) -> Result<(), Fault> {
    let path = format!("{FOLDER}/{}", list.name);
    let fault = |problem: &dyn std::fmt::Display| Fault::new(&path, None, problem);
    if let Compression::Unread(name) = list.compression {
        return Err(fault(&format_args!("is compressed with {name}, which is not read")));
    }
    let file = BufReader::with_capacity(BLOCK_BYTES, root.open(&path).map_err(|error| fault(&error))?);
    let unpacked: Box<dyn Read> = match list.compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
        Compression::Lz4 => Box::new(lz4::Decoder::new(file)),
        Compression::None | Compression::Unread(_) => Box::new(file),
    };
    let mut stanzas = Stanzas::new(BufReader::with_capacity(BLOCK_BYTES, unpacked.take(LIST.bytes)));
    let result = read_stanzas(&path, &mut stanzas, faults, &mut |offer| visit(list, offer));
    result.map_err(|error| fault(&format_args!("can't be read further: {error}")))
}

fn read_stanzas<R: BufRead>(
    path: &str,
    stanzas: &mut Stanzas<R>,
    faults: &mut Vec<Fault>,
    visit: &mut impl FnMut(Offer<'_>),
) -> std::io::Result<()> {
    loop {
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
                    if name.is_some() && version.is_some() && architecture.is_some() {
                        break;
                    }
                }
                if let (Some(name), Some(version), Some(architecture)) = (name, version, architecture) {
                    visit(Offer { name, version, architecture });
                    continue;
                }
                stanza.line
            }
        };
        tell(faults, || Fault::new(path, Some(Place::Line(line)), "names no package with its version"));
    }
}

#[cfg(test)]
mod tests;
