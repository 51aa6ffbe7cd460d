//! A small fleet in a real server: what the pages are looked at with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bartizan_core::asset::{Asset, Class};
use bartizan_core::digest::Digest;
use bartizan_core::document;
use bartizan_core::enrolment::{Grant, Key};
use bartizan_core::fact::PackageManager;
use bartizan_core::id::{AssetId, EnrolmentKeyId, PersonId};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_core::vulnerability::advisory::Rating;
use bartizan_core::vulnerability::matching::{self, FixState, Match, Tuple};
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings, api, auth};
use bartizan_store::asset::Identity;
use bartizan_store::enrolment::Request;
use bartizan_store::feed::Feed;
use bartizan_store::matching::{Matched, Progress};
use bartizan_store::report::{Report, SectionBody, Verdicts};
use bartizan_store::subject::Subject;
use bartizan_store::tuple::Build;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// When everything happens: the real time, since clients hold certificates against it.
static NOW: LazyLock<Timestamp> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "a test is a composition root")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
});

/// A name that would run as script where it was not escaped.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>";

const DOCUMENTS: &str = r#"
kind: Baseline
name: shop-servers
owner: platform
spec:
  title: Servers of the shop
  description: How the servers of the shop are set up.
  rules:
    - id: log-martians
      title: The kernel logs packets with impossible addresses
      rationale: A spoofed packet leaves no trace where nobody writes it down.
      severity: high
      check: {sysctl: {key: net.ipv4.conf.all.log_martians, value: {equals: 1}}}
      remediation: Set net.ipv4.conf.all.log_martians to 1.
    - id: ip-forward
      title: The kernel forwards no packets
      rationale: A server that forwards packets is a way around the firewall.
      severity: medium
      check: {sysctl: {key: net.ipv4.ip_forward, value: {equals: 0}}}
      remediation: Set net.ipv4.ip_forward to 0.
    - id: core-dumps
      title: Programs that change user leave no memory image
      rationale: An image of memory holds keys and passwords.
      severity: low
      check: {sysctl: {key: fs.suid_dumpable, value: {equals: 0}}}
      remediation: Set fs.suid_dumpable to 0.
---
kind: Detection
name: shells
spec:
  sigma: |
    title: A shell that goes out
    id: reverse-shell
    description: A shell whose input is a socket.
    logsource: {product: linux, category: process_creation}
    detection: {shell: {name: sh}, condition: shell}
    falsepositives:
      - A rehearsal of the on-call team
    level: high
---
kind: Health
name: shop-health
spec:
  thresholds:
    - id: disk-full
      measure: disk_used
      above: 90%
      clear: 85%
      severity: critical
      summary: a file system is nearly full
---
kind: Route
name: everything
owner: platform
spec:
  receivers:
    - name: on-call
      webhook: {url: "http://127.0.0.1:9/"}
  route:
    receiver: on-call
"#;

pub(crate) fn now() -> Timestamp {
    *NOW
}

fn ago(minutes: u32) -> Timestamp {
    now().minus(Duration::from_secs(60 * minutes))
}

fn digest(text: &str) -> Digest {
    Digest::of_bytes(text.as_bytes())
}

/// A server on SQLite in this folder, on free ports.
pub(crate) fn settings(folder: &Path) -> Settings {
    Settings { names: vec!["localhost".to_owned()], ..Settings::in_folder(folder) }
}

pub(crate) async fn start(folder: &Path) -> App {
    App::start(&settings(folder), Ambient::new(now, StdRng::seed_from_u64(7))).await.unwrap()
}

/// A person with these roles, and the link by which that person signs in.
pub(crate) async fn person(app: &App, number: u8, name: &str, roles: &[Role]) -> String {
    let person = Person {
        id: PersonId::mint(now(), [number; 10]),
        name: name.to_owned(),
        roles: roles.iter().copied().collect(),
        services: ["shop".to_owned()].into(),
        grants: Vec::new(),
        disabled: false,
    };
    app.web.store.put_person(&person, now(), app.web.ambient.random()).await.unwrap();
    auth::link(&app.web, person.id).await.unwrap()
}

async fn enrol(app: &App, number: u8, name: &str, service: &str, tier: &str) -> Asset {
    let secret = digest(&format!("secret {number}"));
    let grant = Grant {
        service: service.to_owned(),
        environment: "dev".to_owned(),
        class: Class::Server,
        labels: Labels::from([("tier".to_owned(), tier.to_owned())]),
        networks: Vec::new(),
        approval: false,
    };
    let id = EnrolmentKeyId::mint(now(), [number; 10]);
    let key =
        Key { id, uses_left: 1, expires_at: now().plus(Duration::from_hours(1)), revoked_at: None, grant };
    app.web.store.create_enrolment_key(&key, secret, None, ago(4_000)).await.unwrap();
    let request = Request {
        secret,
        address: IpAddr::from(Ipv4Addr::LOCALHOST),
        name: name.to_owned(),
        identity: Identity {
            public_key: digest(&format!("key {number}")),
            machine: format!("machine-{number}"),
        },
        fresh: AssetId::mint(now(), [number; 10]),
        now: ago(4_000),
    };
    app.web.store.enrol(request).await.unwrap().unwrap()
}

fn tuple(source: &str, version: &str) -> Tuple {
    Tuple {
        ecosystem: "debian".to_owned(),
        release: "bookworm".to_owned(),
        origin: None,
        source: source.to_owned(),
        source_version: version.to_owned(),
        package: source.to_owned(),
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        manager: PackageManager::Dpkg,
    }
}

fn report(asset: &Asset, sequence: u64, minutes: u32, verdicts: [Verdict; 3]) -> Report {
    let at = ago(minutes);
    let os = format!(r#"{{"id":"debian","name":"{}","version":"12"}}"#, asset.number);
    let rules = ["log-martians", "ip-forward", "core-dumps"].into_iter().zip(verdicts);
    let looks = rules.map(|(rule, verdict)| {
        let (baseline, rule) = ("shop-servers".to_owned(), rule.to_owned());
        (Subject { check: digest(&rule), baseline, rule }, verdict, at)
    });
    Report {
        number: asset.number,
        epoch: 1,
        sequence,
        digest: digest(&format!("{} {sequence}", asset.number)),
        root: digest("root"),
        observed_at: at,
        recorded_at: at,
        sections: vec![SectionBody { name: "os".to_owned(), hash: digest(&os), body: Some(os.into_bytes()) }],
        verdicts: Verdicts { whole: true, looks: looks.collect() },
        tuples: Some(
            [tuple("openssl", "3.0.11-1"), tuple("zlib", "1:1.2.13"), tuple("curl", "7.88.1-10")]
                .map(|tuple| Build::of(tuple).unwrap())
                .to_vec(),
        ),
        partial: false,
        signals: Vec::new(),
        outcomes: Vec::new(),
    }
}

fn signal(
    asset: &Asset,
    subject: &str,
    object: &str,
    severity: Severity,
    summary: String,
    minutes: u32,
) -> Signal {
    Signal {
        kind: if subject == "reverse-shell" { Kind::Detection } else { Kind::Health },
        subject: subject.to_owned(),
        asset: asset.id,
        object: object.to_owned(),
        state: State::Firing,
        severity,
        labels: asset.labels(),
        summary,
        at: ago(minutes),
        backlog: false,
    }
}

fn found(id: &str, source: &str, severity: Severity, fixed: Option<&str>) -> Match {
    let rating = Rating {
        rating: severity,
        score_tenths: None,
        vector: None,
        version: None,
        source: "debian".to_owned(),
    };
    Match {
        vulnerability: id.to_owned(),
        advisories: vec![id.to_owned()],
        source: source.to_owned(),
        verdict: matching::Verdict::Affected,
        fix_state: Some(if fixed.is_some() { FixState::Published } else { FixState::NoneYet }),
        fixed: fixed.map(ToOwned::to_owned),
        severity: Some(rating),
        feed: "debian-tracker".to_owned(),
        evidence: format!("{source} as it is installed is older than what fixes {id}"),
    }
}

fn matches(source: &str) -> Vec<Match> {
    match source {
        "openssl" => vec![
            found("CVE-2024-5535", source, Severity::Critical, Some("3.0.15-1")),
            found("CVE-2024-4741", source, Severity::High, Some("3.0.14-1")),
            found("CVE-2023-5678", source, Severity::Medium, Some("3.0.13-1")),
        ],
        "zlib" => vec![found("CVE-2023-45853", source, Severity::Critical, None)],
        "curl" => vec![found("CVE-2024-2398", source, Severity::High, Some("7.88.1-10+deb12u6"))],
        _ => Vec::new(),
    }
}

/// Documents, assets, their reports, a feed and alerts; returns once every stage has seen them.
pub(crate) async fn fill(app: &App) -> Vec<Asset> {
    let store = &app.web.store;
    let documents = document::parse("shop.yaml", DOCUMENTS).unwrap();
    api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let unknown = Verdict::Unknown(Reason::Denied);
    let (met, not_met) = (Verdict::Met, Verdict::NotMet);
    let fleet = [
        ("web-1", "shop", "web", [met, met, met]),
        ("web-2", "shop", "web", [not_met, met, met]),
        ("web-3", "shop", "web", [met, not_met, unknown]),
        ("db-1", "shop", "database", [not_met, met, unknown]),
        (HOSTILE, "billing", "web", [met, met, not_met]),
        ("queue-1", "billing", "queue", [met, met, met]),
    ];
    let mut assets = Vec::new();
    for ((name, service, tier, verdicts), number) in fleet.into_iter().zip(1..) {
        let asset = enrol(app, number, name, service, tier).await;
        // The first look finds all well, so that what is not met later is news and no backlog.
        let first = report(&asset, 1, 3_900, [met, met, met]);
        let mut second = report(&asset, 2, 5 * u32::from(number), verdicts);
        if tier == "database" {
            let summary = "/var/lib/postgresql has 4% of its space left".to_owned();
            second.signals.push(signal(
                &asset,
                "disk-full",
                "/var/lib/postgresql",
                Severity::Critical,
                summary,
                20,
            ));
        }
        if name == HOSTILE {
            let summary = format!("{HOSTILE} opened a shell to a stranger");
            second.signals.push(signal(&asset, "reverse-shell", HOSTILE, Severity::High, summary, 9));
        }
        store.commit_reports(&[first, second]).await.unwrap();
        assets.push(asset);
    }
    let feed = digest("feed");
    let waiting = store.tuples_from(0, 100).await.unwrap();
    let judged = |(tuple, of): (u32, Tuple)| Matched { tuple, covered: true, matches: matches(&of.source) };
    let judged: Vec<Matched> = waiting.into_iter().map(judged).collect();
    let progress = Progress::Tuples(0, judged.len().try_into().unwrap());
    store.put_matches(&judged, &feed, progress, ago(600)).await.unwrap();
    app.web.nudges.matches();
    let told = Feed {
        name: "debian-tracker".to_owned(),
        digest: feed,
        records: 48_211,
        imported_at: ago(4_400),
        published_at: Some(ago(4_410)),
        problem: Some(("the tracker answered 503".to_owned(), ago(300))),
    };
    store.put_feed(&told).await.unwrap();
    settle(app).await;
    assets
}

/// Waits until the stages have taken in what was committed.
async fn settle(app: &App) {
    let mut shown = app.web.nudges.shown();
    app.web.nudges.transitions();
    let limit = std::time::Duration::from_secs(20);
    let seen = async {
        loop {
            let posture = api::posture::posture(&app.web).await.unwrap();
            if posture.met + posture.not_met + posture.unknown == 18
                && posture.vulnerabilities == 5
                && posture.open_alerts >= 5
                && posture.ledger > 0
            {
                return;
            }
            shown.changed().await.unwrap();
        }
    };
    tokio::time::timeout(limit, seen).await.unwrap();
}
