//! The story: what befalls the fleet after it has settled, told line by line.
//!
//! Each turn does something real and waits until the server has made of it what it makes of such
//! things; what is told is what happened. Where nothing came of it, that is told.

use std::path::PathBuf;
use std::time::Duration;

use bartizan_core::document::Document;
use bartizan_core::monitoring::alert::{Alert, Member, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_server::{App, feed_sync};

use super::facts::ROOT_LOGIN;
use super::feeds::{self, EXPLOITED, EXPLOITED_IN, MENDED_BY};
use super::fleet::Fleet;
use super::people::{APPROVER, AUTHOR, LEAD, People, REVIEWER};
use super::resident::Event;
use super::{Error, Tell};

/// How long one turn may wait for what the server makes of it: absence takes the longest.
const LIMIT: Duration = Duration::from_secs(90);

/// The most alerts and incidents that are looked through.
const LIST_LIMIT: usize = 200;

/// The hosts that the story is about.
const SILENT: &str = "office-print-1";
const DRIFTS: &str = "shop-web-2";
const MENDED: &str = "shop-edge-2";
const GUESSED_AT: &str = "identity-sso-1";
const FULL: &str = "payments-db-1";

/// What is proposed at the end.
const PROPOSAL: &str = include_str!("proposal.yaml");

/// The rule that can't fire.
const DEAD_RULE: &str = include_str!("rule.yaml");

/// All that the story works with.
#[derive(Debug)]
pub(super) struct Story<'a> {
    pub(super) app: &'a App,
    pub(super) fleet: &'a Fleet,
    pub(super) people: &'a People,
    /// The folder of feeds as they are published, and the one of feeds as they are imported.
    pub(super) raw: PathBuf,
    pub(super) library: PathBuf,
    /// How long a reader has between two turns.
    pub(super) pace: Duration,
    pub(super) tell: &'a Tell,
}

impl Story<'_> {
    /// Tells it from beginning to end.
    pub(super) async fn run(&self) -> Result<(), Error> {
        // Absence is noticed by its length alone: it begins first and is told when it is missed.
        self.fleet.befall(SILENT, Event::FallsSilent).await?;
        self.drift().await?;
        self.pause().await;
        self.exploited().await?;
        self.pause().await;
        self.guessed().await?;
        self.pause().await;
        self.dead_rule().await?;
        self.pause().await;
        self.filled().await?;
        self.pause().await;
        self.mended().await?;
        self.pause().await;
        self.proposed().await?;
        self.missed().await
    }

    fn say(&self, what: &str, text: &str) {
        (self.tell.0)(&format!("  {what:<14} {text}"));
    }

    async fn pause(&self) {
        tokio::time::sleep(self.pace).await;
    }

    async fn drift(&self) -> Result<(), Error> {
        self.fleet.befall(DRIFTS, Event::Breaks(ROOT_LOGIN.to_owned())).await?;
        let alert = self.alert(|alert| alert.group.subject == ROOT_LOGIN).await?;
        let told = format!("somebody edits sshd_config on {DRIFTS}, and no change explains it: {alert}");
        self.say("Drift", &told);
        Ok(())
    }

    async fn exploited(&self) -> Result<(), Error> {
        let due = feeds::write(&self.raw, self.app.web.ambient.now(), true)?;
        let imported = feed_sync::import(&self.app.web, Some(self.raw.clone()), self.library.clone()).await;
        let imported = imported.map_err(|problem| Error::Report(problem.title().to_owned()))?;
        if let Some(problem) = imported.problems.first() {
            return Err(Error::Report(problem.clone()));
        }
        let alert = self.alert(of_exploited).await?;
        let told = format!("the feeds bring {EXPLOITED}, known to be exploited, due {due}: {alert}");
        self.say("Vulnerability", &told);
        Ok(())
    }

    async fn guessed(&self) -> Result<(), Error> {
        let users = ["root", "admin", "oracle", "root", "root", "root"];
        let lines = (0..).zip(users).map(|(number, user)| {
            format!(
                "Mar  4 05:06:0{number} {GUESSED_AT} sshd[412{number}]: \
                 Failed password for {user} from 203.0.113.77 port 5021{number} ssh2"
            )
        });
        self.fleet.befall(GUESSED_AT, Event::Logs(lines.collect())).await?;
        let alert = self.alert(of_detection).await?;
        let told = format!(
            "{} refused passwords in the log of {GUESSED_AT}, judged by the shipped rules: {alert}",
            users.len()
        );
        self.say("Break-in", &told);
        let told = match self.incident(of_detection).await? {
            Some(title) => format!("a rule opens one at once: \"{title}\". It waits for {LEAD}"),
            None => "no rule opened one".to_owned(),
        };
        self.say("Incident", &told);
        Ok(())
    }

    async fn dead_rule(&self) -> Result<(), Error> {
        self.people.apply(AUTHOR, "dev", &documents("rule.yaml", DEAD_RULE)?).await?;
        let alert = self.alert(|alert| alert.group.kind == Kind::Canary).await?;
        let told = format!(
            "{AUTHOR} applies a rule of the shop's own in dev. It names sshd, and upgraded hosts log as \
             sshd-session: {alert}"
        );
        self.say("Dead rule", &told);
        Ok(())
    }

    async fn filled(&self) -> Result<(), Error> {
        let mount = "/var/lib/postgresql".to_owned();
        self.fleet.befall(FULL, Event::Fills { mount, percent: 93 }).await?;
        let alert = self.alert(|alert| alert.group.kind == Kind::Health).await?;
        self.say("Health", &format!("the disk of {FULL} fills: {alert}"));
        let names = ["kind=health", "service=payments", "environment=prod"];
        self.people.silence(REVIEWER, &names, "The disk grows tonight, and finance knows").await?;
        self.say("Silenced", &format!("{REVIEWER} silences it for two hours, by name and with a reason"));
        Ok(())
    }

    async fn mended(&self) -> Result<(), Error> {
        let (source, version) = (EXPLOITED_IN.to_owned(), MENDED_BY.to_owned());
        self.fleet.befall(MENDED, Event::Updates { source, version }).await?;
        let told = match self.resolved(of_exploited, MENDED).await? {
            true => "the finding closes, since the old build was seen to be gone; the other host keeps it",
            false => "and yet the finding stays",
        };
        self.say("Update", &format!("{MENDED} installs {EXPLOITED_IN} {MENDED_BY}: {told}"));
        Ok(())
    }

    async fn proposed(&self) -> Result<(), Error> {
        self.people.propose(AUTHOR, "shop", &documents("proposal.yaml", PROPOSAL)?).await?;
        let told = format!(
            "{AUTHOR} proposes that nobody opens a session on the shop's servers by a password. \
             Production waits for a test below it, {REVIEWER}'s review and {APPROVER}'s approval"
        );
        self.say("Change", &told);
        Ok(())
    }

    async fn missed(&self) -> Result<(), Error> {
        let alert = self.alert(|alert| alert.group.kind == Kind::Absence).await?;
        self.say(
            "Absence",
            &format!("{SILENT} said nothing since the beginning, and that is a fault: {alert}"),
        );
        Ok(())
    }

    /// The line of the alert that there is once there is one.
    async fn alert(&self, ours: impl Fn(&Alert) -> bool) -> Result<String, Error> {
        Ok(match self.until(|| self.open(&ours)).await? {
            Some(alert) => format!("alert, {}: {}", alert.severity, alert.summary),
            None => "no alert came".to_owned(),
        })
    }

    /// The title of the incident that takes such an alert.
    async fn incident(&self, ours: impl Fn(&Alert) -> bool) -> Result<Option<String>, Error> {
        let store = &self.app.web.store;
        let look = async || {
            let Some(alert) = self.open(&ours).await? else { return Ok(None) };
            let Some(id) = store.incident_of(alert.id).await? else { return Ok(None) };
            Ok(store.incident(id).await?.map(|incident| incident.title))
        };
        self.until(look).await
    }

    /// Whether such an alert came to be resolved at a host.
    async fn resolved(&self, ours: impl Fn(&Alert) -> bool, host: &str) -> Result<bool, Error> {
        let store = &self.app.web.store;
        let look = async || {
            let Some(alert) = self.open(&ours).await? else { return Ok(None) };
            let named: Vec<_> = store.assets_named(host).await?.into_iter().map(|asset| asset.id).collect();
            let places = store.alert_places(alert.id).await?;
            let here = places.iter().any(|place| {
                named.contains(&place.asset) && matches!(place.standing, Member::Resolved { .. })
            });
            Ok(here.then_some(()))
        };
        Ok(self.until(look).await?.is_some())
    }

    /// The open alert that is ours, where there is one.
    async fn open(&self, ours: &impl Fn(&Alert) -> bool) -> Result<Option<Alert>, Error> {
        let alerts = self.app.web.store.alerts(true, LIST_LIMIT).await?;
        Ok(alerts.into_iter().find(|alert| alert.stage == Stage::Open && ours(alert)))
    }

    /// Looks whenever the server has something new, until there is what is looked for.
    async fn until<T>(&self, look: impl AsyncFn() -> Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        let mut shown = self.app.web.nudges.shown();
        let looking = async {
            loop {
                if let Some(found) = look().await? {
                    return Ok(Some(found));
                }
                if shown.changed().await.is_err() {
                    return Ok(None);
                }
            }
        };
        tokio::time::timeout(LIMIT, looking).await.unwrap_or(Ok(None))
    }
}

fn of_detection(alert: &Alert) -> bool {
    alert.group.kind == Kind::Detection
}

/// Of all that the new vulnerability opened, the shop's in production.
fn of_exploited(alert: &Alert) -> bool {
    let group = &alert.group;
    group.subject == EXPLOITED && group.service == "shop" && group.environment == "prod"
}

/// The documents of a file of the story.
fn documents(file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let read = bartizan_core::document::parse(file, text);
    read.map_err(|faults| {
        Error::Document(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}
