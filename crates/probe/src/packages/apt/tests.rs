use std::io::Write;
use std::process::Command;
use std::time::Instant;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::packages;
use crate::tree;

const STATUS: &str = "Package: alpha\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n\
    Package: beta\nStatus: install ok installed\nArchitecture: all\nVersion: 2.0-1\nOrigin: stated\n\n\
    Package: gamma\nStatus: install ok installed\nArchitecture: amd64\nVersion: 15-1.pgdg12+1\n";

const DEBIAN: &str = "deb.example.org_debian_dists_stable_";

fn stanza(name: &str, version: &str, architecture: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nInstalled-Size: 3\nArchitecture: {architecture}\nDepends: x\n\n"
    )
}

/// The origins of alpha, beta and gamma under lists with these names and texts.
fn origins(lists: &[(&str, &str)]) -> (Vec<Option<String>>, Vec<Fault>) {
    let paths: Vec<_> =
        lists.iter().map(|(name, text)| (format!("var/lib/apt/lists/{name}"), *text)).collect();
    let mut files: Vec<(&str, &str)> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.extend([("var/lib/dpkg/status", STATUS), ("etc/os-release", "ID=debian\n")]);
    let Collected { items, faults } = packages::survey(&tree::root(&files)).unwrap();
    (items.packages.into_iter().map(|package| package.origin).collect(), faults)
}

fn some(origin: &str) -> Option<String> {
    Some(origin.to_owned())
}

#[test]
fn the_repository_that_lists_a_package_with_its_version_built_it() {
    let packages = [
        stanza("alpha", "1.0-1", "amd64"),
        stanza("beta", "2.0-2", "all"),
        stanza("gamma", "15-1.pgdg12+1", "arm64"),
    ];
    let (origins, faults) = origins(&[
        (
            &format!("{DEBIAN}InRelease"),
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: D\n",
        ),
        (&format!("{DEBIAN}main_binary-amd64_Packages"), &packages.concat()),
    ]);
    // Another version or architecture is not it: the record's own word and the version's mark stand.
    assert_eq!(origins, [some("Debian"), some("stated"), some("apt.postgresql.org")]);
    assert_eq!(faults, []);
}

#[test]
fn a_list_belongs_to_the_release_beside_it() {
    let (origins, _) = origins(&[
        ("host_Release", "Origin: Flat\n"),
        ("host_Packages", &stanza("beta", "2.0-1", "all")),
        ("host_sub_._InRelease", "Label: Nested\n"),
        ("host_sub_._Packages", &stanza("alpha", "1.0-1", "amd64")),
        ("mirror.example_x_dists_y_InRelease", "Suite: y\n"),
        ("mirror.example_x_dists_y_z_binary-amd64_Packages", &stanza("gamma", "15-1.pgdg12+1", "amd64")),
    ]);
    assert_eq!(origins, [some("Nested"), some("Flat"), some("mirror.example")]);
}

#[test]
fn of_several_that_list_it_the_own_distribution_built_it() {
    let list = stanza("alpha", "1.0-1", "amd64");
    for [first, second] in [["Debian", "Copy"], ["Copy", "Debian"]] {
        let (origins, _) = origins(&[
            ("a_Release", &format!("Origin: {first}\n")),
            ("a_Packages", &list),
            ("b_Release", &format!("Origin: {second}\n")),
            ("b_Packages", &list),
        ]);
        assert_eq!(origins[0], some("Debian"));
    }
}

#[test]
fn a_list_without_a_release_tells_no_origin() {
    let (origins, faults) = origins(&[("a_Packages", &stanza("alpha", "1.0-1", "amd64"))]);
    assert_eq!((origins[0].as_deref(), faults), (None, vec![]));
}

#[test]
fn what_is_offered_of_installed_names_is_every_version_of_all_lists_however_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("var/lib/apt/lists");
    std::fs::create_dir_all(lists.join("partial")).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all((stanza("alpha", "1.0-2", "amd64") + &stanza("alpha", "1.0-1", "amd64")).as_bytes())
        .unwrap();
    let stored = stanza("beta", "2.0-1", "all");
    let mut lz4 = vec![0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0];
    lz4.extend((u32::try_from(stored.len()).unwrap() | 1 << 31).to_le_bytes());
    lz4.extend(stored.as_bytes());
    lz4.extend([0; 4]);
    for (name, bytes) in [
        (
            "a_Packages",
            (stanza("alpha", "1.0-1", "amd64")
                + "Package: gamma\n\nPackage: odd\n\n"
                + &stanza("c", "1", "all"))
                .into_bytes(),
        ),
        ("b_Packages.gz", gzip.finish().unwrap()),
        ("c_Packages.lz4", lz4),
        ("d_Packages.xz", b"?".to_vec()),
        ("e_Packages.gz", b"no gzip".to_vec()),
        ("f_Sources", stanza("no", "1", "all").into_bytes()),
        ("f_Packages.diff_Index", stanza("no", "1", "all").into_bytes()),
    ] {
        std::fs::write(lists.join(name), bytes).unwrap();
    }
    std::fs::create_dir_all(folder.path().join("var/lib/dpkg")).unwrap();
    std::fs::write(folder.path().join("var/lib/dpkg/status"), STATUS).unwrap();
    let Collected { items, faults } = packages::survey(&Root::at(&folder).unwrap()).unwrap();
    let items: Vec<_> = items
        .candidates
        .iter()
        .map(|((name, architecture), versions)| (name.as_str(), architecture.as_str(), versions.join(" ")))
        .collect();
    let expected = [("alpha", "amd64", "1.0-1 1.0-2"), ("beta", "all", "2.0-1")];
    assert_eq!(
        items,
        expected.map(|(name, architecture, versions)| (name, architecture, versions.to_owned()))
    );
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults[0], "/var/lib/apt/lists/a_Packages:7: names no package with its version");
    assert_eq!(faults[1], "/var/lib/apt/lists/d_Packages.xz: is compressed with xz, which is not read");
    assert!(faults[2].starts_with("/var/lib/apt/lists/e_Packages.gz: can't be read further"), "{faults:?}");
    assert_eq!(faults.len(), 3);
    assert_eq!(survey(&tree::root(&[]), &mut []), Collected::default());
}

#[test]
fn this_host_is_offered_the_versions_that_apt_tells() {
    let start = Instant::now();
    let Ok(Collected { items, faults }) = packages::survey(&Root::host()) else {
        eprintln!("left out: this host has no packages");
        return;
    };
    let items = items.candidates;
    eprintln!("{} packages on offer read in {:?}, {} faults", items.len(), start.elapsed(), faults.len());
    let installed: BTreeSet<_> = items.keys().map(|(name, _)| name.as_str()).collect();
    let names: Vec<_> = ["bash", "tzdata", "curl"].into_iter().filter(|it| installed.contains(it)).collect();
    let Ok(output) = Command::new("apt-cache").arg("madison").args(&names).output() else {
        eprintln!("left out: this host has no apt");
        return;
    };
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        if columns[2].ends_with("Packages") {
            let mut offered = items.iter().filter(|((name, _), _)| name == columns[0]);
            assert!(
                offered.any(|(_, versions)| versions.iter().any(|version| version == columns[1])),
                "{line}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_list_is_too_much(text in "((Package|Version|Architecture): ?[a-z0-9]{0,4}\n|\n|[^\n]{0,9}\n){0,12}") {
        let files = [("a_Packages", text.as_str()), ("a_Release", &text)];
        origins(&files);
    }
}
