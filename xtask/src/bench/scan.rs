//! `bench scan`: import and a full scan of a host, warm, beside what a Debian host has for the same.
//!
//! debsecan judges by the same advisories: the tracker's export is written into its format. `apt list
//! --upgradable` answers a smaller question, `dpkg-query -W` only lists: the floor.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::Value;

use super::figures::{Durations, ratio, run as measure};
use crate::{cargo, output, run as execute, target_folder};

/// The goal of a warm scan, in milliseconds.
const SCAN_GOAL_MS: f64 = 100.0;

/// The goal of an import's memory, in bytes.
const IMPORT_GOAL_BYTES: u64 = 300 << 20;

/// What `bench scan` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A folder of raw feeds with the tracker's export in it.
    #[arg(long, value_name = "DIR")]
    feeds: PathBuf,
    /// The host's root.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The tracker's name of the host's release, for debsecan.
    #[arg(long, default_value = "bookworm")]
    release: String,
    /// How many runs are counted.
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// The program to measure; it is built anew where none is named.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

const DEBSECAN: &str = "/usr/bin/debsecan";

/// Measures and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => {
            execute(&mut cargo(&["build", "--release", "--package", "bartizan"]))?;
            target_folder()?.join("release/bartizan")
        }
    };
    let scratch = target_folder()?.join("bench-scan");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let library = scratch.join("library");
    let mut import = Command::new(&program);
    import.args(["feeds", "import"]).arg(&arguments.feeds).arg("--into").arg(&library);
    let imported = measure(&mut import)?;
    let megabytes = imported.peak as f64 / f64::from(1 << 20);
    let verdict = if imported.peak < IMPORT_GOAL_BYTES { "within" } else { "ABOVE" };
    println!("import: {:.2} s, at most {megabytes:.0} MB ({verdict} 300 MB)", imported.took.as_secs_f64());

    let scan = || {
        let mut command = Command::new(&program);
        command.args(["scan", "host", "-o", "json", "--root"]).arg(&arguments.root);
        command.arg("--feeds").arg(&library);
        command
    };
    let ours = Durations::of(scan, arguments.runs)?;
    let verdict = if ours.median().as_secs_f64() * 1_000.0 < SCAN_GOAL_MS { "within" } else { "ABOVE" };
    let answer: Value = serde_json::from_str(&output(&mut scan())?).context("the scan printed no JSON")?;
    let findings = answer.get("findings").and_then(Value::as_array).map_or(0, Vec::len);
    println!("bartizan scan host: {}, {findings} findings ({verdict} 100 ms)", ours.line());
    for peer in peers(arguments, &scratch)? {
        let (name, make) = (peer.name, peer.make);
        match Durations::of(&*make, arguments.runs) {
            Ok(theirs) => {
                let times = ratio(theirs.median(), ours.median());
                let found =
                    if peer.finds { format!(", {} findings", lines(&mut make())?) } else { String::new() };
                println!("{name}: {}{found}: {times:.2} of our time", theirs.line());
            }
            Err(error) => println!("{name}: left out: {error:#}"),
        }
    }
    Ok(())
}

fn lines(command: &mut Command) -> Result<usize> {
    Ok(output(command)?.lines().count())
}

/// A program that answers the same question, or a part of it.
struct Peer {
    name: &'static str,
    /// Whether each line that it prints is a finding.
    finds: bool,
    make: Box<dyn Fn() -> Command>,
}

fn peers(arguments: &Arguments, scratch: &Path) -> Result<Vec<Peer>> {
    if !Path::new(DEBSECAN).exists() {
        crate::services::install("debsecan")?;
    }
    let source = scratch.join("debsecan");
    fs::create_dir_all(&source)?;
    fs::write(source.join(&arguments.release), debsecan(&arguments.feeds, &arguments.release)?)?;
    let status = arguments.root.join("var/lib/dpkg/status");
    let release = arguments.release.clone();
    let debsecan = move || {
        let mut command = Command::new(DEBSECAN);
        command.arg(format!("--source=file://{}", source.display()));
        command.args(["--suite", &release, "--format", "simple", "--status"]).arg(&status);
        command
    };
    let admin = arguments.root.join("var/lib/dpkg");
    let dpkg_query = move || {
        let mut command = Command::new("dpkg-query");
        command.arg("--admindir").arg(&admin).arg("-W");
        command
    };
    let mut peers = vec![
        Peer { name: "debsecan", finds: true, make: Box::new(debsecan) },
        Peer { name: "dpkg-query -W (the floor)", finds: false, make: Box::new(dpkg_query) },
    ];
    if arguments.root == Path::new("/") {
        let apt = || {
            let mut command = Command::new("apt");
            command.args(["list", "--upgradable"]);
            command
        };
        peers.push(Peer { name: "apt list --upgradable", finds: false, make: Box::new(apt) });
    }
    Ok(peers)
}

/// The tracker's export in debsecan's format (version 1, compressed with zlib): names of
/// vulnerabilities, then which versions of which source packages have them.
fn debsecan(feeds: &Path, release: &str) -> Result<Vec<u8>> {
    let path = feeds.join("tracker.json");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let tracker: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text)
        .with_context(|| format!("{} is no export of the tracker", path.display()))?;
    let (mut names, mut rows) = (String::new(), String::new());
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (package, vulnerabilities) in &tracker {
        for (name, vulnerability) in vulnerabilities {
            let told = vulnerability.pointer(&format!("/releases/{release}"));
            let Some(told) = told else { continue };
            let fixed = told.get("fixed_version").and_then(Value::as_str);
            if fixed == Some("0") {
                continue;
            }
            let count = numbers.len();
            let number = *numbers.entry(name).or_insert_with(|| {
                names.push_str(&format!("{name},,\n"));
                count
            });
            let flag = if fixed.is_some() { 'F' } else { ' ' };
            rows.push_str(&format!("{package},{number},S ?{flag},{},\n", fixed.unwrap_or_default()));
        }
    }
    if rows.is_empty() {
        bail!("{} says nothing of {release}", path.display());
    }
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    out.write_all(format!("VERSION 1\n{names}\n{rows}\n\n").as_bytes())?;
    Ok(out.finish()?)
}
