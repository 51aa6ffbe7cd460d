//! Installed packages of apk (apk(5), the installed database).

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use bartizan_core::fact::{Package, PackageManager};

use super::control::{Next, NoField, Stanza, Stanzas};
use super::tell;
use crate::fault::{Collected, Fault, Place};
use crate::root::{Error, Limit, Root};

/// Where the database stands: the first as it always was, the second since apk-tools 3 on a merged /usr.
const FILES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// Ten thousand packages with their files.
const DATABASE: Limit = Limit { name: "apk database", bytes: 512 << 20 };

/// What is read at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Why a record says nothing we can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is no field")]
    NoField(u64),
    #[error("the record has no `{0}`")]
    Absent(char),
    #[error("`{0}` is not UTF-8")]
    NotText(char),
}

pub(super) fn read(root: &Root) -> Result<Collected<Vec<Package>>, Error> {
    let [first, second] = FILES;
    match read_file(root, first) {
        Err(Error::Missing { .. }) => read_file(root, second),
        other => other,
    }
}

fn read_file(root: &Root, path: &str) -> Result<Collected<Vec<Package>>, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let file = root.open(path)?;
    if file.metadata().map_err(failed)?.len() > DATABASE.bytes {
        return Err(Error::Limit { path: path.into(), limit: DATABASE });
    }
    let mut collected = Collected::<Vec<Package>>::default();
    let mut stanzas = Stanzas::new(BufReader::with_capacity(BLOCK_BYTES, file.take(DATABASE.bytes)));
    loop {
        let (line, problem) = match stanzas.next().map_err(failed)? {
            Next::End => return Ok(collected),
            Next::TooLong(line) => (line, "the record is longer than may be read of one".to_owned()),
            Next::Stanza(stanza) => match package(stanza) {
                Ok(package) => {
                    collected.items.push(package);
                    continue;
                }
                Err(Problem::NoField(line)) => (line, Problem::NoField(line).to_string()),
                Err(problem) => (stanza.line, problem.to_string()),
            },
        };
        tell(&mut collected.faults, || Fault::new(path, Some(Place::Line(line)), problem));
    }
}

fn package(stanza: Stanza<'_>) -> Result<Package, Problem> {
    let (mut name, mut version, mut architecture, mut source, mut provides) = (None, None, None, None, None);
    for field in stanza.fields() {
        let field = field.map_err(|NoField(line)| Problem::NoField(line))?;
        let (letter, place) = match field.name {
            b"P" => ('P', &mut name),
            b"V" => ('V', &mut version),
            b"A" => ('A', &mut architecture),
            b"o" => ('o', &mut source),
            b"p" => ('p', &mut provides),
            _ => continue,
        };
        let value = std::str::from_utf8(field.value).map_err(|_| Problem::NotText(letter))?;
        *place = (!value.is_empty()).then_some(value);
    }
    let name = name.ok_or(Problem::Absent('P'))?;
    let version = version.ok_or(Problem::Absent('V'))?;
    let provides: BTreeSet<String> = provides.into_iter().flat_map(provided).collect();
    Ok(Package {
        name: name.to_owned(),
        architecture: architecture.ok_or(Problem::Absent('A'))?.to_owned(),
        version: version.to_owned(),
        source: source.unwrap_or(name).to_owned(),
        // All packages of one build carry its version.
        source_version: version.to_owned(),
        manager: PackageManager::Apk,
        origin: None,
        provides: provides.into_iter().collect(),
    })
}

/// The package names among what is provided, without their versions. What has a colon is a library
/// (`so:`), a program (`cmd:`) or the like.
fn provided(field: &str) -> impl Iterator<Item = String> {
    let names = field.split_ascii_whitespace().filter_map(|entry| entry.split(['=', '<', '>', '~']).next());
    names.filter(|name| !name.is_empty() && !name.contains(':')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree;

    #[test]
    fn a_record_gives_its_package_with_its_origin_as_the_source() {
        let text = "C:Q1abc=\nP:libalpha\nV:3.1.4-r5\nA:x86_64\nS:10\nT:A library\no:alpha\nm:Some One\n\
                    p:so:libalpha.so.3=3 alpha-libs=3.1.4-r5 virtual\nF:lib\nR:libalpha.so.3\na:0:0:755\nZ:Q1x=\n\n\
                    P:musl\nV:1.2.5-r0\nA:x86_64\n\n";
        for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
            let Collected { items, faults } = read(&tree::root(&[(path, text)])).unwrap();
            let alpha = Package {
                name: "libalpha".to_owned(),
                architecture: "x86_64".to_owned(),
                version: "3.1.4-r5".to_owned(),
                source: "alpha".to_owned(),
                source_version: "3.1.4-r5".to_owned(),
                manager: PackageManager::Apk,
                origin: None,
                provides: vec!["alpha-libs".to_owned(), "virtual".to_owned()],
            };
            assert_eq!((items.first(), faults), (Some(&alpha), vec![]));
            assert_eq!((items[1].source.as_str(), items.len()), ("musl", 2));
        }
        assert!(matches!(read(&tree::root(&[])), Err(Error::Missing { .. })));
    }

    #[test]
    fn a_broken_record_costs_itself_and_is_told_with_its_line() {
        let sound = "P:a\nV:1-r0\nA:noarch\n\n";
        for (record, fault) in [
            ("P:x\nA:noarch\n", "5: the record has no `V`"),
            ("V:1\nA:noarch\n", "5: the record has no `P`"),
            ("P:x\nV:1\n", "5: the record has no `A`"),
            ("P:x\nnonsense\n", "6: is no field"),
        ] {
            let text = format!("{sound}{record}\n{sound}");
            let Collected { items, faults } = read(&tree::root(&[("lib/apk/db/installed", &text)])).unwrap();
            assert_eq!((items.len(), faults.len()), (2, 1));
            assert_eq!(faults[0].to_string(), format!("/lib/apk/db/installed:{fault}"));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "([PVAopFRx]:[ a-z:=<>~]{0,12}\n|\n|[^\n]{0,9}\n){0,12}") {
            read(&tree::root(&[("lib/apk/db/installed", &text)])).unwrap();
        }
    }
}
