//! One replica of the server: opened, started, stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::role::Role;
use bartizan_store::{Place, Store};

use crate::ambient::Ambient;
use crate::channels::Channels;
use crate::channels::email::Relay;
use crate::intake::{Intake, Pacing};
use crate::keys::{self, Keys, Wrapping};
use crate::listener::{self, Listener, Own};
use crate::nudge::Nudges;
use crate::policy::Policies;
use crate::stages::{self, Context, matching::Feeds};
use crate::tasks::Tasks;
use crate::web::Web;

/// What a replica is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub place: Place,
    /// The file of the wrapping key; it is minted where it is missing.
    pub wrapping_key: PathBuf,
    /// Where people and their programs connect; port 0 takes a free one.
    pub people: SocketAddr,
    /// Where agents connect.
    pub agents: SocketAddr,
    /// The names that the server is reached by, beside its addresses.
    pub names: Vec<String>,
    pub pacing: Pacing,
    /// Whether this is a demo: every page says so, and whoever is signed in may become another person.
    /// Nothing that a request bears can set it.
    pub demo: bool,
}

impl Settings {
    /// One replica with all its state in a folder, on free ports of loopback.
    pub fn in_folder(folder: &Path) -> Settings {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Settings {
            place: Place::Sqlite(folder.join("bartizan.db")),
            wrapping_key: folder.join("wrapping.key"),
            people: loopback,
            agents: loopback,
            names: Vec::new(),
            pacing: Pacing::default(),
            demo: false,
        }
    }

    /// The folder that holds what lies on this machine: whichever store there is, the wrapping key.
    fn folder(&self) -> PathBuf {
        let holds = self.wrapping_key.parent().filter(|folder| !folder.as_os_str().is_empty());
        holds.unwrap_or(Path::new(".")).to_owned()
    }
}

/// How a replica reaches out, and is reached; nothing of it is needed on one machine alone.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Where mail is handed over; without one, mail is not sent.
    pub relay: Option<Relay>,
    /// The certificate that people are shown under the server's own name, in place of our authority's.
    pub certificate: Option<Own>,
}

/// Why a replica can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] bartizan_store::Error),
    #[error(transparent)]
    Keys(#[from] keys::Error),
    #[error(transparent)]
    Listener(#[from] listener::Error),
    #[error("can't set up the ways that notifications go: {0}")]
    Channels(String),
    /// Other machines would reach a console that a link alone opens.
    #[error("listening beyond loopback takes a second factor of whoever signs in: {0}")]
    NoFactor(String),
    #[error("can't tell the address of a listener: {0}")]
    Address(std::io::Error),
}

impl Error {
    /// What class of error this is.
    pub fn class(&self) -> Class {
        match self {
            Error::Store(error) => error.class(),
            Error::Keys(error) => error.class(),
            Error::Listener(error) => error.class(),
            Error::Channels(_) => Class::Bug,
            Error::NoFactor(_) => Class::Denied,
            Error::Address(_) => Class::Unavailable,
        }
    }
}

/// One replica, running.
#[derive(Debug)]
pub struct App {
    /// What handlers work with: a program in the same process may ask it directly.
    pub web: Web,
    keys: Arc<Keys>,
    channels: Channels,
    intake: Intake,
    tasks: Tasks,
    people: SocketAddr,
    agents: SocketAddr,
}

impl App {
    /// Opens the store and the keys, takes both ports, and starts to answer.
    pub async fn start(settings: &Settings, ambient: Ambient) -> Result<App, Error> {
        Self::start_with(settings, &Reach::default(), ambient).await
    }

    /// The same, with ways out of this machine.
    pub async fn start_with(settings: &Settings, reach: &Reach, ambient: Ambient) -> Result<App, Error> {
        let store = Store::open(&settings.place).await?;
        if !settings.people.ip().is_loopback() {
            guarded(&store, &ambient).await?;
        }
        let wrapping = Arc::new(Wrapping::open(&settings.wrapping_key, &ambient)?);
        let keys = Arc::new(Keys::open(&store, &wrapping, &ambient).await?);
        let names = names(settings);
        let now = ambient.now();
        let people = listener::for_people(keys.authority.serve(&names, now)?, reach.certificate.as_ref())?;
        let people = Listener::bind(settings.people, people).await?;
        let agents = listener::for_agents(keys.authority.serve(&names, now)?, &keys.authority)?;
        let agents = Listener::bind(settings.agents, agents).await?;
        let addresses =
            (people.address().map_err(Error::Address)?, agents.address().map_err(Error::Address)?);
        let tasks = Tasks::default();
        let stop = tasks.stopped();
        let nudges = Nudges::new(stop.clone());
        let policies = Policies::new(store.clone(), ambient.clone());
        let intake = Intake::start(
            store.clone(),
            ambient.clone(),
            Arc::clone(&keys),
            nudges.clone(),
            policies.clone(),
            settings.pacing,
            &tasks,
        )
        .await;
        let host = settings.names.first().cloned().unwrap_or_else(|| addresses.0.ip().to_string());
        let console = format!("https://{host}:{}", addresses.0.port());
        let channels = Channels::new(console, reach.relay.as_ref()).map_err(Error::Channels)?;
        let context = Context {
            store: store.clone(),
            ambient: ambient.clone(),
            keys: Arc::clone(&keys),
            nudges: nudges.clone(),
            policies: policies.clone(),
            orders: intake.orders.clone(),
            last_seen: intake.last_seen.clone(),
            stale: crate::stale::Stale::default(),
            channels: channels.clone(),
            feeds: Feeds::default(),
            pacing: settings.pacing,
        };
        stages::start(&context, &tasks).await;
        let router = intake.clone().router();
        let ends = stop.clone();
        tasks.start("agents' listener", async move { agents.serve(router, ends).await }).await;
        let web = Web {
            store,
            ambient,
            nudges,
            policies,
            last_seen: context.last_seen.clone(),
            stale: context.stale.clone(),
            feeds: context.feeds.clone(),
            wrapping,
            stages: context,
            ledger_key: keys.ledger.key().clone(),
            folder: settings.folder(),
            demo: settings.demo,
        };
        let router = crate::web::router(&web);
        tasks.start("people's listener", async move { people.serve(router, stop).await }).await;
        Ok(App { web, keys, channels, intake, tasks, people: addresses.0, agents: addresses.1 })
    }

    /// Where people and their programs connect.
    pub const fn people(&self) -> SocketAddr {
        self.people
    }

    /// Where agents connect.
    pub const fn agents(&self) -> SocketAddr {
        self.agents
    }

    /// What agents reach behind the listener's TLS. A program in the same process may hand it requests,
    /// each with the `Connection` that it came by, and so speaks for any agent.
    pub fn agents_router(&self) -> axum::Router {
        self.intake.clone().router()
    }

    /// The SHA-256 of the authority's certificate, which agents pin.
    pub fn fingerprint(&self) -> Digest {
        self.keys.authority.fingerprint()
    }

    /// The authority's certificate in PEM, for programs that connect as people do.
    pub fn authority(&self) -> &str {
        self.keys.authority.pem()
    }

    /// Stops: requests in flight end, every task is waited for, the store is closed.
    pub async fn stop(self) {
        self.tasks.stop().await;
        self.channels.drain().await;
        self.web.store.close().await;
    }
}

/// Whether who can sign in has a second factor: an admin has to, and everybody who is signed in.
/// Somebody who was only invited reaches nothing but the page where they set theirs up.
async fn guarded(store: &Store, ambient: &Ambient) -> Result<(), Error> {
    let holders = store.factor_holders().await?;
    let signed_in = store.signed_in(ambient.now()).await?;
    let people = store.people().await?;
    let enabled = || people.iter().filter(|person| !person.disabled);
    let open: Vec<&str> = enabled()
        .filter(|person| signed_in.contains(&person.id) && !holders.contains(&person.id))
        .map(|person| person.name.as_str())
        .collect();
    if !open.is_empty() {
        return Err(Error::NoFactor(format!("{} signed in without one", open.join(", "))));
    }
    let mut admins = enabled().filter(|person| person.has_any(&[Role::Admin]));
    if !admins.any(|person| holders.contains(&person.id)) {
        return Err(Error::NoFactor("no admin has one".to_owned()));
    }
    Ok(())
}

/// The names in the listeners' certificates.
fn names(settings: &Settings) -> Vec<String> {
    let mut names = settings.names.clone();
    let addresses = [settings.people.ip(), settings.agents.ip()].into_iter();
    names.extend(addresses.filter(|address| !address.is_unspecified()).map(|address| address.to_string()));
    names.extend(["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string()]);
    names.sort();
    names.dedup();
    names
}
