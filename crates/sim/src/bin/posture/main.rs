//! How posture scales: `bartizan-sim-posture [--assets N] [--database URL] [--folder DIR]`.
//!
//! A whole server in this process: its stages, its store, the router that people reach over TLS
//! and the one that agents reach. Requests are handed to the routers without TLS, and what agents send
//! is made in this process, too. Each figure is held against the population's own count.
#![expect(clippy::print_stdout, reason = "a benchmark talks to the person who runs it")]

mod allocations;
mod days;
mod fleet;
mod pages;
mod volume;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bartizan_sim::population::{DISTRIBUTIONS, NEWS, NEWS_SOURCE, Population, RULES, feed};
use bartizan_store::Place;
use tokio::time::Instant;

use fleet::Fleet;

/// What everything can fail with: it is told, and the program ends.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The seed of the population.
const SEED: u64 = 2_026;

/// How soon an advisory is to be in the figures.
const NEWS_GOAL: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

struct Arguments {
    hosts: u32,
    folder: Option<PathBuf>,
    database: Option<String>,
}

#[expect(clippy::print_stderr, reason = "this is a program, and this is where it says what went wrong")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, Failure> {
    let mut arguments = Arguments { hosts: 100_000, folder: None, database: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        match word.as_str() {
            "--assets" => arguments.hosts = value.parse()?,
            "--folder" => arguments.folder = Some(PathBuf::from(value)),
            "--database" => arguments.database = Some(value),
            _ => return Err(format!("there is no `{word}`: --assets, --database, --folder").into()),
        }
    }
    if !(1..=1_000_000).contains(&arguments.hosts) {
        return Err("--assets is from 1 to 1000000".into());
    }
    Ok(arguments)
}

/// One line of the report.
fn say(what: &str, figure: &str) {
    println!("{what:<44} {figure}");
}

/// What a figure was to be, and whether it is.
fn goal(wanted: &str, is_met: bool) -> String {
    format!("goal {wanted}: {}", if is_met { "met" } else { "missed" })
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[tokio::main]
async fn run() -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = arguments()?;
    let folder = match arguments.folder {
        Some(folder) => folder,
        None => std::env::temp_dir().join(format!("bartizan-bench-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder)?;
    let place = match arguments.database {
        Some(url) => Place::Postgres { url, schema: Some(format!("bench_{}", std::process::id())) },
        None => Place::Sqlite(folder.join("bartizan.db")),
    };
    let population = Population { seed: SEED, hosts: arguments.hosts };
    let result = measure(population, place, &folder).await;
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn measure(population: Population, place: Place, folder: &std::path::Path) -> Result<(), Failure> {
    let hosts = population.hosts;
    println!(
        "{hosts} assets, {} distributions, {RULES} rules; seed {}; without TLS",
        DISTRIBUTIONS.len(),
        population.seed
    );
    let fleet = Fleet::start(population, place, folder).await?;
    say("engine", fleet.app.web.store.engine());
    feed::write(&population, &folder.join("raw"), false)?;
    let began = Instant::now();
    let records = fleet.import().await?;
    say("first import of the feeds", &format!("{} ({records} records)", seconds(began.elapsed())));
    days::enrol(&fleet).await?;
    days::compare(&fleet).await?;
    days::unchanged(&fleet).await?;
    news(&fleet, folder).await?;
    pages::show(&fleet).await?;
    days::changes(&fleet).await?;
    pages::show(&fleet).await?;
    allocations::show(&fleet).await?;
    fleet.stop().await
}

/// One advisory that hits most of the fleet: from the import of its record until the figures show it.
async fn news(fleet: &Fleet, folder: &std::path::Path) -> Result<(), Failure> {
    let population = fleet.population;
    let hit = (0..population.hosts).filter(|host| population.is_hit(*host)).count() as u64;
    feed::write(&population, &folder.join("raw"), true)?;
    let began = Instant::now();
    fleet.import().await?;
    let imported = began.elapsed();
    let pair = bartizan_core::vulnerability::affected::Pair {
        vulnerability: NEWS.to_owned(),
        source: NEWS_SOURCE.to_owned(),
    };
    fleet
        .until(async |web| Ok(web.store.vulnerability(&pair).await?.is_some_and(|row| row.affected == hit)))
        .await?;
    let shown = began.elapsed();
    let share = 100 * hit / u64::from(population.hosts);
    say(
        &format!("an advisory that hits {hit} assets ({share}%)"),
        &format!(
            "{} until the figures show it, of which import {}, judging and counting {}; {}",
            seconds(shown),
            seconds(imported),
            seconds(shown - imported),
            goal(&format!("< {}", seconds(NEWS_GOAL)), shown < NEWS_GOAL),
        ),
    );
    fleet.settle().await?;
    say("  until every host's signal is an alert", &seconds(began.elapsed()));
    Ok(())
}
