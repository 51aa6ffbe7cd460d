//! Installed packages of dpkg (dpkg(1), deb-src-control(5)).

use std::collections::BTreeSet;
use std::io::{BufReader, Read};
use std::path::Path;

use bartizan_core::fact::{Package, PackageManager};

use super::control::{Next, NoField, Stanza, Stanzas};
use super::tell;
use crate::fault::{Collected, Fault, Place};
use crate::root::{Error, Limit, Root};

/// The database.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// What images without a package manager have: one file for each package.
const FOLDER: &str = "/var/lib/dpkg/status.d";

/// A hundred thousand packages.
const DATABASE: Limit = Limit { name: "dpkg status", bytes: 512 << 20 };

/// What is read at once.
const BLOCK_BYTES: usize = 64 << 10;

/// How a record with no `Status` is to be understood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unstated {
    /// In the database it is broken.
    Broken,
    /// In a folder of them it stands for a package that is there.
    Installed,
}

/// Why a record says nothing we can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is no field")]
    NoField(u64),
    #[error("the record has no `{0}`")]
    Absent(&'static str),
    #[error("the record has two `{0}`")]
    Twice(&'static str),
    #[error("`{0}` is not UTF-8")]
    NotText(&'static str),
    #[error("`{1}` is no {0}")]
    Malformed(&'static str, String),
    #[error("`{0}` is half installed: what of it is there is not known")]
    HalfInstalled(String),
}

/// The fields that count, as they are written.
#[derive(Default)]
struct Record<'a> {
    name: Option<&'a str>,
    status: Option<&'a str>,
    architecture: Option<&'a str>,
    version: Option<&'a str>,
    source: Option<&'a str>,
    provides: Option<&'a str>,
    origin: Option<&'a str>,
}

/// The packages whose files are on disk, with the origin that their own record tells.
pub(super) fn read(root: &Root) -> Result<Collected<Vec<Package>>, Error> {
    let mut collected = Collected::default();
    let database = read_file(root, STATUS, Unstated::Broken, &mut collected);
    let names = match root.names(FOLDER) {
        Ok(names) => names,
        Err(Error::Missing { .. }) => return database.map(|()| collected),
        Err(error) => {
            collected.faults.push(Fault::new(FOLDER, None, error));
            Vec::new()
        }
    };
    match database {
        Ok(()) | Err(Error::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    // Beside each record may lie the digests of the package's files.
    for name in names.iter().filter(|name| !name.ends_with(".md5sums")) {
        let path = format!("{FOLDER}/{name}");
        if let Err(error) = read_file(root, &path, Unstated::Installed, &mut collected) {
            tell(&mut collected.faults, || Fault::new(&path, None, error));
        }
    }
    Ok(collected)
}

fn read_file(
    root: &Root,
    path: &str,
    unstated: Unstated,
    into: &mut Collected<Vec<Package>>,
) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let file = root.open(path)?;
    if file.metadata().map_err(failed)?.len() > DATABASE.bytes {
        return Err(Error::Limit { path: Path::new(path).to_owned(), limit: DATABASE });
    }
    let mut stanzas = Stanzas::new(BufReader::with_capacity(BLOCK_BYTES, file.take(DATABASE.bytes)));
    loop {
        let (line, result) = match stanzas.next().map_err(failed)? {
            Next::Stanza(stanza) => (stanza.line, package(stanza, unstated)),
            Next::TooLong(line) => {
                (line, Err(Problem::Malformed("record", "more than may be read of one".to_owned())))
            }
            Next::End => return Ok(()),
        };
        match result {
            Ok(package) => into.items.extend(package),
            Err(problem) => {
                let line = if let Problem::NoField(line) = problem { line } else { line };
                tell(&mut into.faults, || Fault::new(path, Some(Place::Line(line)), problem));
            }
        }
    }
}

/// The package of one record; none where its files are not on disk.
fn package(stanza: Stanza<'_>, unstated: Unstated) -> Result<Option<Package>, Problem> {
    let record = record(stanza)?;
    let name = record.name.ok_or(Problem::Absent("Package"))?;
    match record.status {
        Some(status) if !is_on_disk(name, status)? => return Ok(None),
        None if unstated == Unstated::Broken => return Err(Problem::Absent("Status")),
        _ => {}
    }
    let version = word("Version", record.version)?;
    let (source, source_version) = source(record.source, word("Package", Some(name))?, version);
    let provides: BTreeSet<String> = record.provides.into_iter().flat_map(provided).collect();
    Ok(Some(Package {
        name: name.to_owned(),
        architecture: word("Architecture", record.architecture)?.to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        source_version: source_version.to_owned(),
        manager: PackageManager::Dpkg,
        origin: marked(version).or(record.origin).map(str::to_owned),
        provides: provides.into_iter().collect(),
    }))
}

fn record(stanza: Stanza<'_>) -> Result<Record<'_>, Problem> {
    let mut record = Record::default();
    for field in stanza.fields() {
        let field = field.map_err(|NoField(line)| Problem::NoField(line))?;
        let (name, place) = match field.name.to_ascii_lowercase().as_slice() {
            b"package" => ("Package", &mut record.name),
            b"status" => ("Status", &mut record.status),
            b"architecture" => ("Architecture", &mut record.architecture),
            b"version" => ("Version", &mut record.version),
            b"source" => ("Source", &mut record.source),
            b"provides" => ("Provides", &mut record.provides),
            b"origin" => ("Origin", &mut record.origin),
            _ => continue,
        };
        let value = std::str::from_utf8(field.value).map_err(|_| Problem::NotText(name))?;
        if !value.is_empty() && place.replace(value).is_some() {
            return Err(Problem::Twice(name));
        }
    }
    Ok(record)
}

/// A field of one word.
fn word<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, Problem> {
    let value = value.ok_or(Problem::Absent(field))?;
    if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problem::Malformed(field, value.to_owned()));
    }
    Ok(value)
}

/// Whether the third word of a `Status` is a state in which the package's files are on disk. What is
/// wanted of the package (`install`, `hold`, `deinstall` …) doesn't change that.
fn is_on_disk(name: &str, status: &str) -> Result<bool, Problem> {
    let mut words = status.split_ascii_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some(_), Some(state), None) => match state {
            "installed" | "unpacked" | "half-configured" | "triggers-awaited" | "triggers-pending" => {
                Ok(true)
            }
            "not-installed" | "config-files" => Ok(false),
            "half-installed" => Err(Problem::HalfInstalled(name.to_owned())),
            _ => Err(Problem::Malformed("Status", status.to_owned())),
        },
        _ => Err(Problem::Malformed("Status", status.to_owned())),
    }
}

/// The source package and its version, from `Source: name (version)`: either part may be left out
/// where it is the binary package's own.
fn source<'a>(field: Option<&'a str>, name: &'a str, version: &'a str) -> (&'a str, &'a str) {
    let Some(field) = field else { return (name, version) };
    let (source, rest) = field.split_once('(').unwrap_or((field, ""));
    let given = rest.split(')').next().unwrap_or_default().trim();
    let source = source.split_ascii_whitespace().next().unwrap_or(name);
    (source, if given.is_empty() { version } else { given })
}

/// The names in a `Provides`, without their versions and architectures.
fn provided(field: &str) -> impl Iterator<Item = String> {
    field.split(',').filter_map(|entry| {
        let name =
            entry.split(|c: char| c.is_whitespace() || matches!(c, '(' | ':')).find(|word| !word.is_empty());
        name.map(str::to_owned)
    })
}

/// The builder that a version's own mark names, where no one else uses that mark.
fn marked(version: &str) -> Option<&'static str> {
    let digit_after = |mark: &str| {
        let rest = version.split_once(mark)?.1;
        rest.starts_with(|c: char| c.is_ascii_digit()).then_some(rest)
    };
    if digit_after(".pgdg").is_some() {
        return Some("apt.postgresql.org");
    }
    if version.contains("nodesource") {
        return Some("NodeSource");
    }
    if version.contains("+maria~") {
        return Some("MariaDB");
    }
    // Debian's own backports end `~bpo12+1`; others write `~bpo` with a dotted release.
    let (release, _) = digit_after("~bpo")?.split_once('+')?;
    release.bytes().all(|byte| byte.is_ascii_digit()).then_some("Debian Backports")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree;

    fn read_text(text: &str) -> Collected<Vec<Package>> {
        read(&tree::root(&[("var/lib/dpkg/status", text)])).unwrap()
    }

    fn names(collected: &Collected<Vec<Package>>) -> Vec<&str> {
        collected.items.iter().map(|package| package.name.as_str()).collect()
    }

    #[test]
    fn a_record_gives_its_package_with_its_source() {
        let collected = read_text(
            "Package: libalpha2\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\n\
             Source: alpha (1:2.0-1)\nVersion: 1:2.0-1+b3\nOrigin: Example\n\
             Provides: libalpha (= 2.0), alpha-abi-2,\n libalpha:any\n\
             Description: first\n second: line\n .\nHomepage: https://example.org\n",
        );
        let package = Package {
            name: "libalpha2".to_owned(),
            architecture: "amd64".to_owned(),
            version: "1:2.0-1+b3".to_owned(),
            source: "alpha".to_owned(),
            source_version: "1:2.0-1".to_owned(),
            manager: PackageManager::Dpkg,
            origin: Some("Example".to_owned()),
            provides: vec!["alpha-abi-2".to_owned(), "libalpha".to_owned()],
        };
        assert_eq!(collected, Collected { items: vec![package], faults: vec![] });
    }

    #[test]
    fn a_source_is_understood_as_dpkg_does() {
        for (field, expected) in [
            (None, ("own", "1-1")),
            (Some("other"), ("other", "1-1")),
            (Some("other (2-1)"), ("other", "2-1")),
            (Some("other(2-1)"), ("other", "2-1")),
            (Some("other ()"), ("other", "1-1")),
            (Some("other (2-1"), ("other", "2-1")),
            (Some("(2-1)"), ("own", "2-1")),
        ] {
            assert_eq!(source(field, "own", "1-1"), expected, "{field:?}");
        }
    }

    #[test]
    fn only_packages_whose_files_are_on_disk_count() {
        for (status, counts) in [
            ("install ok installed", true),
            ("hold ok installed", true),
            ("deinstall ok installed", true),
            ("install reinstreq installed", true),
            ("install ok unpacked", true),
            ("install ok half-configured", true),
            ("install ok triggers-awaited", true),
            ("install ok triggers-pending", true),
            ("deinstall ok config-files", false),
            ("unknown ok not-installed", false),
        ] {
            let text = format!("Package: a\nStatus: {status}\nArchitecture: all\nVersion: 1\n");
            let collected = read_text(&text);
            assert_eq!((collected.items.len() == 1, collected.faults), (counts, vec![]), "{status}");
        }
    }

    #[test]
    fn a_broken_record_costs_itself_and_is_told_with_its_line() {
        let sound = |name: &str| {
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n")
        };
        for (record, fault) in [
            (
                "Package: x\nStatus: install ok installed\nArchitecture: all\n",
                "6: the record has no `Version`",
            ),
            ("Package: x\nStatus: install ok installed\nVersion: 1\n", "6: the record has no `Architecture`"),
            ("Status: install ok installed\nVersion: 1\n", "6: the record has no `Package`"),
            ("Package: x\nVersion: 1\n", "6: the record has no `Status`"),
            ("Package: x\nStatus: install ok\n", "6: `install ok` is no Status"),
            ("Package: x\nStatus: install ok odd\n", "6: `install ok odd` is no Status"),
            (
                "Package: x\nStatus: install ok half-installed\n",
                "6: `x` is half installed: what of it is there is not known",
            ),
            ("Package: x\nVersion: 1\nVersion: 2\n", "6: the record has two `Version`"),
            ("Package: x\nnonsense\nVersion: 2\n", "7: is no field"),
            ("Package: x\nStatus: install ok installed\nVersion: 1 2\n", "6: `1 2` is no Version"),
        ] {
            let collected = read_text(&format!("{}{record}\n{}", sound("a"), sound("b")));
            assert_eq!(names(&collected), ["a", "b"], "{record}");
            let faults: Vec<_> = collected.faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults, [format!("/var/lib/dpkg/status:{fault}")]);
        }
    }

    #[test]
    fn bytes_that_are_not_text_harm_only_a_field_that_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("var/lib/dpkg")).unwrap();
        let mut bytes = b"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nDescription: caf\xe9\n\n".to_vec();
        bytes.extend(b"Package: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1\xe9\n\n");
        bytes.extend(b"Package: c\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n");
        std::fs::write(folder.path().join("var/lib/dpkg/status"), bytes).unwrap();
        let collected = read(&Root::at(&folder).unwrap()).unwrap();
        assert_eq!(names(&collected), ["a", "c"]);
        assert_eq!(collected.faults[0].to_string(), "/var/lib/dpkg/status:7: `Version` is not UTF-8");
    }

    #[test]
    fn an_image_without_a_package_manager_has_a_file_for_each_package() {
        let root = tree::root(&[
            ("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nArchitecture: all\nVersion: 2024a\n"),
            ("var/lib/dpkg/status.d/tzdata.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/x\n"),
            ("var/lib/dpkg/status.d/odd", "-> /nowhere"),
        ]);
        let collected = read(&root).unwrap();
        assert_eq!(names(&collected), ["tzdata"]);
        assert_eq!(collected.faults[0].file, "/var/lib/dpkg/status.d/odd");
        assert!(matches!(read(&tree::root(&[])), Err(Error::Missing { .. })));
    }

    #[test]
    fn a_version_tells_its_builder_only_by_a_mark_that_no_one_else_uses() {
        for (version, origin) in [
            ("16.4-1.pgdg12+1", Some("apt.postgresql.org")),
            ("1.pgdgx", None),
            ("20.20.2-1nodesource1", Some("NodeSource")),
            ("1:11.4.2+maria~deb12", Some("MariaDB")),
            ("2.40-1~bpo12+1", Some("Debian Backports")),
            ("2.40-1~bpo22.04.1", None),
            ("5:26.1-1~ubuntu.22.04~jammy", None),
            ("2.36-9+deb12u7", None),
        ] {
            assert_eq!(marked(version), origin, "{version}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "((Package|Status|Version|Source|Provides|x): ?[ a-z(),:=]{0,12}\n| ?\n|[^\n]{0,9}\n){0,12}") {
            read_text(&text);
        }
    }
}
