//! `bartizan up`: server, console and an agent for this machine, in one process.

use std::fs;
use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_agent::Agent;
use bartizan_agent::detection::AUTHENTICATION_LOGS;
use bartizan_core::document::Document;
use bartizan_core::enrolment::Grant;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::selector::Labels;
use bartizan_core::time::Timestamp;
use bartizan_probe::root::Root;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::{document, enrolment};
use bartizan_server::listener::Own;
use bartizan_server::{App, Reach, Settings, auth};
use bartizan_store::Place;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tracing_subscriber::EnvFilter;

use crate::exit::{Answer, Failure};
use state::State;

mod client;
pub(crate) mod content;
mod demo;
mod feeds;
mod mail;
mod routes;
mod state;
pub(crate) mod summary;

/// The name of the person that a first start makes.
const FIRST_PERSON: &str = "admin";

/// Where people and agents connect, where nobody says otherwise.
const PORT: u16 = 8443;
const AGENT_PORT: u16 = 8444;

/// The service that this machine belongs to until somebody says otherwise.
const SERVICE: &str = "local";

/// Watch this machine: server, console and agent in one process.
///
/// Mints its own keys, enrols this machine, applies the shipped content in `dev` and prints one
/// URL. A second start carries on where the first stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of all state; made where it is missing. ~/.local/state/bartizan where none is named.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// A folder of vulnerability feeds, as they were downloaded or as `feeds import` wrote them.
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Look every 6 h for newer feeds where the applied FeedSource documents say. Without it nothing is
    /// fetched from anywhere.
    #[arg(long)]
    sync: bool,
    /// Where alerts go: a URL that takes Alertmanager's webhook shape, or mailto:ADDRESS.
    #[arg(long, value_name = "URL")]
    notify: Option<String>,
    #[command(flatten)]
    mail: mail::Arguments,
    /// The address to listen on for people and agents. Beyond loopback other machines reach it: whoever
    /// signs in needs a second factor then, and the program asks for --name.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// The name by which other machines reach this one.
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// A certificate chain in PEM to show people under --name, in place of the server's own authority's.
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "name"])]
    tls_cert: Option<PathBuf>,
    /// The certificate's key in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The port of the console and the API, 8443 where none is named; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The port of the agents, 8444 where none is named; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    agent_port: Option<u16>,
    /// Show a simulated fleet with a story instead of this machine, and be any of four people.
    ///
    /// On loopback alone and on free ports, with a folder of state that goes when it ends, unless
    /// --state names one to keep.
    #[arg(long, conflicts_with_all = ["feeds", "sync", "notify", "name", "tls_cert", "tls_key", "root", "log", "database", "smtp"])]
    demo: bool,
    /// Watch this folder as if it were the machine's root.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Log files to watch for events; the authentication log where none is named.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// A PostgreSQL database for the state, instead of a file: postgres://USER@HOST/DATABASE.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

/// Whoever comes from elsewhere has to know the server by a name that its certificate holds.
fn reachable(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.listen.is_loopback() || arguments.name.is_some() {
        return Ok(());
    }
    Err(Failure::invalid("listening beyond loopback takes the name by which other machines reach this one")
        .hint("--name watch.example.org"))
}

/// The certificate that people are shown under the server's name, where one is given.
fn own_certificate(arguments: &Arguments) -> Result<Option<Own>, Failure> {
    let (Some(chain), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else { return Ok(None) };
    let read = |path: &Path| {
        fs::read(path)
            .map_err(|error| Failure::invalid(format_args!("can't read {}: {error}", path.display())))
    };
    // A second call finds it installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = Own::from_pem(&read(chain)?, &read(key)?);
    let names = format!("{} and {}", chain.display(), key.display());
    own.map(Some).map_err(|error| Failure::invalid(format_args!("{names}: {error}")))
}

/// What is named has to be there before anything is made.
fn named(arguments: &Arguments) -> Result<Root, Failure> {
    if let Some(feeds) = arguments.feeds.as_ref().filter(|feeds| !feeds.is_dir()) {
        let problem = format_args!("--feeds: {} is no folder", feeds.display()).to_string();
        return Err(Failure::invalid(problem).hint("name a folder of raw feeds, or leave --feeds out"));
    }
    Root::at(&arguments.root).map_err(|error| Failure::new(error.class(), error))
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    if arguments.demo {
        demo::on_loopback(&arguments)?;
    }
    reachable(&arguments)?;
    let root = named(&arguments)?;
    let reach = Reach {
        relay: arguments.mail.relay(arguments.name.as_deref())?,
        certificate: own_certificate(&arguments)?,
    };
    let route = arguments.notify.as_deref().map(|notify| content::route(notify, &reach)).transpose()?;
    log();
    let demo = arguments.demo;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unavailable(format_args!("can't start: {error}")))?;
    if demo {
        runtime.block_on(demo::up(arguments))
    } else {
        runtime.block_on(up(arguments, root, reach, route))
    }
}

/// What goes wrong inside is told on standard error; `BARTIZAN_LOG=info` tells more.
fn log() {
    let filter = EnvFilter::try_from_env("BARTIZAN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let talk = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    talk.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
}

#[expect(clippy::disallowed_methods, reason = "this is a composition root: here the clock is read")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

async fn up(
    arguments: Arguments,
    root: Root,
    reach: Reach,
    route: Option<Document>,
) -> Result<Answer, Failure> {
    // A second call finds it installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let interrupted = summary::interrupted()?;
    let held = State::open(arguments.state.as_deref())?;
    let state = held.path();
    demo::no_demo_in(state)?;
    let ambient = Ambient::new(now, StdRng::from_os_rng());
    summary::say(&format!("state in {}", state.display()));
    let mut settings = Settings {
        people: SocketAddr::new(arguments.listen, arguments.port.unwrap_or(PORT)),
        agents: SocketAddr::new(arguments.listen, arguments.agent_port.unwrap_or(AGENT_PORT)),
        names: arguments.name.iter().cloned().collect(),
        ..Settings::in_folder(state)
    };
    if let Some(url) = &arguments.database {
        settings.place = Place::Postgres { url: url.clone(), schema: None };
    }
    let app = start(&settings, &reach, ambient).await?;
    let asked = route.is_some();
    summary::say(&apply(&app, route).await?);
    for line in routes::standing(&app, asked).await? {
        summary::say(&line);
    }
    let person = first_person(&app).await?;
    let mut client =
        client::Writer::new(&app, person, state.join(crate::client::FILE), arguments.name.as_deref());
    let mut beside = feeds::start(&app, state, arguments.feeds.clone(), arguments.sync);
    let agent = start_agent(&app, &arguments, root, state).await?;
    // Last: the other verbs find a server that stands.
    client.write().await?;
    beside.spawn(client.keep());
    let link = auth::link(&app.web, person).await.map_err(|error| Failure::new(error.class(), error))?;
    let host = arguments.name.clone().unwrap_or_else(|| match arguments.listen {
        IpAddr::V6(address) => format!("[{address}]"),
        IpAddr::V4(address) => address.to_string(),
    });
    crate::printer::write_out(&format!("https://{host}:{}{link}\n", app.people().port()))?;
    summary::run(&app, &agent, interrupted).await;
    beside.abort_all();
    agent.stop().await;
    app.stop().await;
    summary::say("stopped; a second `bartizan up` carries on from here");
    Ok(Answer::Answered)
}

async fn start(settings: &Settings, reach: &Reach, ambient: Ambient) -> Result<App, Failure> {
    App::start_with(settings, reach, ambient).await.map_err(|error| {
        let hint = match &error {
            bartizan_server::app::Error::NoFactor(_) => {
                "run `bartizan up` without --listen, open its link, set up a second factor on the page \
                 /factor, and start again as now; whoever else signed in does the same, or signs out"
            }
            bartizan_server::app::Error::Listener(_) => {
                "is another `bartizan up` running? --port and --agent-port take other ports"
            }
            bartizan_server::app::Error::Store(bartizan_store::Error::Open { .. })
                if matches!(settings.place, Place::Postgres { .. }) =>
            {
                "is PostgreSQL running there? --database names it: postgres://USER@HOST/DATABASE"
            }
            _ => "--state names another folder",
        };
        Failure::new(error.class(), error).hint(hint)
    })
}

/// Applies the content that ships, and the route that `--notify` asks for.
async fn apply(app: &App, route: Option<Document>) -> Result<String, Failure> {
    let mut documents = content::documents()?;
    documents.extend(route);
    let applied = document::apply_documents(&app.web, document::OPEN_ENVIRONMENT, documents).await;
    let applied = applied.map_err(|problem| Failure::new(problem.class(), problem.title()))?;
    let (new, changed) = (applied.created.len(), applied.changed.len());
    Ok(format!("content: {new} documents new, {changed} changed, {} as before", applied.unchanged))
}

/// The person who has every role here: a team of one. Made on the first start.
async fn first_person(app: &App) -> Result<PersonId, Failure> {
    let failed = |error: bartizan_store::Error| Failure::new(error.class(), error);
    let people = app.web.store.people().await.map_err(failed)?;
    if let Some(person) = people.iter().find(|person| person.name == FIRST_PERSON) {
        return Ok(person.id);
    }
    let ambient = &app.web.ambient;
    let person = Person {
        id: PersonId::mint(ambient.now(), ambient.random()),
        name: FIRST_PERSON.to_owned(),
        roles: Role::ALL.into_iter().filter(|role| *role != Role::Assessor).collect(),
        services: [SERVICE.to_owned()].into(),
        grants: Vec::new(),
        disabled: false,
    };
    app.web.store.put_person(&person, ambient.now(), ambient.random()).await.map_err(failed)?;
    Ok(person.id)
}

/// The logs that are watched: those that were named, else the usual ones of authentication.
fn logs(named: &[PathBuf]) -> Vec<PathBuf> {
    match named {
        [] => AUTHENTICATION_LOGS.into_iter().map(PathBuf::from).collect(),
        named => named.to_vec(),
    }
}

async fn start_agent(app: &App, arguments: &Arguments, root: Root, state: &Path) -> Result<Agent, Failure> {
    let grant = Grant {
        service: SERVICE.to_owned(),
        environment: document::OPEN_ENVIRONMENT.to_owned(),
        class: bartizan_core::asset::Class::Server,
        labels: Labels::new(),
        networks: Vec::new(),
        approval: false,
    };
    let wanted =
        enrolment::Wanted { uses: 1, expires_in: bartizan_core::time::Duration::from_hours(1), grant };
    let key = enrolment::create(&app.web, wanted).await;
    let key = key.map_err(|problem| Failure::new(problem.class(), problem.title()))?;
    // Another root is another host, with a word of its own.
    let local = arguments.root.join(bartizan_agent::local::FILE.trim_start_matches('/'));
    let settings = bartizan_agent::Settings {
        folder: state.join("agent"),
        server: format!("https://127.0.0.1:{}", app.agents().port()),
        authority_fingerprint: app.fingerprint().to_string(),
        enrolment_key: Some(key.key),
        name: content::host_name(&root),
        root,
        logs: logs(&arguments.log),
        local,
    };
    let random = Box::new(StdRng::from_os_rng());
    Agent::start(settings, Arc::new(now), random)
        .map_err(|error| Failure::new(error.class(), format_args!("the agent can't start: {error}")))
}
