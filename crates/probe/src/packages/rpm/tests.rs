use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bartizan_core::verdict::Reason;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{packages, tree};

/// Makes a database as rpm does, of the headers that come as lines of hexadecimal digits; the last
/// comes in a transaction of its own, and stays in the log where one is kept.
const MAKE: &str = "
import os, sqlite3, sys
path, size, mode = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None)
database.execute('PRAGMA page_size=' + size)
database.execute('PRAGMA journal_mode=' + mode)
database.execute('CREATE TABLE Other (a, b)')
database.execute('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')
database.execute('CREATE INDEX Other_a ON Other (a)')
*blobs, last = [bytes.fromhex(line) for line in sys.stdin]
database.execute('BEGIN')
for blob in blobs:
    database.execute('INSERT INTO Packages (blob) VALUES (?)', (blob,))
database.execute('COMMIT')
if mode == 'wal':
    database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
database.execute('INSERT INTO Packages (blob) VALUES (?)', (last,))
sys.stdout.flush()
os._exit(0)
";

/// What a header says under a tag.
enum Said<'a> {
    Text(&'a str),
    Texts(&'a [&'a str]),
    Number(u32),
}

fn header(entries: &[(Tag, Said<'_>)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, said) in entries {
        let (kind, count, bytes) = match said {
            Said::Text(text) => (6, 1, [text.as_bytes(), &[0]].concat()),
            Said::Texts(texts) => (8, texts.len(), (texts.join("\0") + "\0").into_bytes()),
            Said::Number(number) => (4, 1, number.to_be_bytes().to_vec()),
        };
        for number in [tag.0, kind, u32::try_from(data.len()).unwrap(), u32::try_from(count).unwrap()] {
            index.extend(number.to_be_bytes());
        }
        data.extend(bytes);
    }
    let lengths = [entries.len(), data.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    [lengths.concat(), index, data].concat()
}

fn simple(name: &str, filling: usize) -> Vec<u8> {
    let filling = "x".repeat(filling);
    header(&[
        (Tag(1005), Said::Text(&filling)),
        (Tag::NAME, Said::Text(name)),
        (Tag::VERSION, Said::Text("1")),
        (Tag::RELEASE, Said::Text("2")),
        (Tag::ARCH, Said::Text("noarch")),
    ])
}

/// A root with a database of these headers; none where the host has no interpreter to make it.
fn database(page_bytes: u32, mode: &str, headers: &[Vec<u8>]) -> Option<(TempDir, Root)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/lib/rpm");
    std::fs::create_dir_all(&path).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", MAKE]).arg(path.join(SQLITE)).arg(page_bytes.to_string()).arg(mode);
    let Ok(mut child) = command.stdin(Stdio::piped()).spawn() else {
        eprintln!("left out: this host has no python3");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    for header in headers {
        let digits: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{digits}").unwrap();
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let root = Root::at(&folder).unwrap();
    Some((folder, root))
}

fn names(collected: &Collected<Vec<Package>>) -> Vec<&str> {
    collected.items.iter().map(|package| package.name.as_str()).collect()
}

#[test]
fn a_header_gives_its_package_with_its_source_vendor_and_stream() {
    let blob = header(&[
        (Tag::NAME, Said::Text("alpha-libs")),
        (Tag::VERSION, Said::Text("1.2")),
        (Tag::RELEASE, Said::Text("3.el9")),
        (Tag::EPOCH, Said::Number(2)),
        (Tag::VENDOR, Said::Text("Example Linux")),
        (Tag::ARCH, Said::Text("x86_64")),
        (Tag::SOURCERPM, Said::Text("alpha-suite-1.2-3.el9.src.rpm")),
        (
            Tag::PROVIDENAME,
            Said::Texts(&["alpha-libs", "alpha-libs(x86-64)", "libalpha.so.1", "alpha-abi", "/bin/a"]),
        ),
        (Tag::MODULARITYLABEL, Said::Text("alpha:1:20240101:ab12")),
    ]);
    let expected = Package {
        name: "alpha-libs".to_owned(),
        architecture: "x86_64".to_owned(),
        version: "2:1.2-3.el9".to_owned(),
        source: "alpha-suite".to_owned(),
        source_version: "2:1.2-3.el9".to_owned(),
        manager: PackageManager::Rpm,
        origin: Some("Example Linux".to_owned()),
        provides: vec!["alpha-abi".to_owned(), "module(alpha:1:20240101:ab12)".to_owned()],
    };
    assert_eq!(package(&blob), Ok(Some(expected)));
    assert_eq!(package(&header(&[(Tag::NAME, Said::Text(KEY))])), Ok(None));
    assert_eq!(package(&header(&[(Tag::NAME, Said::Text("a"))])), Err(Problem::Absent("version")));
    assert_eq!(package(b"short"), Err(Problem::NoHeader));
}

#[test]
fn a_source_package_is_split_from_the_right() {
    for (file, parts) in [
        ("bash-5.1.8-6.el9.src.rpm", Some(("bash", "5.1.8-6.el9"))),
        ("gcc-toolset-12-gcc-12.2.1-7.nosrc.rpm", Some(("gcc-toolset-12-gcc", "12.2.1-7"))),
        ("bash-5.1.8.src.rpm", None),
        ("-1-2.src.rpm", None),
        ("bash-5.1.8-6.el9.x86_64.rpm", None),
        ("(none)", None),
    ] {
        assert_eq!(split_source(file), parts, "{file}");
    }
}

#[test]
fn every_row_is_read_whatever_the_page_size_and_over_however_many_pages() {
    let sizes = [0, 10, 300, 421, 422, 423, 900, 4000, 4055, 4056, 4057, 4100, 70_000, 300_000];
    let headers: Vec<_> = (0..400)
        .map(|row| simple(&format!("package-{row:03}"), sizes[row % if row < 28 { sizes.len() } else { 7 }]))
        .collect();
    for page_bytes in [512, 4096, 65536] {
        for mode in ["delete", "wal"] {
            let Some((_folder, root)) = database(page_bytes, mode, &headers) else { return };
            let collected = read(&root).unwrap();
            let expected: Vec<_> = (0..400).map(|row| format!("package-{row:03}")).collect();
            assert_eq!(names(&collected), expected, "{page_bytes} {mode}");
            assert_eq!(collected.faults, [], "{page_bytes} {mode}");
        }
    }
}

#[test]
fn what_was_committed_to_the_log_counts_and_what_is_broken_in_it_does_not() {
    let headers = [simple("old", 0), simple("new", 0)];
    let Some((folder, root)) = database(4096, "wal", &headers) else { return };
    let log = folder.path().join("var/lib/rpm/rpmdb.sqlite-wal");
    assert_eq!(names(&read(&root).unwrap()), ["old", "new"]);
    let mut bytes = std::fs::read(&log).unwrap();
    // A byte of the last frame's page: its sums are no longer those that stand there.
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    assert_eq!(names(&read(&root).unwrap()), ["old"]);
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    let collected = read(&root).unwrap();
    assert_eq!(names(&collected), ["old"]);
    assert!(collected.faults[0].problem.contains("the newest may be missing"), "{:?}", collected.faults);
}

#[test]
fn a_broken_row_costs_itself_and_is_told() {
    let headers = [simple("a", 0), b"no header".to_vec(), simple("b", 0)];
    let Some((folder, root)) = database(4096, "delete", &headers) else { return };
    let collected = read(&root).unwrap();
    assert_eq!(names(&collected), ["a", "b"]);
    assert_eq!(collected.faults[0].to_string(), "/var/lib/rpm/rpmdb.sqlite: row 2 is no header");
    std::fs::write(
        folder.path().join("var/lib/rpm/rpmdb.sqlite-journal"),
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",
    )
    .unwrap();
    assert!(read(&root).unwrap().faults[1].problem.contains("cut short"));
}

#[test]
fn older_databases_and_other_files_are_told() {
    for (path, problem, reason) in [
        ("var/lib/rpm/Packages", "is a database of Berkeley DB, which is unsupported", Reason::Unsupported),
        (
            "usr/lib/sysimage/rpm/Packages.db",
            "is a database of ndb, which is unsupported",
            Reason::Unsupported,
        ),
        ("var/lib/rpm/rpmdb.sqlite", "is no SQLite database", Reason::Unparsable),
    ] {
        let root = tree::root(&[(path, "anything")]);
        let collected = packages::survey(&root).unwrap();
        assert_eq!(collected.faults, [Fault::new(format!("/{path}"), None, problem)]);
        let section = packages::collect(&root);
        assert_eq!((section.body.len(), section.unknown.len(), section.unknown[0].reason), (0, 1, reason));
    }
    assert!(matches!(read(&tree::root(&[])), Err(Error::Missing { .. })));
}

/// A package of rpm's own making, where the host has what makes one.
#[test]
fn a_database_that_rpm_made_is_read_as_rpm_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let specification = "Name: alpha\nEpoch: 1\nVersion: 2.0\nRelease: 3\nSummary: A\nLicense: MIT\nVendor: Example\n\
                         BuildArch: noarch\nProvides: alpha-abi\n%description\nA\n%files\n%package libs\nSummary: B\n\
                         %description libs\nB\n%files libs\n";
    std::fs::write(folder.path().join("alpha.spec"), specification).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let (top, database) = (format!("_topdir {}", path("build")), path("var/lib/rpm"));
    let backend = ["--define", "_db_backend sqlite", "--dbpath", database.as_str()];
    if run("rpmbuild", &["-bb", "--define", &top, &path("alpha.spec")]).is_none() {
        eprintln!("left out: this host has no rpmbuild");
        return;
    }
    run("rpmdb", &[&backend[..], &["--initdb"]].concat()).unwrap();
    for package in ["alpha", "alpha-libs"] {
        let file = path(&format!("build/RPMS/noarch/{package}-2.0-3.noarch.rpm"));
        assert!(Path::new(&file).exists());
        run("rpm", &[&backend[..], &["-i", "--justdb", "--nodeps", &file]].concat()).unwrap();
    }
    let format = "%{NAME} %{EVR} %{ARCH} %{VENDOR} %{SOURCERPM}\n";
    let mut expected: Vec<_> = run("rpm", &[&backend[..], &["-qa", "--qf", format]].concat())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    expected.sort();
    let Collected { items, faults } = read(&Root::at(&folder).unwrap()).unwrap();
    let mut found: Vec<_> = items
        .iter()
        .map(|Package { name, version, architecture, origin, source, source_version, .. }| {
            let source = format!("{source}-{}.src.rpm", source_version.trim_start_matches("1:"));
            format!("{name} {version} {architecture} {} {source}", origin.as_deref().unwrap_or("(none)"))
        })
        .collect();
    found.sort();
    assert_eq!((found, faults), (expected, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_header_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..150_usize, byte: u8) {
        let _ = package(&bytes);
        let mut header = simple("a", 9);
        if let Some(place) = header.get_mut(at) {
            *place = byte;
        }
        let _ = package(&header);
    }
}

#[test]
fn no_damage_to_a_database_or_its_log_is_too_much() {
    let headers: Vec<_> = (0..40).map(|row| simple(&format!("p{row}"), row * 60)).collect();
    let Some((folder, root)) = database(512, "wal", &headers) else { return };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    for file in ["rpmdb.sqlite", "rpmdb.sqlite-wal"] {
        let path = folder.path().join("var/lib/rpm").join(file);
        let sound = std::fs::read(&path).unwrap();
        let damage = prop::collection::vec((0..sound.len(), any::<u8>()), 1..60);
        // Half of the damage goes where the structure is densest.
        let near = prop::collection::vec((0..2048.min(sound.len()), any::<u8>()), 1..6);
        let cut = prop::option::of(0..sound.len());
        runner
            .run(&(damage, near, any::<bool>(), cut), |(damage, near, far, cut)| {
                let mut bytes = sound.clone();
                for (place, byte) in if far { damage } else { near } {
                    bytes[place] = byte;
                }
                bytes.truncate(cut.unwrap_or(bytes.len()));
                std::fs::write(&path, bytes).unwrap();
                let _ = read(&root);
                Ok(())
            })
            .unwrap();
        std::fs::write(&path, sound).unwrap();
    }
    assert_eq!(read(&root).unwrap().items.len(), 40);
}
