//! The live summary: how this machine stands, whenever it changes, until Ctrl-C.

use std::io::Write as _;
use std::time::Duration;

use bartizan_agent::Agent;
use bartizan_server::App;
use bartizan_server::api::posture::{Posture, posture};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// How long changes gather before they are told: a line a second is as much as anybody reads.
const GATHER: Duration = Duration::from_secs(1);

/// The signals that end `up`.
pub(super) struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
}

/// Listens for Ctrl-C and for being told to end, from here on.
pub(super) fn interrupted() -> Result<Interrupted, Failure> {
    let failed = |error| Failure::unavailable(format_args!("can't listen for signals: {error}"));
    let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(Interrupted { interrupt, terminate })
}

impl Interrupted {
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says a line on standard error; one that nobody reads is no failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Tells how things stand until told to end.
pub(super) async fn run(app: &App, agent: &Agent, mut interrupted: Interrupted) {
    let mut shown = app.web.nudges.shown();
    let mut status = agent.status();
    let mut last = String::new();
    let mut problem = None;
    loop {
        if let Ok(posture) = posture(&app.web).await {
            let line = line(&posture);
            if line != last {
                say(&line);
                last = line;
            }
        }
        let told = status.borrow_and_update().problem.clone();
        if told != problem {
            if let Some(told) = &told {
                say(&format!("agent: {}", told.text));
            }
            problem = told;
        }
        tokio::select! {
            () = interrupted.wait() => return,
            () = tokio::time::sleep(GATHER) => {}
        }
        tokio::select! {
            () = interrupted.wait() => return,
            _ = shown.changed() => {}
            _ = status.changed() => {}
        }
    }
}

fn line(posture: &Posture) -> String {
    let judged = posture.met + posture.not_met + posture.unknown > 0;
    let vulnerabilities = match posture.feeds {
        0 => "vulnerabilities unknown (no feed is imported)".to_owned(),
        // No host has told of its packages: nothing is known yet, which is not none.
        _ if !judged => "vulnerabilities not judged yet".to_owned(),
        _ => format!("{} vulnerabilities ({} fixable)", posture.vulnerabilities, posture.fixable),
    };
    format!(
        "{} {} · rules: {} met, {} not met, {} unknown · {vulnerabilities} · {} open alerts · ledger {}",
        posture.assets,
        if posture.assets == 1 { "asset" } else { "assets" },
        posture.met,
        posture.not_met,
        posture.unknown,
        posture.open_alerts,
        posture.ledger
    )
}
