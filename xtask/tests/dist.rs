//! The agent's Debian package, installed by dpkg into a root of its own and run from there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use xtask::dist::deb;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A program run to its end: whether it succeeded, and what it said.
fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), text)
}

/// The agent as the tests' build has it.
fn agent() -> std::path::PathBuf {
    // As the test command builds: one package alone would build its dependencies anew, with other features.
    let words = ["build", "--quiet", "--workspace", "--bins", "--tests"];
    xtask::output(Command::new("cargo").args(words)).unwrap();
    xtask::target_folder().unwrap().join("debug/bartizan-agent")
}

#[test]
fn the_agents_package_installs_runs_and_keeps_what_an_administrator_wrote() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        println!("left out: this host has no dpkg");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = deb::agent(&agent()).unwrap().build(folder.path()).unwrap();
    let host = folder.path().join("host");
    for name in ["info", "updates", "triggers"] {
        fs::create_dir_all(host.join("var/lib/dpkg").join(name)).unwrap();
    }
    fs::write(host.join("var/lib/dpkg/status"), "").unwrap();
    let install = || {
        let mut dpkg = Command::new("dpkg");
        // The log belongs to the scratch root, too, and nobody has to be root to try.
        dpkg.arg(format!("--root={}", host.display())).args([
            "--force-not-root",
            "--force-bad-path",
            "--log=/dev/null",
        ]);
        told(dpkg.arg("--install").arg(&package))
    };
    let (installed, said) = install();
    assert!(installed, "{said}");
    let settings = host.join("etc/bartizan-agent/agent.env");
    assert_eq!((mode(&settings), mode(settings.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&host.join("var/lib/bartizan-agent")), 0o700);
    let unit = fs::read_to_string(host.join("usr/lib/systemd/system/bartizan-agent.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/bartizan-agent run"), "{unit}");
    let program = host.join("usr/bin/bartizan-agent");
    let (ran, said) = told(Command::new(&program).arg("--version"));
    assert_eq!((ran, said.trim()), (true, concat!("bartizan-agent ", env!("CARGO_PKG_VERSION"))));
    // Without a server it says what it lacks, and exits as for a mistake.
    let output = Command::new(&program).arg("run").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // An upgrade leaves the settings as they were written.
    fs::write(&settings, "BARTIZAN_SERVER=https://server.example:8444\n").unwrap();
    let (installed, said) = install();
    assert!(installed, "{said}");
    assert!(fs::read_to_string(&settings).unwrap().starts_with("BARTIZAN_SERVER="));
}

#[test]
fn the_pages_of_the_manual_name_every_option() {
    let (_, help) = told(Command::new(agent()).args(["run", "--help"]));
    let page = include_str!("../dist/bartizan-agent.8").replace("\\-", "-");
    let options = help.split_whitespace().filter(|word| word.starts_with("--"));
    let mut options: Vec<&str> = options.map(|word| word.trim_end_matches([',', ']', '>'])).collect();
    options.retain(|option| !["--help", "--version"].contains(option));
    assert!(options.len() > 5, "{help}");
    for option in options {
        assert!(page.contains(option), "{option} is not in the manual");
    }
}
