//! `cargo xtask fuzz`: each target for some seconds. The targets are a workspace of their own, in `fuzz/`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{cargo, root, run as execute};

/// Every target, and the parser that it feeds. Tidy holds that both are there.
pub const TARGETS: [(&str, &str); 25] = [
    ("version", "crates/core/src/vulnerability/version.rs"),
    ("tracker", "crates/feeds/src/debian.rs"),
    ("osv", "crates/feeds/src/osv.rs"),
    ("osv_zip", "crates/feeds/src/osv.rs"),
    ("kev", "crates/feeds/src/kev.rs"),
    ("epss", "crates/feeds/src/epss.rs"),
    ("dpkg_status", "crates/probe/src/packages/dpkg.rs"),
    ("apk", "crates/probe/src/packages/apk.rs"),
    ("rpm_sqlite", "crates/probe/src/packages/rpm/sqlite.rs"),
    ("apt_list", "crates/probe/src/packages/apt.rs"),
    ("document", "crates/core/src/document.rs"),
    ("canonical", "crates/core/src/canonical.rs"),
    ("selector", "crates/core/src/selector.rs"),
    ("sigma", "crates/detect/src/rules.rs"),
    ("syslog", "crates/detect/src/syslog.rs"),
    ("wire", "crates/wire/src/lib.rs"),
    ("bundle", "crates/ledger/src/bundle/verify.rs"),
    ("checkpoint", "crates/ledger/src/checkpoint.rs"),
    ("account", "crates/probe/src/account.rs"),
    ("sudoers", "crates/probe/src/account/sudoers.rs"),
    ("sshd", "crates/probe/src/ssh/file.rs"),
    ("certificate", "crates/probe/src/certificate.rs"),
    ("job", "crates/probe/src/job.rs"),
    ("sysctl", "crates/probe/src/sysctl.rs"),
    ("os_release", "crates/probe/src/os.rs"),
];

/// The longest input, in bytes: what is longer is the same again.
const INPUT_BYTES_LIMIT: u32 = 64 << 10;

/// What `cargo xtask fuzz` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only these targets.
    targets: Vec<String>,
    /// For how long each is run.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// Runs the targets one after the other; the error names those that failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    if cargo(&["fuzz", "--version"]).output().map_or(true, |told| !told.status.success()) {
        bail!("cargo-fuzz is not installed: `cargo install cargo-fuzz`");
    }
    let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = arguments.targets.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no target `{unknown}`: there are {}", known.join(", "));
    }
    let mut failed = Vec::new();
    for name in known
        .iter()
        .filter(|name| arguments.targets.is_empty() || arguments.targets.iter().any(|asked| asked == *name))
    {
        let corpus = root().join("fuzz/corpus").join(name);
        fs::create_dir_all(&corpus).with_context(|| format!("can't make {}", corpus.display()))?;
        // The parsers hold no unsafe code: coverage finds their panics, a sanitizer would only cost time.
        let mut fuzz = cargo(&["fuzz", "run", "--sanitizer", "none", name]);
        fuzz.arg(format!("fuzz/corpus/{name}")).arg(format!("fuzz/seeds/{name}")).arg("--");
        fuzz.arg(format!("-max_total_time={}", arguments.seconds));
        fuzz.args([
            format!("-max_len={INPUT_BYTES_LIMIT}"),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=1024".to_owned(),
        ]);
        if execute(&mut fuzz).is_err() {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}; the inputs lie in fuzz/artifacts", failed.join(", "))
}
