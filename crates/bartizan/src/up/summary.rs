//! The live summary: how this machine stands, whenever it changes, until Ctrl-C.

use std::io::Write as _;
use std::time::Duration;

use bartizan_agent::Agent;
use bartizan_server::App;
use bartizan_server::api::posture::{Posture, posture};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;
use crate::printer::count;

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
        // Figures that grow while builds are judged would look like news.
        _ if posture.builds_waiting > 0 => {
            format!(
                "vulnerabilities not judged yet ({} waiting)",
                count(posture.builds_waiting, "build", "builds")
            )
        }
        _ if posture.matches_waiting > 0 => "vulnerabilities not counted yet".to_owned(),
        _ => format!(
            "{} ({} fixable)",
            count(posture.vulnerabilities, "vulnerability", "vulnerabilities"),
            posture.fixable
        ),
    };
    format!(
        "{} · rules: {} met, {} not met, {} unknown · {vulnerabilities} · {} · ledger {}",
        count(posture.assets, "asset", "assets"),
        posture.met,
        posture.not_met,
        posture.unknown,
        count(posture.open_alerts, "open alert", "open alerts"),
        posture.ledger
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vulnerabilities_are_not_counted_before_every_build_is_judged() {
        let mut posture =
            Posture { assets: 1, met: 3, feeds: 1, vulnerabilities: 80, fixable: 2, ..Posture::default() };
        posture.builds_waiting = 200;
        let said = |posture: &Posture| line(posture).split(" · ").nth(2).map(str::to_owned).unwrap();
        assert_eq!(said(&posture), "vulnerabilities not judged yet (200 builds waiting)");
        (posture.builds_waiting, posture.matches_waiting) = (0, 5);
        assert_eq!(said(&posture), "vulnerabilities not counted yet");
        posture.matches_waiting = 0;
        assert_eq!(said(&posture), "80 vulnerabilities (2 fixable)");
        (posture.vulnerabilities, posture.open_alerts) = (1, 1);
        assert!(line(&posture).ends_with("1 vulnerability (2 fixable) · 1 open alert · ledger 0"));
    }
}
