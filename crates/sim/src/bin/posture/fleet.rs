//! The server, and how hosts and people reach it: its own routers, handed requests in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bartizan_agent::identity::Key;
use bartizan_agent::state::State;
use bartizan_core::asset::Class;
use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::digest::Digest;
use bartizan_core::document;
use bartizan_core::enrolment::Grant;
use bartizan_core::id::AssetId;
use bartizan_core::time::{self, Timestamp};
use bartizan_server::ambient::Ambient;
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::intake::Pacing;
use bartizan_server::keys::authority::Peer;
use bartizan_server::listener::Connection;
use bartizan_server::web::Web;
use bartizan_server::{App, Settings, feed_sync};
use bartizan_sim::population::{Population, RULES, SERVICES};
use bartizan_store::Place;
use bartizan_store::log::Log;
use bartizan_store::posture::MATCHES;
use bartizan_wire::{VERSION, enrol};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tower::ServiceExt as _;

use crate::Failure;

/// The baseline that every host is judged by.
pub(crate) const BASELINE: &str = "fleet";

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_LIMIT: usize = 64 << 20;

/// How long the stages may take to catch up.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A server with its fleet.
pub(crate) struct Fleet {
    pub(crate) app: App,
    pub(crate) population: Population,
    agents: Router,
    people: Router,
    library: PathBuf,
    raw: PathBuf,
    keys: Vec<String>,
    /// The digests of the rules' checks, as agents tell them.
    pub(crate) checks: Vec<Digest>,
    /// Who each host is, once it has enrolled.
    pub(crate) peers: OnceLock<Vec<Peer>>,
    /// Every simulated host's request for a certificate: making keys is the hosts' work, not the server's.
    request: String,
}

#[expect(clippy::disallowed_methods, reason = "this is a composition root: here the clock is read")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn told(problem: bartizan_server::problem::Problem) -> Failure {
    problem.title().to_owned().into()
}

/// The id of a rule.
pub(crate) fn rule(number: u32) -> String {
    format!("rule-{number:03}")
}

fn baseline() -> String {
    let mut text =
        format!("kind: Baseline\nname: {BASELINE}\nspec:\n  title: What every host is judged by\n  rules:\n");
    for number in 0..RULES {
        let severity =
            ["low", "medium", "high", "critical"].get(number as usize % 4).copied().unwrap_or("low");
        text.push_str(&format!(
            "    - id: {}\n      title: Parameter {number} is as it should be\n      severity: {severity}\n      \
             rationale: So that something can be judged.\n      \
             check: {{sysctl: {{key: kernel.parameter_{number}, value: {{equals: 0}}}}}}\n      \
             remediation: Set kernel.parameter_{number} to 0.\n",
            rule(number)
        ));
    }
    text
}

impl Fleet {
    pub(crate) async fn start(population: Population, place: Place, folder: &Path) -> Result<Fleet, Failure> {
        let settings = Settings {
            place, // Heartbeats are written down by the benchmark itself, so that it can count the rows.
            pacing: Pacing { interval: PATIENCE, flush: PATIENCE },
            ..Settings::in_folder(folder)
        };
        let app = App::start(&settings, Ambient::new(now, StdRng::from_os_rng())).await?;
        let documents = document::parse("fleet.yaml", &baseline()).map_err(|faults| format!("{faults:?}"))?;
        let mut checks = Vec::new();
        for document in &documents {
            let baseline = Baseline::from_document(document).map_err(|faults| format!("{faults:?}"))?;
            checks.extend(baseline.checks().map(|(_, check)| check));
        }
        bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await.map_err(told)?;
        let mut keys = Vec::new();
        for service in 0..SERVICES {
            let grant = Grant {
                service: format!("service-{service}"),
                environment: "dev".to_owned(),
                class: Class::Server,
                labels: std::collections::BTreeMap::new(),
                networks: Vec::new(),
                approval: false,
            };
            let wanted = Wanted { uses: 100_000, expires_in: time::Duration::from_days(1), grant };
            keys.push(enrolment::create(&app.web, wanted).await.map_err(told)?.key);
        }
        let key = Key::open(&State::open(folder.join("agent"))?)?;
        Ok(Fleet {
            agents: app.agents_router(),
            people: bartizan_server::web::router(&app.web),
            app,
            population,
            library: folder.join("feeds"),
            raw: folder.join("raw"),
            keys,
            checks,
            peers: OnceLock::new(),
            request: key.request("simulated")?,
        })
    }

    /// Imports the feeds; gives how many records there are.
    pub(crate) async fn import(&self) -> Result<u64, Failure> {
        let imported = feed_sync::import(&self.app.web, Some(self.raw.clone()), self.library.clone()).await;
        let imported = imported.map_err(told)?;
        if let Some(problem) = imported.problems.first() {
            return Err(problem.clone().into());
        }
        Ok(imported.feeds.iter().map(|(_, records)| records).sum())
    }

    /// Enrols a host; gives who it is from then on.
    pub(crate) async fn enrol(&self, host: u32) -> Result<Peer, Failure> {
        let service = self.population.service(host);
        let request = enrol::Request {
            wire: VERSION,
            key: self.keys.get(service as usize).cloned().ok_or("a service without a key")?,
            request: self.request.clone(),
            name: format!("host-{host:06}"),
            machine: format!("machine-{host:06}"),
        };
        let reply: enrol::Reply =
            bartizan_wire::unpack(&self.ask("/agent/v1/enrol", None, bartizan_wire::pack(&request)?).await?)?;
        self.peer(reply.asset).await
    }

    async fn peer(&self, asset: AssetId) -> Result<Peer, Failure> {
        let identity = self.app.web.store.asset_identity(asset).await?.ok_or("an asset without identity")?;
        let expires_at = now().plus(time::Duration::from_days(30));
        Ok(Peer { asset, public_key: identity.public_key, expires_at })
    }

    /// Hands a message to the agents' router, as from this agent.
    pub(crate) async fn ask(
        &self,
        path: &str,
        peer: Option<&Peer>,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let connection = Connection { address, peer: peer.cloned() };
        let request = Request::post(path).extension(connection).body(Body::from(body))?;
        // As a connection of its own would be: on whichever thread is free.
        answer(tokio::spawn(self.agents.clone().oneshot(request)).await??).await
    }

    /// A request of a host that has enrolled, to be handed to the agents' router.
    pub(crate) fn request(&self, path: &str, host: u32, body: Vec<u8>) -> Result<Request<Body>, Failure> {
        let peer = self.peers.get().and_then(|peers| peers.get(host as usize)).cloned();
        let connection = Connection { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), peer };
        Ok(Request::post(path).extension(connection).body(Body::from(body))?)
    }

    /// Hands a request to the agents' router.
    pub(crate) async fn answered(&self, request: Request<Body>) -> Result<Vec<u8>, Failure> {
        answer(self.agents.clone().oneshot(request).await?).await
    }

    /// Asks for a page as somebody who is signed in, on the server's own machine and by its name there.
    pub(crate) async fn page(&self, path: &str, cookie: &str) -> Result<Vec<u8>, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let request = Request::get(path)
            .extension(Connection { address, peer: None })
            .header(header::HOST, "localhost")
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "text/html");
        answer(self.people.clone().oneshot(request.body(Body::empty())?).await?).await
    }

    /// Waits until something is so, looking whenever what pages show has changed.
    pub(crate) async fn until(&self, is: impl AsyncFn(&Web) -> Result<bool, Failure>) -> Result<(), Failure> {
        let mut shown = self.app.web.nudges.shown();
        let waiting = async {
            while !is(&self.app.web).await? {
                shown.changed().await?;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| "the stages do not catch up")?
    }

    /// Waits until the figures hold everything.
    pub(crate) async fn counted(&self) -> Result<(), Failure> {
        self.until(async |web| {
            let as_of = web.store.as_of().await?;
            let mut counted = as_of.waiting == 0 && as_of.builds == 0;
            let head = web.store.head(Log::Match, 0).await?;
            for shard in web.store.shards(Log::Transition).await? {
                counted &= web.store.cursor(MATCHES, shard).await? == head;
            }
            Ok(counted)
        })
        .await
    }

    /// Waits until every stage has nothing left to do.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        self.counted().await?;
        loop {
            let store = &self.app.web.store;
            let mut idle = store.cursor("matching/news", 0).await? == store.head(Log::Match, 0).await?
                && store.cursor("alert/signal", 0).await? == store.head(Log::Signal, 0).await?
                && store.staged().await? == 0;
            for shard in store.shards(Log::Transition).await? {
                let head = store.head(Log::Transition, shard).await?;
                for stage in ["alert/transition", "matching/transition"] {
                    idle &= store.cursor(stage, shard).await? == head;
                }
            }
            if idle {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.app.stop().await;
        Ok(())
    }
}

async fn answer(response: axum::response::Response) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_LIMIT).await?;
    if !status.is_success() {
        return Err(format!("the server answered {status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(body.to_vec())
}
