//! The agent against a real server: TLS, HTTP/2, disk and threads as they are.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod binary;
mod order;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bartizan_agent::spool::Place;
use bartizan_agent::{Agent, Error, Settings, report};
use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_probe::root::Root;
use bartizan_wire::checkin::Checkpoint;
use bartizan_wire::report::Outcome;
use rand::SeedableRng as _;
use server::{KEY, Server, WAITS, status};

const BASELINE: &str = r#"{"kind":"Baseline","name":"b","spec":{"title":"B","rules":[{"id":"motd","title":"T",
    "rationale":"R","severity":"low","remediation":"M","check":{"file":{"path":"/etc/motd","exists":true}}}]}}"#;

const DETECTION: &str = r#"{"kind":"Detection","name":"d","spec":{"sigma":"title: Refused\nlevel: high\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: failure}, condition: s}\n"}}"#;

const REFUSED_LOGIN: &str =
    "Nov 23 20:34:38 h sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2\n";

/// A host with its agent's folder, and a clock that the test sets.
struct Host {
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("root/etc")).unwrap();
        std::fs::create_dir_all(folder.path().join("root/var/log")).unwrap();
        std::fs::write(folder.path().join("root/etc/machine-id"), "0123456789abcdef0123456789abcdef\n")
            .unwrap();
        std::fs::write(folder.path().join("root/var/log/auth.log"), "").unwrap();
        Host { folder, clock: Arc::new(AtomicI64::new(1_800_000_000_000)) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    fn settings(&self, server: &Server, key: Option<&str>) -> Settings {
        Settings {
            folder: self.folder.path().join("state"),
            server: server.url(),
            authority_fingerprint: server.fingerprint.to_string(),
            enrolment_key: key.map(str::to_owned),
            name: "web-1".to_owned(),
            root: Root::at(self.folder.path().join("root")).unwrap(),
            logs: vec![PathBuf::from("/var/log/auth.log")],
            local: self.folder.path().join("agent.json"),
        }
    }

    fn start_with(&self, settings: Settings) -> Result<Agent, Error> {
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
        Agent::start(settings, clock, Box::new(rand::rngs::StdRng::seed_from_u64(1)))
    }

    fn start(&self, server: &Server) -> Agent {
        self.start_with(self.settings(server, Some(KEY))).unwrap()
    }
}

fn documents() -> Vec<Value> {
    [BASELINE, DETECTION].iter().map(|text| Value::parse(text).unwrap()).collect()
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_enrols_reports_whole_then_tells_changes_and_checks_in() {
    let (server, host) = (Server::start().await, Host::new());
    server.script().documents = documents();
    let agent = host.start(&server);
    let first = server.until("the first report", |script| script.reports.first().cloned()).await;
    let enrolled = server.script().enrolments[0].clone();
    assert_eq!((enrolled.name.as_str(), enrolled.machine.len()), ("web-1", 32));
    assert_eq!((first.epoch, first.sequence, first.whole), (1, 1, true));
    assert_eq!(first.verdicts[0].verdict, Verdict::NotMet);
    let hashes = first.sections.iter().map(|(name, section)| (name.as_str(), section.hash));
    assert_eq!(first.root, bartizan_wire::report::root(hashes));
    for (name, section) in &first.sections {
        match &section.body {
            Some(body) => assert_eq!(Digest::of(body), section.hash),
            None => assert_eq!(name, report::VERDICTS),
        }
    }
    std::fs::write(host.path("etc/motd"), "hello").unwrap();
    let changed = server.until("the changed verdict", |script| script.reports.get(1).cloned()).await;
    assert_eq!((changed.whole, changed.verdicts.len()), (false, 1));
    assert_eq!(changed.verdicts[0].verdict, Verdict::Met);
    append(&host.path("var/log/auth.log"), REFUSED_LOGIN);
    let signal =
        server.until("the signal", |script| script.reports.iter().find_map(|r| r.signals.first().cloned()));
    assert_eq!(signal.await.kind, Kind::Detection);
    let last = server.until("a check-in", |script| {
        let root = script.reports.last()?.root;
        script.heartbeats.iter().find(|heartbeat| heartbeat.root == root).cloned()
    });
    assert!(last.await.policy.is_some());
    status(&agent, "an empty spool", |status| {
        (status.spooled == 0 && status.problem.is_none()).then_some(())
    })
    .await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_needs_no_key_and_reports_in_the_next_epoch() {
    let (server, host) = (Server::start().await, Host::new());
    let agent = host.start(&server);
    server.until("a report", |script| script.reports.first().cloned()).await;
    let refused = host.start_with(host.settings(&server, None)).unwrap_err();
    assert!(refused.hint().unwrap().contains("--state"), "{refused}");
    agent.stop().await;
    let agent = host.start_with(host.settings(&server, None)).unwrap();
    // The start that was refused counted nothing.
    server.until("the next epoch", |script| script.reports.iter().any(|r| r.epoch == 2).then_some(())).await;
    assert_eq!(server.script().enrolments.len(), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_in_quarantine_says_so_and_loses_nothing_until_it_is_let_in() {
    let (server, host) = (Server::start().await, Host::new());
    server.script().quarantined = true;
    server.script().documents = documents();
    let agent = host.start(&server);
    let problem = status(&agent, "why nothing is taken", |status| status.problem.clone()).await;
    assert!(problem.class == Class::Denied && problem.text.contains(WAITS), "{}", problem.text);
    status(&agent, "what it keeps", |status| (status.spooled > 0).then_some(())).await;
    assert!(server.script().reports.is_empty());
    server.script().quarantined = false;
    let first = server.until("the first report", |script| script.reports.first().cloned()).await;
    assert_eq!((first.epoch, first.sequence, first.whole), (1, 1, true));
    // Its policy comes first, so that what it is judged by is told soon after.
    server
        .until("its verdict", |script| script.reports.iter().any(|r| !r.verdicts.is_empty()).then_some(()))
        .await;
    let status = status(&agent, "no loss", |status| (status.spooled == 0).then(|| status.clone())).await;
    assert!(status.lost.is_empty() && status.problem.is_none(), "{status:?}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_fingerprint_gets_no_key() {
    let (server, host) = (Server::start().await, Host::new());
    let mut settings = host.settings(&server, Some(KEY));
    settings.authority_fingerprint = Digest::of_bytes(b"another").to_string();
    let agent = host.start_with(settings).unwrap();
    let problem = status(&agent, "a problem", |status| status.problem.clone()).await;
    assert_eq!(problem.class, Class::Denied);
    assert!(problem.text.contains(&server.fingerprint.to_string()), "{}", problem.text);
    assert!(problem.hint.unwrap().contains("fingerprint"));
    assert!(server.script().enrolments.is_empty());
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_work_is_said_with_what_to_do() {
    let (server, host) = (Server::start().await, Host::new());
    server.script().used_up = true;
    let agent = host.start(&server);
    let problem = status(&agent, "a problem", |status| status.problem.clone()).await;
    assert_eq!(problem.class, Class::Denied);
    assert!(problem.text.contains("used up") && problem.hint.unwrap().contains("new one"));
    agent.stop().await;
    let without_key = host.start_with(host.settings(&server, None)).unwrap_err();
    assert!(matches!(without_key, Error::NoKey) && without_key.hint().is_some());
    let settings = Settings { server: "ftp://x".to_owned(), ..host.settings(&server, Some(KEY)) };
    assert_eq!(host.start_with(settings).unwrap_err().class(), Class::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_everything_waits_and_comes_in_order() {
    let (mut server, host) = (Server::start().await, Host::new());
    server.script().documents = documents();
    let agent = host.start(&server);
    let place = status(&agent, "an acknowledgement", |status| status.acknowledged).await;
    assert_eq!(place.epoch, 1);
    server.pause().await;
    append(&host.path("var/log/auth.log"), REFUSED_LOGIN);
    let problem = status(&agent, "a waiting report", |status| {
        (status.spooled > 0).then(|| status.problem.clone()).flatten()
    });
    let problem = problem.await;
    assert!(problem.class == Class::Unavailable && problem.text.contains("can't reach"), "{}", problem.text);
    // A restart in between loses nothing.
    agent.stop().await;
    let agent = host.start_with(host.settings(&server, None)).unwrap();
    status(&agent, "what waits", |status| (status.spooled > 1).then_some(())).await;
    server.resume().await;
    status(&agent, "the newest acknowledged", |status| {
        (status.acknowledged?.epoch == 2 && status.spooled == 0).then_some(())
    })
    .await;
    let places: Vec<Place> = server
        .script()
        .reports
        .iter()
        .map(|report| Place { epoch: report.epoch, sequence: report.sequence })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(server.script().reports.iter().any(|report| !report.signals.is_empty()));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_section_that_the_server_lacks_is_sent_again() {
    let (server, host) = (Server::start().await, Host::new());
    let agent = host.start(&server);
    let first = server.until("a report", |script| script.reports.first().cloned()).await;
    let name = first.sections.iter().find(|(_, section)| section.body.is_some()).unwrap().0.clone();
    server.script().wanted = vec![name.clone(), report::VERDICTS.to_owned()];
    let again = server.until("the section again", |script| script.reports.get(1).cloned()).await;
    assert_eq!(again.sections[&name], first.sections[&name]);
    assert!(again.whole);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_stops_reporting_and_says_so() {
    let (server, host) = (Server::start().await, Host::new());
    server.script().outcome = Some(Outcome::Clone);
    let agent = host.start(&server);
    let stood = status(&agent, "the clone", |status| status.clone.then(|| status.clone())).await;
    assert_eq!((stood.problem.unwrap().class, stood.spooled), (Class::Conflict, 1));
    assert_eq!(server.script().reports.len(), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nudge_brings_the_new_policy() {
    let (server, host) = (Server::start().await, Host::new());
    let agent = host.start(&server);
    server.until("the stream of nudges", |_| (server.listeners() > 0).then_some(())).await;
    server.script().documents = documents();
    server.nudge("policy");
    let whole =
        server.until("verdicts", |script| script.reports.iter().find(|r| !r.verdicts.is_empty()).cloned());
    assert!(whole.await.whole);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewritten_ledger_becomes_a_signal_with_its_evidence_kept() {
    let (server, host) = (Server::start().await, Host::new());
    let note = |root: &[u8]| {
        let signed = server.ledger().sign(5, Digest::of_bytes(root)).unwrap();
        Some(Checkpoint { note: signed.note().to_owned(), proof: Vec::new() })
    };
    server.script().checkpoint = note(b"first");
    let agent = host.start(&server);
    server
        .until("the checkpoint held", |script| {
            script.heartbeats.iter().any(|h| h.checkpoint == 5).then_some(())
        })
        .await;
    server.script().checkpoint = note(b"rewritten");
    let signal = server
        .until("the fork", |script| script.reports.iter().find_map(|r| r.signals.first().cloned()))
        .await;
    assert_eq!(signal.kind, Kind::Fork);
    let state = host.folder.path().join("state");
    let evidence = std::fs::read_to_string(state.join("fork")).unwrap();
    for held in [note(b"first"), note(b"rewritten")] {
        assert!(evidence.contains(&held.unwrap().note));
    }
    assert_eq!(std::fs::read_to_string(state.join("checkpoint")).unwrap(), note(b"first").unwrap().note);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_in_time_and_an_expired_one_asks_for_a_key() {
    let (server, host) = (Server::start().await, Host::new());
    let agent = host.start(&server);
    server.until("a report", |script| script.reports.first().cloned()).await;
    assert_eq!(server.script().renewals, 0);
    let year = |year: i64| (year - 1970) * 31_556_952_000;
    // The certificates of this server are good from 1975 to 4096.
    host.clock.store(year(3500), Ordering::SeqCst);
    server.until("the renewal", |script| (script.renewals > 0).then_some(())).await;
    let beats = server.script().heartbeats.len();
    server.until("a check-in after it", |script| (script.heartbeats.len() > beats).then_some(())).await;
    agent.stop().await;
    host.clock.store(year(5000), Ordering::SeqCst);
    let agent = host.start_with(host.settings(&server, None)).unwrap();
    let problem = status(&agent, "the expiry", |status| status.problem.clone()).await;
    assert!(problem.text.contains("expired") && problem.hint.unwrap().contains("--key"));
    agent.stop().await;
}
