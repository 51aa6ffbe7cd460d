//! `bartizan up --demo`: a simulated fleet with a story, and four people to be.
//!
//! It has a folder of its own, listens on loopback alone, and neither touches the state of a real
//! `up` nor enrols this machine.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bartizan_server::ambient::Ambient;
use bartizan_server::intake::Pacing;
use bartizan_server::{App, Reach, Settings, auth};
use bartizan_sim::demo::{self, Demo, Tell};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::state::State;
use super::{Arguments, client, content, now, start, summary};
use crate::exit::{Answer, Failure};

/// What marks a folder of state as a demo's, so that neither kind of start takes the other's for its own.
const MARK: &str = "demo";

/// The name of the database in a folder of state.
const DATABASE: &str = "bartizan.db";

/// Quicker than in earnest, so that a host that falls silent is missed while somebody still watches.
const PACING: Pacing = Pacing { interval: Duration::from_secs(8), flush: Duration::from_secs(8) };

/// How long a reader has between two turns of the story.
const PACE: Duration = Duration::from_secs(4);

/// The folder of a demo: somebody's, or one that goes with it.
enum Folder {
    Kept(State),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn open(named: Option<&Path>) -> Result<Folder, Failure> {
        let Some(named) = named else {
            let private = fs::Permissions::from_mode(0o700);
            let made = tempfile::Builder::new().prefix("bartizan-demo-").permissions(private).tempdir();
            return made
                .map(Folder::Passing)
                .map_err(|error| Failure::unavailable(format_args!("can't make a folder: {error}")));
        };
        let kept = State::open(Some(named))?;
        if kept.path().join(DATABASE).exists() && !kept.path().join(MARK).exists() {
            return Err(Failure::invalid(format_args!(
                "{} is the state of a real `bartizan up`",
                kept.path().display()
            ))
            .hint("leave --state out, or name a folder of its own for the demo"));
        }
        Ok(Folder::Kept(kept))
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Kept(state) => state.path(),
            Folder::Passing(folder) => folder.path(),
        }
    }
}

/// Refuses the folder of a demo to a real start: its people were seated without anybody's decision.
pub(super) fn no_demo_in(state: &Path) -> Result<(), Failure> {
    if !state.join(MARK).exists() {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{} is the state of a demo", state.display()))
        .hint("add --demo, or name another folder"))
}

/// Refuses to show a demo to other machines.
pub(super) fn on_loopback(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.listen.is_loopback() {
        return Ok(());
    }
    Err(Failure::invalid("a demo listens on loopback alone: whoever reaches it may be anybody in it")
        .hint("leave --listen out"))
}

pub(super) async fn up(arguments: Arguments) -> Result<Answer, Failure> {
    // A second call finds it installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut interrupted = summary::interrupted()?;
    let state = Folder::open(arguments.state.as_deref())?;
    let written = fs::write(state.path().join(MARK), "The state of a demo; nothing in it is real.\n");
    written.map_err(|error| {
        Failure::unavailable(format_args!("can't write into {}: {error}", state.path().display()))
    })?;
    let settings = Settings {
        people: SocketAddr::new(arguments.listen, arguments.port.unwrap_or(0)),
        agents: SocketAddr::new(arguments.listen, arguments.agent_port.unwrap_or(0)),
        pacing: PACING,
        demo: true,
        ..Settings::in_folder(state.path())
    };
    let app = start(&settings, &Reach::default(), Ambient::new(now, StdRng::from_os_rng())).await?;
    let going = demo::Settings {
        folder: state.path().to_owned(),
        seed: demo::SEED,
        content: content::documents()?,
        pace: PACE,
    };
    let mut demo = Demo::prepare(&app, going).await.map_err(failed)?;
    let mut beside = write_clients(&app, &demo, state.path()).await?;
    let url = welcome(&app, &demo, &state).await?;
    let tell = Tell(Arc::new(summary::say));
    tokio::select! {
        () = interrupted.wait() => {}
        told = demo.run(&app, &tell) => {
            match told {
                Ok(()) => summary::say(&your_turn(&url)),
                Err(error) => summary::say(&format!("the story stops here: {error}")),
            }
            interrupted.wait().await;
        }
    }
    beside.shutdown().await;
    drop(demo);
    app.stop().await;
    summary::say(match state {
        Folder::Kept(_) => "stopped; the same command goes on from here",
        Folder::Passing(_) => "stopped; nothing is left of it",
    });
    Ok(Answer::Answered)
}

fn failed(error: demo::Error) -> Failure {
    Failure::new(error.class(), format_args!("the demo can't start: {error}"))
}

/// A client file for each of the people, named like them, so that the other verbs can be theirs.
async fn write_clients(app: &App, demo: &Demo, state: &Path) -> Result<JoinSet<()>, Failure> {
    let mut beside = JoinSet::new();
    for (name, person) in demo.people() {
        let path = state.join(format!("{}.json", name.to_lowercase()));
        let mut client = client::Writer::new(app, person, path, None);
        client.write().await?;
        beside.spawn(client.keep());
    }
    Ok(beside)
}

/// Prints the one URL, and says what this is. Gives the URL's beginning.
async fn welcome(app: &App, demo: &Demo, state: &Folder) -> Result<String, Failure> {
    let first = demo.people().next().ok_or_else(|| Failure::unavailable("nobody is seated"))?;
    let link = auth::link(&app.web, first.1).await.map_err(|error| Failure::new(error.class(), error))?;
    summary::say(
        "A demo: the fleet, its people and its vulnerabilities are made up; this machine is not watched.",
    );
    let path = state.path().display();
    summary::say(&match state {
        Folder::Kept(_) => format!("Its state stays in {path}."),
        Folder::Passing(_) => format!("Its state is in {path}, and goes when you press Ctrl-C."),
    });
    summary::say(
        "Open this link; your browser does not know the certificate that was just made, and warns once:",
    );
    let url = format!("https://{}", app.people());
    crate::printer::write_out(&format!("{url}{link}\n"))?;
    Ok(url)
}

/// What to do once the story is told.
fn your_turn(url: &str) -> String {
    format!(
        "
Your turn. The side bar of {url} makes you any of the four people with one click.
  1  Ida (operator) opens her change, applies it in test and records that the test passed.
  2  Noor (operator) reviews it. Ida could not: nobody reviews what they wrote.
  3  Sam (security) approves it. Now it may go to production.
  4  Ida edits one byte of it. Test, review and approval are void, and production refuses it.
  5  Walk it again and apply it: within seconds the shop's production hosts are judged by it.
  6  Mira (incident manager) takes on the break-in, leads it through its stages and closes it.
Ctrl-C ends the demo."
    )
}
