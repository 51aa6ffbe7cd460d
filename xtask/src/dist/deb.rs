//! Debian packages, built with dpkg-deb: a tree of files, a control file, and which files are the host's to edit.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Programs;
use crate::{output, target_folder};

/// One file on its way into a package.
#[derive(Clone, Debug)]
struct File {
    /// Where it will lie, without the leading slash.
    path: String,
    bytes: Vec<u8>,
    mode: u32,
}

/// One package.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: &'static str,
    summary: &'static str,
    description: &'static str,
    files: Vec<File>,
    /// Folders that only root may enter.
    closed: &'static [&'static str],
    /// Files that an administrator edits, and an upgrade leaves alone.
    conffiles: &'static [&'static str],
    recommends: &'static str,
}

const SERVICE: &str = include_str!("../../dist/bartizan-agent.service");
const SETTINGS: &str = include_str!("../../dist/agent.env");
const AGENT_PAGE: &str = include_str!("../../dist/bartizan-agent.8");
const VERIFY_PAGE: &str = include_str!("../../dist/bartizan-verify.1");

/// Every package, of these programs.
pub fn packages(programs: &Programs) -> Result<Vec<Package>> {
    Ok(vec![command(&programs.bartizan)?, agent(&programs.agent)?, verifier(&programs.verify)?])
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

fn file(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> File {
    File { path: path.into(), bytes: bytes.into(), mode: 0o644 }
}

fn program(path: &str, bytes: Vec<u8>) -> File {
    File { path: path.to_owned(), bytes, mode: 0o755 }
}

fn command(bartizan: &Path) -> Result<Package> {
    let mut files = vec![program("usr/bin/bartizan", read(bartizan)?)];
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/bartizan"),
        ("zsh", "usr/share/zsh/vendor-completions/_bartizan"),
        ("fish", "usr/share/fish/vendor_completions.d/bartizan.fish"),
    ] {
        files.push(file(path, output(Command::new(bartizan).args(["completions", shell]))?));
    }
    let pages = target_folder()?.join("dist-man");
    if pages.exists() {
        fs::remove_dir_all(&pages)?;
    }
    output(Command::new(bartizan).args(["man", "--out"]).arg(&pages))?;
    for entry in fs::read_dir(&pages)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push(file(format!("usr/share/man/man1/{name}"), read(&entry.path())?));
    }
    Ok(Package {
        name: "bartizan",
        summary: "watches a fleet: configuration, vulnerabilities, health, incidents",
        description: "Server, console and command line; the engines also work alone, without a server.",
        files,
        closed: &[],
        conffiles: &[],
        recommends: "bartizan-verify",
    })
}

/// The agent's package, of this program.
pub fn agent(agent: &Path) -> Result<Package> {
    let settings = File { mode: 0o600, ..file("etc/bartizan-agent/agent.env", SETTINGS) };
    let files = vec![
        program("usr/bin/bartizan-agent", read(agent)?),
        file("usr/lib/systemd/system/bartizan-agent.service", SERVICE),
        settings,
        file("usr/share/man/man8/bartizan-agent.8", AGENT_PAGE),
    ];
    Ok(Package {
        name: "bartizan-agent",
        summary: "observes one host and reports to its Bartizan server",
        description: "Only observes until the host's own file allows more. It is not started by being installed: write where its server is into \
            /etc/bartizan-agent/agent.env, then enable the service.",
        files,
        closed: &["etc/bartizan-agent", "var/lib/bartizan-agent"],
        conffiles: &["/etc/bartizan-agent/agent.env"],
        recommends: "",
    })
}

fn verifier(verify: &Path) -> Result<Package> {
    Ok(Package {
        name: "bartizan-verify",
        summary: "says offline whether a bundle is what a Bartizan ledger signed",
        description: "A small program of its own, for whoever trusts no server: it reads the files that it is given \
            and nothing else.",
        files: vec![
            program("usr/bin/bartizan-verify", read(verify)?),
            file("usr/share/man/man1/bartizan-verify.1", VERIFY_PAGE),
        ],
        closed: &[],
        conffiles: &[],
        recommends: "",
    })
}

impl Package {
    /// Builds it into a folder; gives the file.
    pub fn build(&self, out: &Path) -> Result<PathBuf> {
        let architecture = output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
        let version = env!("CARGO_PKG_VERSION");
        let tree = out.join(format!(".{}", self.name));
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        self.lay_out(&tree)?;
        let kilobytes = self.files.iter().map(|file| file.bytes.len()).sum::<usize>().div_ceil(1_024);
        let mut control = format!(
            "Package: {}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Bartizan <root@localhost>\n\
             Section: admin\nPriority: optional\nInstalled-Size: {kilobytes}\n",
            self.name
        );
        if !self.recommends.is_empty() {
            control.push_str(&format!("Recommends: {}\n", self.recommends));
        }
        control.push_str(&format!("Description: {}\n {}\n", self.summary, self.description));
        let debian = tree.join("DEBIAN");
        write(&debian.join("control"), control.as_bytes(), 0o644)?;
        if !self.conffiles.is_empty() {
            write(&debian.join("conffiles"), (self.conffiles.join("\n") + "\n").as_bytes(), 0o644)?;
        }
        let package = out.join(format!("{}_{version}_{architecture}.deb", self.name));
        let mut build = Command::new("dpkg-deb");
        output(build.args(["--root-owner-group", "--build"]).arg(&tree).arg(&package))?;
        fs::remove_dir_all(&tree)?;
        Ok(package)
    }

    /// Writes the package's files under a folder, with their modes.
    fn lay_out(&self, tree: &Path) -> Result<()> {
        for file in &self.files {
            write(&tree.join(&file.path), &file.bytes, file.mode)?;
        }
        for folder in self.closed {
            let path = tree.join(folder);
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

/// Writes a file and the folders above it, with modes that no umask changes.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    let mut missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    missing.reverse();
    for folder in missing {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}
