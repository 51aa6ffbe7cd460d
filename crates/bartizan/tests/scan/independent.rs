//! The same judgement another way: raw feeds as plain JSON, and dpkg itself for the order of versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Package, architecture, vulnerability, verdict, fixed version.
pub(crate) type Row = [String; 5];

/// Compares in one shell: a pair a line, `lt` or `ge` a line.
const COMPARE: &str = r#"while IFS="$(printf '\t')" read -r a b; do
if dpkg --compare-versions "$a" lt "$b"; then echo lt; else echo ge; fi; done"#;

/// Source package → vulnerability → the fixed versions that its records name.
type Fixes = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// All findings of Debian 12 over the feeds of a folder. `installed` is dpkg-query's table: package,
/// version, architecture, source, source version, status.
pub(crate) fn findings(feeds: &Path, installed: &str) -> Vec<Row> {
    let (tracker, osv) = (tracker(feeds), osv(feeds));
    let nothing = BTreeMap::new();
    let mut asked = Vec::new();
    for line in installed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [package, version, architecture, source, source_version, status] = fields.as_slice() else {
            panic!("{line}")
        };
        if matches!(status.chars().nth(1), Some('n' | 'c')) {
            continue;
        }
        let tracked = tracker.get(*source).unwrap_or(&nothing);
        let advised = osv.get(*source).unwrap_or(&nothing);
        let names: BTreeSet<&String> = tracked.keys().chain(advised.keys()).collect();
        for name in names {
            let fixes = tracked.get(name).or_else(|| advised.get(name)).unwrap();
            let is_foreign = version.contains("nodesource") || version.contains("pgdg");
            asked.push((*package, *architecture, name.as_str(), *source_version, fixes, is_foreign));
        }
    }
    let mut pairs = BTreeSet::new();
    for (_, _, _, version, fixes, _) in &asked {
        let fixes: Vec<&String> = fixes.iter().collect();
        pairs.extend(fixes.iter().map(|fix| ((*version).to_owned(), (*fix).clone())));
        for a in &fixes {
            pairs.extend(fixes.iter().filter(|b| a != *b).map(|b| ((*a).clone(), (*b).clone())));
        }
    }
    let older = compare(&pairs);
    let is_older = |a: &str, b: &str| older.contains(&(a.to_owned(), b.to_owned()));
    let mut rows: Vec<Row> = asked
        .into_iter()
        .map(|(package, architecture, name, version, fixes, is_foreign)| {
            let mut fixes: Vec<&String> = fixes.iter().collect();
            fixes.sort_by(|a, b| is_older(b, a).cmp(&is_older(a, b)));
            let highest = fixes.pop().unwrap().as_str();
            let (verdict, fixed) = if is_foreign {
                ("unknown", "")
            } else if highest == "0" {
                ("not_affected", "")
            } else if is_older(version, highest) {
                ("affected", highest)
            } else {
                ("fixed", highest)
            };
            [package, architecture, name, verdict, fixed].map(str::to_owned)
        })
        .collect();
    rows.sort();
    rows
}

fn compare(pairs: &BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    let mut child = Command::new("sh")
        .args(["-c", COMPARE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input: String = pairs.iter().map(|(a, b)| format!("{a}\t{b}\n")).collect();
    let mut pipe = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), pairs.len());
    let older = pairs.iter().zip(answers.lines()).filter(|(_, answer)| *answer == "lt");
    older.map(|(pair, _)| pair.clone()).collect()
}

fn tracker(feeds: &Path) -> Fixes {
    let tracker: Value = serde_json::from_reader(File::open(feeds.join("tracker.json")).unwrap()).unwrap();
    let mut fixes = Fixes::new();
    for (source, issues) in tracker.as_object().unwrap() {
        for (name, issue) in issues.as_object().unwrap() {
            let Some(state) = issue.pointer("/releases/bookworm") else { continue };
            assert_eq!(state.get("status").unwrap(), "resolved", "the corpus has another state now");
            let fixed = state.get("fixed_version").unwrap().as_str().unwrap().to_owned();
            fixes.entry(source.clone()).or_default().entry(name.clone()).or_default().insert(fixed);
        }
    }
    fixes
}

fn osv(feeds: &Path) -> Fixes {
    let mut archive = zip::ZipArchive::new(File::open(feeds.join("osv/all.zip")).unwrap()).unwrap();
    let mut fixes = Fixes::new();
    for index in 0..archive.len() {
        let mut text = String::new();
        archive.by_index(index).unwrap().read_to_string(&mut text).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut names: Vec<String> = list(record.get("upstream"))
            .iter()
            .filter_map(|id| Some(id.as_str().filter(|id| id.starts_with("CVE-"))?.to_owned()))
            .collect();
        if names.is_empty() {
            names.push(record.get("id").unwrap().as_str().unwrap().to_owned());
        }
        for affected in list(record.get("affected")) {
            if affected.pointer("/package/ecosystem").unwrap() != "Debian:12" {
                continue;
            }
            let source = affected.pointer("/package/name").unwrap().as_str().unwrap();
            for range in list(affected.get("ranges")) {
                assert_eq!(range.pointer("/events/0/introduced").unwrap(), "0");
                let fixed = range.pointer("/events/1/fixed").unwrap().as_str().unwrap();
                for name in &names {
                    let of_source = fixes.entry(source.to_owned()).or_default();
                    of_source.entry(name.clone()).or_default().insert(fixed.to_owned());
                }
            }
        }
    }
    fixes
}
