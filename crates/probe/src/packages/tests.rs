use std::process::Command;
use std::time::Instant;

use super::*;
use crate::tree;

/// Name, version, architecture, source and its version, as `dpkg-query` prints them.
const FORMAT: &str = "${binary:Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\t${source:Version}\\t${db:Status-Abbrev}\\n";

fn rows(packages: &[Package]) -> Vec<String> {
    let mut rows: Vec<_> = packages
        .iter()
        .map(|package| {
            let Package { name, version, architecture, source, source_version, .. } = package;
            format!("{name}\t{version}\t{architecture}\t{source}\t{source_version}")
        })
        .collect();
    rows.sort();
    rows
}

/// The rows of installed packages in what `dpkg-query` printed with [`FORMAT`].
fn expected(table: &str) -> Vec<String> {
    let installed = table.lines().filter_map(|line| {
        let (row, status) = line.rsplit_once('\t')?;
        if !matches!(status.as_bytes().get(1)?, b'i' | b'U' | b'F' | b'W' | b't') {
            return None;
        }
        // Packages of several architectures are printed with theirs.
        let (name, rest) = row.split_once('\t')?;
        Some(format!("{}\t{rest}", name.split(':').next()?))
    });
    let mut rows: Vec<_> = installed.collect();
    rows.sort();
    rows
}

/// Fails with the rows that stand on one side only.
fn are_the_same(found: &[String], expected: &[String]) {
    let without = |rows: &[String], others: &[String]| -> Vec<String> {
        rows.iter().filter(|row| !others.contains(row)).cloned().collect()
    };
    assert_eq!(without(found, expected), without(expected, found));
    assert_eq!(found.len(), expected.len());
}

#[test]
fn this_host_has_the_packages_that_dpkg_tells() {
    let Ok(output) = Command::new("dpkg-query").args(["-W", "-f", FORMAT]).output() else {
        eprintln!("left out: this host has no dpkg");
        return;
    };
    let start = Instant::now();
    let collected = dpkg::read(&Root::host()).unwrap();
    eprintln!("{} packages read from {} in {:?}", collected.items.len(), dpkg::STATUS, start.elapsed());
    are_the_same(&rows(&collected.items), &expected(&String::from_utf8(output.stdout).unwrap()));
    assert_eq!(collected.faults, []);
    let start = Instant::now();
    let packages = survey(&Root::host()).unwrap().items.packages;
    let mut origins: BTreeMap<Option<String>, usize> = BTreeMap::new();
    packages.into_iter().for_each(|package| *origins.entry(package.origin).or_default() += 1);
    eprintln!("with their origins in {:?}: {origins:?}", start.elapsed());
}

#[test]
fn a_real_machine_of_eight_hundred_packages_is_read_as_dpkg_reads_it() {
    #[expect(clippy::disallowed_methods, reason = "where the corpora lie is told by the environment")]
    let Ok(corpora) = std::env::var("BARTIZAN_CORPORA") else {
        eprintln!("left out: BARTIZAN_CORPORA is not set");
        return;
    };
    let folder = std::path::Path::new(&corpora).join("vuln-debian/host-image");
    let text = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    let root =
        tree::root(&[("var/lib/dpkg/status", &text("dpkg-status")), ("etc/os-release", &text("os-release"))]);
    let Collected { items, faults } = survey(&root).unwrap();
    let items = items.packages;
    assert_eq!((items.len(), faults), (809, vec![]));
    // The table beside it is a little older: three packages came since.
    let (found, table) = (rows(&items), expected(&text("dpkg-query.tsv")));
    let lost: Vec<_> = table.iter().filter(|row| !found.contains(row)).collect();
    assert_eq!((table.len(), lost), (806, vec![]));
    assert!(items.is_sorted());
    let system = crate::os::read(&root).unwrap();
    assert_eq!((system.id.as_str(), system.codename.as_str()), ("debian", "bookworm"));
}

#[test]
fn a_root_without_a_database_is_unknown_and_not_empty() {
    let root = tree::root(&[("etc/os-release", "ID=none\n")]);
    assert!(matches!(survey(&root), Err(Error::Missing { .. })));
    let section = collect(&root);
    assert_eq!(section.unknown[0].reason, Reason::Unsupported);
    let root = tree::root(&[("var/lib/dpkg/status/folder", "")]);
    assert!(matches!(survey(&root), Err(Error::NotAFile { .. })));
    assert_eq!(collect(&root).unknown.len(), 1);
}

#[test]
fn a_database_without_packages_is_empty_and_nothing_is_unknown() {
    let section = collect(&tree::root(&[("var/lib/dpkg/status", "")]));
    assert_eq!(section, Section::new(vec![]));
}

#[test]
fn a_broken_record_is_unknown_in_the_section() {
    let section = collect(&tree::root(&[("var/lib/dpkg/status", "Package: a\nVersion: 1\n")]));
    assert_eq!(section.unknown[0].what, "/var/lib/dpkg/status:1: the record has no `Status`");
    assert_eq!(section.unknown[0].reason, Reason::Unparsable);
}

#[test]
fn this_host_tells_the_same_twice() {
    tree::is_stable(|| collect(&Root::host()));
}
