//! A replica of the server for fault tests:
//! `bartizan-sim-replica FOLDER [POSTGRES_URL SCHEMA] [--smtp URL] [--ahead-ms NUMBER]`.
//!
//! It says where it is on one line of JSON, and answers until it is killed.

use std::process::ExitCode;

use bartizan_core::document;
use bartizan_core::enrolment::Grant;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_server::ambient::Ambient;
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::channels::email::Relay;
use bartizan_server::{App, Reach, Settings};
use bartizan_sim::replica::{BASELINE, Told};
use bartizan_store::Place;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[expect(clippy::disallowed_methods, reason = "this is a composition root: here the clock is read")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
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

/// Takes a flag and its value out of the words.
fn flag(words: &mut Vec<String>, name: &str) -> Option<String> {
    let place = words.iter().position(|word| word == name)?;
    let mut taken = words.drain(place..(place + 2).min(words.len()));
    taken.nth(1)
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let relay = flag(&mut words, "--smtp").map(|url| Relay::parse(&url, "bartizan@example.org", None));
    let reach = Reach { relay: relay.transpose()?, ..Reach::default() };
    let ahead = flag(&mut words, "--ahead-ms").map_or(Ok(0), |number| number.parse::<u32>())?;
    let mut arguments = words.into_iter();
    let folder = std::path::PathBuf::from(arguments.next().ok_or("name a folder")?);
    let place = match arguments.next() {
        Some(url) => Place::Postgres { url, schema: arguments.next() },
        None => Place::Sqlite(folder.join("bartizan.db")),
    };
    let settings = Settings { place, ..Settings::in_folder(&folder) };
    let clock = move || now().plus(Duration::from_millis(ahead));
    let app = App::start_with(&settings, &reach, Ambient::new(clock, StdRng::from_os_rng())).await?;
    let documents = document::parse("simulated.yaml", BASELINE).map_err(|faults| format!("{faults:?}"))?;
    let applied = bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await;
    applied.map_err(|problem| problem.title().to_owned())?;
    let grant = Grant {
        service: "simulated".to_owned(),
        environment: "dev".to_owned(),
        class: bartizan_core::asset::Class::Server,
        labels: std::collections::BTreeMap::new(),
        networks: Vec::new(),
        approval: false,
    };
    let wanted = Wanted { uses: 1_000, expires_in: Duration::from_hours(1), grant };
    let key = enrolment::create(&app.web, wanted).await.map_err(|problem| problem.title().to_owned())?;
    let told = Told {
        agents: format!("https://{}", app.agents()),
        fingerprint: app.fingerprint(),
        key: key.key,
        ledger: app.web.ledger_key.to_string(),
    };
    let mut line = serde_json::to_string(&told)?;
    line.push('\n');
    std::io::Write::write_all(&mut std::io::stdout().lock(), line.as_bytes())?;
    // Until it is killed.
    std::future::pending::<()>().await;
    Ok(())
}
