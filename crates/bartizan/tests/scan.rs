//! `bartizan feeds`, `scan` and `explain`, as a person runs them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test says what it left out")]

#[path = "scan/independent.rs"]
mod independent;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Source `tool` has a vulnerability in each state that the tracker knows; `postgresql-15` is built by
/// Debian and by others.
const TRACKER: &str = r#"{
  "tool": {
    "CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.2-3+deb12u1", "urgency": "high**"}}},
    "CVE-2026-0002": {"releases": {"bookworm": {"status": "open", "urgency": "not yet assigned"}}},
    "CVE-2026-0003": {"releases": {"bookworm": {"status": "undetermined", "urgency": "not yet assigned"}}},
    "CVE-2026-0004": {"releases": {"bookworm": {"status": "open", "urgency": "low", "nodsa": "Minor issue", "nodsa_reason": "postponed"}}},
    "CVE-2026-0005": {"releases": {"bookworm": {"status": "open", "urgency": "low", "nodsa": "Intrusive", "nodsa_reason": "ignored"}}},
    "CVE-2026-0006": {"releases": {"bookworm": {"status": "open", "urgency": "unimportant"}}},
    "CVE-2026-0007": {"releases": {"bookworm": {"status": "open", "urgency": "end-of-life"}}},
    "CVE-2026-0008": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "medium"}}},
    "CVE-2026-0009": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.0-1", "urgency": "medium"}}}
  },
  "postgresql-15": {
    "CVE-2026-0100": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "15.9-0+deb12u1", "urgency": "medium"}}}
  }
}"#;

const ADVISORY: &str = r#"{"id": "DSA-9001-1", "modified": "2026-01-01T00:00:00Z", "upstream": ["CVE-2026-0001"],
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  "affected": [{"package": {"ecosystem": "Debian:12", "name": "tool"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-3+deb12u1"}]}]}]}"#;

/// Names no CVE: it stands under its own name.
const NAMELESS: &str = r#"{"id": "DSA-9002-1", "modified": "2026-01-01T00:00:00Z",
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  "affected": [{"package": {"ecosystem": "Debian:12", "name": "tool"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-4"}]}]}]}"#;

const KEV: &str = r#"{"catalogVersion": "1", "dateReleased": "2026-01-01T00:00:00Z", "vulnerabilities": [
  {"cveID": "CVE-2026-0002", "vulnerabilityName": "Tool lets everybody in", "dateAdded": "2026-01-01",
   "dueDate": "2026-01-22", "knownRansomwareCampaignUse": "Known"}]}"#;

const EPSS: &str =
    "#model_version:v1,score_date:2026-01-01T00:00:00Z\ncve,epss,percentile\nCVE-2026-0002,0.94321,0.999\n";

const STATUS: &str = "Package: libtool1\nStatus: install ok installed\nSource: tool\nArchitecture: amd64\nVersion: 1.2-3\n\n\
                      Package: postgresql-15\nStatus: install ok installed\nArchitecture: amd64\nVersion: 15.8-0+deb12u1\n\n\
                      Package: postgresql-client-15\nStatus: install ok installed\nSource: postgresql-15\n\
                      Architecture: amd64\nVersion: 15.8-1.pgdg120+1\n\n";

const RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n";

/// A host, raw feeds and a cache, in one folder.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        for (path, text) in [
            ("root/var/lib/dpkg/status", STATUS),
            ("root/etc/os-release", RELEASE),
            ("raw/tracker.json", TRACKER),
            ("raw/osv/DSA-9001-1.json", ADVISORY),
            ("raw/osv/DSA-9002-1.json", NAMELESS),
            ("raw/known_exploited_vulnerabilities.json", KEV),
            ("raw/epss_scores.csv", EPSS),
        ] {
            bench.write(path, text);
        }
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        run_in(self.folder.path(), words)
    }

    /// Exit code and both outputs, without what changes from run to run.
    fn shown(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap();
        let shown =
            format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr));
        let shown = shown.replace(self.folder.path().to_str().unwrap(), "FOLDER");
        shown.lines().filter(|line| !line.starts_with("importing ")).collect::<Vec<_>>().join("\n")
    }

    fn findings(&self, words: &[&str]) -> Vec<Value> {
        let output = self.run(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer.get("findings").unwrap().as_array().unwrap().clone()
    }
}

fn run_in(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_DATA_HOME", folder.join("data"));
    command.args(words).output().unwrap()
}

const SCAN: [&str; 6] = ["scan", "host", "--root", "root", "--feeds", "raw"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SCAN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn each_state_of_the_tracker_is_told_and_a_build_from_elsewhere_is_unknown() {
    let bench = Bench::new();
    let rows: Vec<String> = bench
        .findings(&with(&["--all", "-o", "json"]))
        .iter()
        .map(|found| {
            let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
            let rating = found.pointer("/severity/rating").and_then(Value::as_str).unwrap_or("-");
            let words = ["id", "verdict", "reason", "fix_state", "fixed"].map(text);
            format!("{} {rating}", words.join(" "))
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn a_finding_has_the_fields_that_are_promised() {
    let bench = Bench::new();
    let findings = bench.findings(&with(&["-o", "json"]));
    let of = |id: &str| findings.iter().find(|found| found.get("id").unwrap() == id).unwrap().clone();
    insta::assert_json_snapshot!(of("CVE-2026-0002/libtool1"), {".feed.age" => "[age]"});
    insta::assert_json_snapshot!(of("DSA-9002-1/libtool1"), {".feed.age" => "[age]"});
}

#[test]
fn the_table_ends_with_what_to_do() {
    insta::assert_snapshot!(Bench::new().shown(&SCAN));
}

#[test]
fn other_tools_get_their_formats() {
    let bench = Bench::new();
    let json = |format: &str| -> Value {
        serde_json::from_slice(&bench.run(&with(&["-o", format])).stdout).unwrap()
    };
    let sarif = json("sarif");
    assert_eq!(sarif.pointer("/runs/0/results").unwrap().as_array().unwrap().len(), 8);
    assert_eq!(sarif.pointer("/runs/0/tool/driver/rules/0/id").unwrap(), "CVE-2026-0001");
    let report = json("cyclonedx");
    assert_eq!(report.get("bomFormat").unwrap(), "CycloneDX");
    assert_eq!(report.get("vulnerabilities").unwrap().as_array().unwrap().len(), 10);
    let csv = String::from_utf8(bench.run(&with(&["-o", "csv"])).stdout).unwrap();
    assert_eq!(csv.lines().count(), 11);
}

#[test]
fn the_exit_code_tells_findings_from_what_is_unknown() {
    let bench = Bench::new();
    let code = |words: &[&str]| bench.run(words).status.code().unwrap();
    assert_eq!(code(&with(&[])), 0);
    assert_eq!(code(&with(&["--fail-on", "critical"])), 1);
    assert_eq!(code(&with(&["--fail-on", "none"])), 1);
    bench.write("root/var/lib/dpkg/status", &STATUS.replace("Source: tool", "Source: other"));
    // Debian's postgresql-15 is affected, and the tracker rates it medium.
    assert_eq!(code(&with(&["--fail-on", "medium"])), 1);
    assert_eq!(code(&with(&["--fail-on", "high"])), 4);
    assert_eq!(code(&with(&["--fail-on", "high", "--allow-unknown"])), 0);
    assert_eq!(code(&with(&["--allow-unknown"])), 2);
    assert_eq!(code(&["scan", "host", "--root", "root", "--feeds", "nowhere"]), 2);
}

#[test]
fn without_feeds_everything_is_unknown_and_nothing_fails() {
    insta::assert_snapshot!(Bench::new().shown(&["scan", "host", "--root", "root", "--fail-on", "low"]));
}

#[test]
fn a_broken_feed_leaves_its_part_unknown() {
    let bench = Bench::new();
    bench.write(
        "raw/tracker.json",
        "{\"tool\": {\"CVE-2026-0001\": {\"releases\": {\"bookworm\": {\"status\": 7}}}}}",
    );
    insta::assert_snapshot!(bench.shown(&with(&["--fail-on", "critical"])));
}

#[test]
fn feeds_are_imported_listed_and_held_back() {
    let bench = Bench::new();
    let import = ["feeds", "import", "raw", "--into", "library"];
    insta::assert_snapshot!("import", bench.shown(&import));
    bench.write("raw/tracker.json", "{}");
    insta::assert_snapshot!("shrunk", bench.shown(&import));
    let status: Value =
        serde_json::from_slice(&bench.run(&["feeds", "status", "--feeds", "library", "-o", "json"]).stdout)
            .unwrap();
    assert_eq!(status.pointer("/feeds/0/name").unwrap(), "debian-tracker");
    assert_eq!(status.pointer("/feeds/0/records").unwrap(), 10);
    assert!(status.pointer("/feeds/0/held_back").unwrap().as_str().unwrap().contains("held back"));
    bench.write("raw/tracker.json", "{\"tool\": [");
    insta::assert_snapshot!(
        "broken",
        bench.shown(&["feeds", "import", "raw/tracker.json", "--into", "library"])
    );
}

#[test]
fn a_fix_that_the_hosts_repositories_offer_is_installable() {
    let bench = Bench::new();
    let list = "root/var/lib/apt/lists/deb.example.org_debian_dists_bookworm_";
    bench.write(&format!("{list}InRelease"), "Origin: Debian\n");
    let packages = "Package: libtool1\nVersion: 1.2-3+deb12u1\nArchitecture: amd64\n\n";
    bench.write(&format!("{list}main_binary-amd64_Packages"), packages);
    let findings = bench.findings(&with(&["-o", "json"]));
    let state = |id: &str| {
        let found = findings.iter().find(|found| found.get("id").unwrap() == id).unwrap();
        found.get("fix_state").unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!(state("CVE-2026-0001/libtool1"), "installable");
    // What is offered is older than this fix, and nothing is offered of that package.
    assert_eq!(state("DSA-9002-1/libtool1"), "published");
    assert_eq!(state("CVE-2026-0100/postgresql-15"), "published");
}

#[test]
fn explain_prints_the_chain_of_a_finding() {
    let bench = Bench::new();
    let explain = |finding| bench.shown(&["explain", finding, "--root", "root", "--feeds", "raw"]);
    insta::assert_snapshot!(explain("CVE-2026-0001/libtool1"));
    assert!(explain("CVE-2026-0001").starts_with("exit 2"));
    assert!(explain("CVE-2026-0001/nothing").starts_with("exit 2"));
    assert!(explain("CVE-1999-0001/libtool1").starts_with("exit 2"));
}

#[test]
fn an_sbom_is_judged_like_a_host() {
    let bench = Bench::new();
    let purl = "pkg:deb/debian/libtool1@1.2-3?arch=amd64&distro=debian-12&upstream=tool";
    bench.write(
        "sbom.cdx.json",
        &format!(r#"{{"bomFormat": "CycloneDX", "components": [{{"type": "application", "name": "a", "components": [
            {{"type": "library", "name": "libtool1", "purl": "{purl}"}},
            {{"type": "library", "name": "left-pad", "purl": "pkg:npm/left-pad@1.0.0"}}]}}]}}"#),
    );
    bench.write(
        "sbom.spdx.json",
        &format!(r#"{{"spdxVersion": "SPDX-2.3", "packages": [{{"name": "libtool1", "externalRefs": [
            {{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "{purl}"}}]}}]}}"#),
    );
    let ids = |words: &[&str]| -> Vec<String> {
        let text = |found: Value| found.get("id").unwrap().as_str().unwrap().to_owned();
        bench.findings(words).into_iter().map(text).filter(|id| id.ends_with("/libtool1")).collect()
    };
    let host = ids(&with(&["-o", "json"]));
    assert_eq!(host.len(), 8);
    for file in ["sbom.cdx.json", "sbom.spdx.json"] {
        assert_eq!(ids(&["scan", "sbom", file, "--feeds", "raw", "-o", "json"]), host, "{file}");
    }
    bench.write("other.json", "{}");
    insta::assert_snapshot!(bench.shown(&["scan", "sbom", "other.json", "--feeds", "raw"]));
}

/// Compares a scan with the independent computation, finding by finding.
#[test]
fn components_without_a_package_url_are_counted_as_unknown_and_do_not_pass() {
    let bench = Bench::new();
    let nameless = r#"{"type": "library", "name": "openssl", "version": "3.0.1"}"#;
    let purl = "pkg:deb/debian/libtool1@1.2-3?arch=amd64&distro=debian-12&upstream=tool";
    let cyclonedx = |components: &str| {
        format!(
            r#"{{"bomFormat": "CycloneDX", "components": [{{"type": "operating-system", "name": "debian"}}, {components}]}}"#
        )
    };
    bench.write("none.json", &cyclonedx(nameless));
    let mixed = format!(r#"{nameless}, {{"type": "library", "name": "libtool1", "purl": "{purl}"}}"#);
    bench.write("mixed.json", &cyclonedx(&mixed));
    bench.write(
        "none.spdx.json",
        r#"{"spdxVersion": "SPDX-2.3", "packages": [{"name": "openssl", "versionInfo": "3"}]}"#,
    );
    bench.write("empty.json", r#"{"bomFormat": "CycloneDX", "components": []}"#);
    let scan = |file: &str, more: &[&str]| {
        let words = ["scan", "sbom", file, "--feeds", "raw"];
        bench.run(&words.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let counted = "1 names no package URL: openssl";
    for (file, problem) in [
        ("none.json", counted),
        ("mixed.json", counted),
        ("none.spdx.json", counted),
        ("empty.json", "the SBOM lists no package"),
    ] {
        let output = scan(file, &["-o", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let unknown = answer.get("unknown").unwrap().as_array().unwrap();
        assert!(
            unknown.iter().any(|unknown| unknown.get("problem").unwrap() == problem),
            "{file}: {unknown:?}"
        );
    }
    for (file, code) in [("none.json", 4), ("none.spdx.json", 4), ("empty.json", 4), ("mixed.json", 1)] {
        assert_eq!(scan(file, &["--fail-on", "low"]).status.code(), Some(code), "{file}");
    }
}

#[test]
fn our_own_cyclonedx_is_judged_like_the_host_that_it_was_made_of() {
    let bench = Bench::new();
    let report = bench.run(&with(&["-o", "cyclonedx"]));
    bench.write("own.json", &String::from_utf8(report.stdout).unwrap());
    let findings = |words: &[&str]| {
        let mut findings = bench.findings(words);
        findings.iter_mut().for_each(|found| drop(found.as_object_mut().unwrap().remove("feed")));
        findings
    };
    let again = findings(&["scan", "sbom", "own.json", "--feeds", "raw", "-o", "json"]);
    assert_eq!(again, findings(&with(&["-o", "json"])));
    let own: Value = serde_json::from_slice(&fs::read(bench.path("own.json")).unwrap()).unwrap();
    let purl = own.pointer("/components/0/purl").unwrap();
    assert_eq!(purl, "pkg:deb/debian/libtool1@1.2-3?arch=amd64&distro=debian-12&upstream=tool");
}

fn assert_agrees(corpora: &Path, root: &str, installed: &str) {
    let feeds = corpora.join("vuln-debian");
    let folder = tempfile::tempdir().unwrap();
    let words = ["scan", "host", "--root", root, "--feeds", feeds.to_str().unwrap(), "-o", "json", "--all"];
    let output = run_in(folder.path(), &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is: Vec<independent::Row> = {
        let text =
            |found: &Value, key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let row = |found: &Value| {
            ["package", "architecture", "vulnerability", "verdict", "fixed"].map(|key| text(found, key))
        };
        answer.get("findings").unwrap().as_array().unwrap().iter().map(row).collect()
    };
    let mut is_sorted = is;
    is_sorted.sort();
    let expected = independent::findings(&feeds, installed);
    assert!(expected.len() > 100, "the corpus says too little: {}", expected.len());
    assert_eq!(is_sorted.len(), expected.len());
    for (is, expected) in is_sorted.iter().zip(&expected) {
        assert_eq!(is, expected);
    }
    eprintln!("{root}: {} findings agree", expected.len());
}

fn corpora() -> Option<PathBuf> {
    let corpora = std::env::var_os("BARTIZAN_CORPORA").map(PathBuf::from);
    if corpora.is_none() {
        eprintln!("left out: BARTIZAN_CORPORA names no folder of corpora");
    }
    corpora
}

#[test]
fn a_scan_of_a_copied_host_equals_an_independent_computation_with_dpkg() {
    let Some(corpora) = corpora() else { return };
    let image = corpora.join("vuln-debian/host-image");
    let installed = fs::read_to_string(image.join("dpkg-query.tsv")).unwrap();
    assert_agrees(&corpora, image.to_str().unwrap(), &installed);
}

#[test]
fn a_scan_of_this_machine_equals_an_independent_computation_with_dpkg() {
    let Some(corpora) = corpora() else { return };
    let system = fs::read_to_string("/etc/os-release").unwrap();
    if !system.contains("VERSION_CODENAME=bookworm") {
        eprintln!("left out: this machine is no Debian 12");
        return;
    }
    let format = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Abbrev}\n";
    let output = Command::new("dpkg-query").args(["-W", "-f", format]).output().unwrap();
    assert_agrees(&corpora, "/", &String::from_utf8(output.stdout).unwrap());
}
