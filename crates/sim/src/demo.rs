//! The demo: a fleet with a story, and four people to be, on a real server.
//!
//! Everything about it is made up but what matters: hosts enrol and report over mutual TLS, the
//! evaluator, the detection engine and the import of feeds are the real ones, and the people act
//! by the API. What the server shows is what it makes of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bartizan_core::document::Document;
use bartizan_core::error::Class;
use bartizan_core::id::PersonId;
use bartizan_server::{App, feed_sync};

mod distribution;
mod facts;
mod feeds;
mod fleet;
mod judge;
mod people;
mod population;
mod resident;
mod service;
mod story;

use fleet::Fleet;
use people::People;

/// The seed of the fleet that everybody sees.
pub const SEED: u64 = 12;

/// The label by which the baseline of one distribution keeps to its hosts.
const DISTRIBUTIONS: [(&str, &str); 1] = [("debian-12", "distribution=debian")];

/// Says one line of the story.
#[derive(Clone)]
pub struct Tell(pub Arc<dyn Fn(&str) + Send + Sync>);

/// What a demo is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of all its state: the hosts' and the feeds'.
    pub folder: PathBuf,
    pub seed: u64,
    /// The content that ships.
    pub content: Vec<Document>,
    /// How long a reader has between two turns of the story.
    pub pace: Duration,
}

/// A demo whose people are seated, whose content is in production, and whose fleet is yet to come.
#[derive(Debug)]
pub struct Demo {
    settings: Settings,
    people: People,
    /// Whether the story was told in an earlier start on the same folder.
    told: bool,
    fleet: Fleet,
}

/// Why a demo can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] bartizan_store::Error),
    #[error(transparent)]
    Host(#[from] crate::host::Error),
    #[error("a host's facts have no canonical form: {0}")]
    Facts(#[from] bartizan_core::canonical::Error),
    #[error("can't ask the server: {0}")]
    Http(#[from] reqwest::Error),
    #[error("can't {what}: {why}")]
    Act { what: String, why: String },
    #[error("can't write {}: {source}", path.display())]
    Disk { path: PathBuf, source: std::io::Error },
    #[error("a file of the demo can't be read or written: {0}")]
    Shipped(serde_json::Error),
    #[error("a document can't be read: {0}")]
    Document(String),
    #[error(transparent)]
    Fault(#[from] bartizan_core::document::Fault),
    #[error(transparent)]
    Rules(#[from] bartizan_detect::detector::Error),
    #[error("can't use a host's folder: {0}")]
    Root(String),
    #[error("the fleet can't report: {0}")]
    Report(String),
}

impl std::fmt::Debug for Tell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tell")
    }
}

impl Error {
    /// What class of error this is.
    pub fn class(&self) -> Class {
        match self {
            Error::Store(error) => error.class(),
            Error::Host(_) | Error::Http(_) | Error::Disk { .. } | Error::Root(_) | Error::Report(_) => {
                Class::Unavailable
            }
            Error::Act { .. } => Class::Conflict,
            Error::Facts(_) | Error::Shipped(_) | Error::Document(_) | Error::Fault(_) | Error::Rules(_) => {
                Class::Bug
            }
        }
    }
}

impl Demo {
    /// Seats the people and brings content and feeds in, so that the first page has something to say.
    pub async fn prepare(app: &App, settings: Settings) -> Result<Demo, Error> {
        let people = People::seat(app).await?;
        // The content is the first change there is, the story's the second.
        let changes = app.web.store.changes(2).await?.len();
        if changes == 0 {
            people.bring(&scoped(&settings.content)?).await?;
        }
        let told = changes > 1;
        let (raw, library) = (raw(&settings.folder), library(&settings.folder));
        feeds::write(&raw, app.web.ambient.now(), told)?;
        let imported = feed_sync::import(&app.web, Some(raw), library).await;
        let imported = imported.map_err(|problem| Error::Report(problem.title().to_owned()))?;
        match imported.problems.first() {
            Some(problem) => Err(Error::Report(problem.clone())),
            None => Ok(Demo { settings, people, told, fleet: Fleet::default() }),
        }
    }

    /// The people one may be, in the order in which the story needs them.
    pub fn people(&self) -> impl Iterator<Item = (&'static str, PersonId)> {
        let names = [people::AUTHOR, people::REVIEWER, people::APPROVER, people::LEAD];
        names.into_iter().filter_map(|name| self.people.id(name).map(|id| (name, id)))
    }

    /// Lets the fleet enrol, and tells the story where it was not told yet. The hosts live on until
    /// the demo is dropped.
    pub async fn run(&mut self, app: &App, tell: &Tell) -> Result<(), Error> {
        let plans = population::population(self.settings.seed);
        let told = self.told;
        let hosts = self.settings.folder.join("hosts");
        self.fleet = Fleet::settle(app, &hosts, &plans).await?;
        let services = population::SERVICES.join(", ");
        (tell.0)(&format!("{} simulated hosts report, of the services {services}", plans.len()));
        if told {
            (tell.0)("the story was told before: it stands as you left it");
            return Ok(());
        }
        (tell.0)("what they brought along is their backlog, and pages nobody. Now, within a minute:");
        let story = story::Story {
            app,
            fleet: &self.fleet,
            people: &self.people,
            raw: raw(&self.settings.folder),
            library: library(&self.settings.folder),
            pace: self.settings.pace,
            tell,
        };
        story.run().await?;
        self.told = true;
        Ok(())
    }
}

fn raw(folder: &Path) -> PathBuf {
    folder.join("published-feeds")
}

fn library(folder: &Path) -> PathBuf {
    folder.join("feeds")
}

/// The content with the baseline of one distribution kept to the hosts of that distribution.
fn scoped(content: &[Document]) -> Result<Vec<Document>, Error> {
    let scoped = content.iter().map(|document| {
        let scope =
            DISTRIBUTIONS.iter().find(|(name, _)| document.kind == "Baseline" && document.name == *name);
        let Some((_, matcher)) = scope else { return Ok(document.clone()) };
        let mut written = document.written.clone();
        if let bartizan_core::canonical::Value::Object(fields) = &mut written {
            let matcher = bartizan_core::canonical::Value::from(*matcher);
            fields.insert("scope".to_owned(), bartizan_core::canonical::Value::Array(vec![matcher]));
        }
        Ok(Document::from_value("content", written)?)
    });
    scoped.collect()
}
