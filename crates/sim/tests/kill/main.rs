//! A server that is killed in the middle of taking reports in loses none that it acknowledged.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it left out"
)]

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use bartizan_core::canonical::Value;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_ledger::bundle::verify::Held;
use bartizan_ledger::checkpoint::Key;
use bartizan_sim::host::{Facts, Host, Way, checks};
use bartizan_sim::replica::BASELINE;
use bartizan_store::{Place, Store};
use bartizan_wire::report::{Outcome, Report};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::replica::Replica;

mod replica;

/// How often the server is killed on each engine.
const KILLS: u32 = 200;

/// Hosts that report at the same time.
const HOSTS: usize = 3;

/// The longest that a server lives, in milliseconds: some die before their first commit.
const LIFE_MS: u64 = 150;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bartizan-sim-replica");

fn facts(number: u64) -> Facts {
    let verdict = if number.is_multiple_of(2) { Verdict::Met } else { Verdict::NotMet };
    let documents = bartizan_core::document::parse("simulated.yaml", BASELINE).unwrap();
    let verdicts = checks(&documents).into_iter();
    let verdicts = verdicts.map(|((baseline, rule), check)| ((baseline, rule, check), verdict));
    Facts {
        sections: [("sysctl".to_owned(), Value::parse(&format!("{{\"number\":{number}}}")).unwrap())].into(),
        verdicts: verdicts.collect(),
    }
}

/// A host with the report that was not acknowledged yet.
struct Reporter {
    host: Host,
    acknowledged: u64,
    waiting: Option<Report>,
}

impl Reporter {
    /// Reports until the server is gone.
    async fn report(&mut self) {
        loop {
            let number = self.acknowledged + 1;
            let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap());
            let waiting = self.waiting.take();
            let report = waiting.unwrap_or_else(|| self.host.compose(facts(number), Vec::new(), at));
            match self.host.send(&report).await {
                Ok(Outcome::Committed { .. } | Outcome::Known) => self.acknowledged += 1,
                Ok(other) => panic!("a report was answered with {other:?}"),
                Err(_) => {
                    self.waiting = Some(report);
                    return;
                }
            }
        }
    }
}

async fn killed_again_and_again(folder: &Path, place: &Place) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let postgres = match place {
        Place::Postgres { url, schema } => Some((url.as_str(), schema.as_deref().unwrap())),
        Place::Sqlite(_) => None,
    };
    let mut random = StdRng::seed_from_u64(7);
    let mut reporters: Vec<Reporter> = Vec::new();
    let mut ledger = None;
    for _ in 0..KILLS {
        let mut replica = Replica::start(Path::new(PROGRAM), folder, postgres).unwrap();
        let told = replica.told.clone();
        if reporters.is_empty() {
            for number in 0..HOSTS {
                let way =
                    Way { server: told.agents.clone(), pinned: told.fingerprint, key: told.key.clone() };
                let name = format!("host-{number}");
                let host = Host::open(&folder.join(&name), &name, &way).await.unwrap();
                reporters.push(Reporter { host, acknowledged: 0, waiting: None });
            }
        }
        for reporter in &mut reporters {
            reporter.host.follow(&told.agents).unwrap();
        }
        let life = Duration::from_millis(random.random_range(0..LIFE_MS));
        let reporting = reporters.iter_mut().map(Reporter::report);
        let kill = async {
            tokio::time::sleep(life).await;
            replica.kill().unwrap();
        };
        tokio::join!(futures::future::join_all(reporting), kill);
        ledger = Some(told.ledger);
    }
    let key = Key::parse(&ledger.unwrap()).unwrap();
    verify(folder, place, &mut reporters, &key).await;
}

/// Once it is left alone, everything that was acknowledged is there, once, and the ledger proves it.
async fn verify(folder: &Path, place: &Place, reporters: &mut [Reporter], key: &Key) {
    let postgres = match place {
        Place::Postgres { url, schema } => Some((url.as_str(), schema.as_deref().unwrap())),
        Place::Sqlite(_) => None,
    };
    let store = Store::open(place).await.unwrap();
    let mut replica = Replica::start(Path::new(PROGRAM), folder, postgres).unwrap();
    // What was in flight at the last kill is sent again, under its own place.
    for reporter in reporters.iter_mut() {
        reporter.host.follow(&replica.told.agents).unwrap();
        if let Some(report) = reporter.waiting.take() {
            let outcome = reporter.host.send(&report).await.unwrap();
            assert!(matches!(outcome, Outcome::Committed { .. } | Outcome::Known), "{outcome:?}");
            reporter.acknowledged += 1;
        }
    }
    let settled = async {
        while store.staged().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
    replica.kill().unwrap();
    let mut total = 0;
    for reporter in reporters.iter() {
        let asset = store.asset(reporter.host.asset()).await.unwrap().unwrap();
        let standing = store.asset_standing(asset.number).await.unwrap().unwrap();
        assert_eq!(standing.reports, reporter.acknowledged, "each report that was acknowledged, once");
        let transitions = store.asset_transitions(asset.number, 1_000_000).await.unwrap();
        assert_eq!(transitions.len() as u64, reporter.acknowledged, "each changed one verdict");
        let body = store.asset_section(asset.number, "sysctl").await.unwrap().unwrap();
        let expected = format!("{{\"number\":{}}}", reporter.acknowledged);
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        total += reporter.acknowledged;
    }
    eprintln!("{} kills on {}: {total} reports acknowledged, none lost", KILLS, store.engine());
    assert!(total > u64::from(KILLS), "too few reports were sent for the kills to hit any: {total}");
    let head = store.checkpoint().await.unwrap().unwrap();
    let signed = key.open(&head.note).unwrap();
    let entries = store.leaves(0, 10_000_000).await.unwrap().into_iter().map(|(_, entry)| entry);
    let mut bundle = Vec::new();
    bartizan_ledger::export(&mut bundle, key, &signed, entries).unwrap();
    let held = Held { key: Some(key.clone()), checkpoints: Vec::new() };
    bartizan_ledger::verify(bundle.as_slice(), &held).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_report_is_lost_when_the_server_is_killed_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path().join("bartizan.db"));
    killed_again_and_again(folder.path(), &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_report_is_lost_when_the_server_is_killed_on_postgresql() {
    let Some(url) = std::env::var_os("BARTIZAN_TEST_POSTGRES") else {
        eprintln!("left out: PostgreSQL, since BARTIZAN_TEST_POSTGRES names no server");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Not by the process's number: numbers come again, and a run that was cut off leaves its schema.
    let schema = Some(format!("kill_{:016x}", RandomState::new().hash_one(0)));
    let place = Place::Postgres { url: url.into_string().unwrap(), schema };
    killed_again_and_again(folder.path(), &place).await;
}
