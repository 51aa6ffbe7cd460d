//! `cargo xtask dist`: release binaries, Debian packages and their checksums.
//!
//! The agent is linked statically, so that one file runs on every host of an architecture; the others
//! link what the build host has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cargo, output, root, run as execute, target_folder};

pub mod deb;

/// What `cargo xtask dist` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder that everything is written to.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// Optimise across crates when linking: smaller and a little quicker, and it takes many minutes more.
    #[arg(long)]
    lto: bool,
}

/// The programs that are built.
#[derive(Clone, Debug)]
pub struct Programs {
    pub bartizan: PathBuf,
    pub agent: PathBuf,
    pub verify: PathBuf,
}

/// Builds, packs, and prints what came of it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let programs = build(arguments.lto)?;
    linkage(&programs.agent)?;
    let out = root().join(&arguments.out);
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    for program in [&programs.bartizan, &programs.agent, &programs.verify] {
        let name = program.file_name().context("a program without a name")?;
        fs::copy(program, out.join(name))?;
    }
    for package in deb::packages(&programs)? {
        let file = package.build(&out)?;
        println!("packed {}", file.display());
    }
    let sums = sums(&out)?;
    fs::write(out.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    Ok(())
}

fn build(lto: bool) -> Result<Programs> {
    let host = host()?;
    let target = target_folder()?;
    let build = |words: &[&str]| {
        let mut command = cargo(&["build", "--release"]);
        command.args(words);
        if lto {
            command.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
        }
        command
    };
    execute(&mut build(&["--package", "bartizan", "--package", "bartizan-verify"]))?;
    // With a target of its own, what runs while building stays linked as usual.
    execute(
        build(&["--package", "bartizan-agent", "--target", &host])
            .env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )?;
    Ok(Programs {
        bartizan: target.join("release/bartizan"),
        agent: target.join(&host).join("release/bartizan-agent"),
        verify: target.join("release/bartizan-verify"),
    })
}

/// The target triple of this machine.
fn host() -> Result<String> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc names no host")?.to_owned())
}

/// Says how the agent is linked: what the loader would bring in has to be nothing.
fn linkage(agent: &Path) -> Result<()> {
    // ldd says so, and fails, where there is nothing to load.
    let told = Command::new("ldd").arg(agent).output().context("can't start ldd")?;
    let text = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).trim().to_owned();
    println!("bartizan-agent: {text}");
    Ok(())
}

/// The SHA-256 of every file in a folder, as sha256sum(1) prints and checks them.
fn sums(folder: &Path) -> Result<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    output(Command::new("sha256sum").current_dir(folder).args(&names))
}
