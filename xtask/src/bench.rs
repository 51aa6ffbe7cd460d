//! `cargo xtask bench`: figures, each with the peer's from the same run where there is one. Never a test:
//! a figure is for people to judge.

use anyhow::Result;

pub mod agent;
mod figures;
pub mod posture;
pub mod scan;

/// What is measured.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Memory and processor time of an idle agent with everything on, beside prometheus-node-exporter.
    Agent(agent::Arguments),
    /// How posture scales: a whole server with a made-up fleet of 100,000 assets.
    Posture(posture::Arguments),
    /// Import of feeds, and a full scan of a host, beside debsecan, apt and dpkg-query.
    Scan(scan::Arguments),
}

/// Measures, and prints.
pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Agent(arguments) => agent::run(arguments),
        Bench::Posture(arguments) => posture::run(arguments),
        Bench::Scan(arguments) => scan::run(arguments),
    }
}
