//! `bartizan doctor`: whether everything on the way from this machine to the fleet is in order.

use std::path::Path;

use bartizan_core::error::Class;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_ledger::bundle::verify::{Held, verify};
use bartizan_server::api::{asset, feed, ledger, person, posture, server, session};
use clap::Args;
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// How far the server's clock may be from ours: its stamps are what deadlines run on.
const OFFSET_LIMIT: Duration = Duration::from_secs(10);

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// How little space for its state a server is warned of, in bytes: a store that can't write takes no report in.
const SPACE_BYTES_LIMIT: u64 = 1 << 30;

/// How many people are named.
const PEOPLE_TOLD: usize = 20;

/// How many assets of one trouble are told one by one.
const AGENTS_TOLD: usize = 20;

/// Check the client file, the server, its mail, its people, its ledger and its agents. Exit 1: something fails.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    state: State,
    check: &'static str,
    says: String,
    /// What to do; none where all is well.
    action: Option<String>,
}

impl Check {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Ok, check, says: says.into(), action: None }
    }

    fn warn(check: &'static str, says: impl Into<String>, action: impl Into<String>) -> Self {
        Self { state: State::Warn, check, says: says.into(), action: Some(action.into()) }
    }

    fn fail(check: &'static str, failure: Failure) -> Self {
        let (says, action) = failure.into_words();
        Self { state: State::Fail, check, says, action }
    }
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let checks = examine(client);
    Printer::new(arguments.output).print(&checks, |checks| rows(checks))?;
    let fails = checks.iter().any(|check| check.state == State::Fail);
    Ok(if fails { Answer::Found } else { Answer::Answered })
}

/// Each check takes those before it for granted: the first that can't be had ends the list.
fn examine(named: Option<&Path>) -> Vec<Check> {
    let client = match Client::open(named) {
        Ok(client) => client,
        Err(failure) => return vec![Check::fail("client file", failure)],
    };
    let mut checks = vec![client_file(&client)];
    let (me, date): (session::Me, _) = match client.get_dated(&["me"]) {
        Ok(answer) => answer,
        Err(failure) => {
            // Whoever is turned away has reached the server, over its own TLS.
            let reached = failure.class() == Class::Denied;
            if reached {
                checks.push(server(&client));
            }
            checks.push(Check::fail(if reached { "session" } else { "server" }, failure));
            return checks;
        }
    };
    checks.push(server(&client));
    checks.push(Check::ok("session", format!("{}: {}", me.name, me.roles.join(", "))));
    checks.push(clock(date.as_deref(), crate::now()));
    if me.roles.iter().any(|role| role == "admin") {
        let server: Result<server::Described, Failure> = client.get(&["server"], &[]);
        match server {
            Ok(server) => checks.extend([mail(&server), space(server.space)]),
            Err(failure) => checks.push(Check::fail("mail", failure)),
        }
    } else {
        let hint = "ask somebody who is admin to run this";
        checks.push(Check::warn("mail", "not asked: the server tells an admin alone", hint));
    }
    checks.extend(told("people", people(&client).map(|check| vec![check])));
    checks.extend(told("feeds", feeds(&client)));
    checks.extend(told("ledger", ledger(&client).map(|check| vec![check])));
    checks.extend(told("agents", agents(&client)));
    checks
}

fn told(check: &'static str, checks: Result<Vec<Check>, Failure>) -> Vec<Check> {
    checks.unwrap_or_else(|failure| vec![Check::fail(check, failure)])
}

fn client_file(client: &Client) -> Check {
    use std::os::unix::fs::PermissionsExt as _;
    let path = client.path.display();
    let mode = std::fs::metadata(&client.path).map_or(0, |metadata| metadata.permissions().mode());
    match mode & 0o077 {
        0 => Check::ok("client file", path.to_string()),
        _ => Check::warn(
            "client file",
            format!("others on this machine can read the session in {path}"),
            format!("chmod 600 {path}"),
        ),
    }
}

fn server(client: &Client) -> Check {
    Check::ok("server", format!("{}, whose authority is {}", client.file.server, client.fingerprint))
}

fn clock(date: Option<&str>, now: Timestamp) -> Check {
    let told = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(told) = told else {
        return Check::warn("clock", "the server does not tell its time", "compare both clocks by hand");
    };
    let server = Timestamp::from_millis(told.timestamp().as_millisecond());
    // The server tells whole seconds, rounded down.
    let (behind, ahead) = (now.since(server), server.since(now));
    let offset = behind.max(ahead);
    if offset > OFFSET_LIMIT {
        let whose = if ahead > behind { "ahead of" } else { "behind" };
        return Check::warn(
            "clock",
            format!("the server's clock is {offset} {whose} this machine's"),
            "set both clocks by NTP: `timedatectl` tells whether they are",
        );
    }
    Check::ok("clock", format!("within {OFFSET_LIMIT} of the server's"))
}

/// Whether mail can be handed over, where any is to be sent.
fn mail(server: &server::Described) -> Check {
    let routes = server.mail_routes.join(", ");
    match &server.relay {
        Some(server::Relay { address, problem: Some(problem) }) => Check::fail(
            "mail",
            Failure::unavailable(format_args!("{address} takes no mail: {problem}"))
                .hint("is the relay running, and does its --smtp URL say how it is reached?"),
        ),
        Some(server::Relay { address, problem: None }) => Check::ok("mail", format!("{address} answers")),
        None if server.mail_routes.is_empty() => {
            Check::ok("mail", "no route names an address, and no relay is set")
        }
        None => Check::fail(
            "mail",
            Failure::unavailable(format_args!("no relay is set, and these routes name addresses: {routes}"))
                .hint("`bartizan up --smtp URL` names a relay"),
        ),
    }
}

/// Whether the server has space left for what it writes.
fn space(space: Option<server::Space>) -> Check {
    let Some(server::Space { total_bytes, free_bytes }) = space else {
        let action = "`df` on the server's machine tells it";
        return Check::warn("space", "the server can't tell how much space its folder of state has", action);
    };
    let says = format!("{} of {} free for the server's state", size(free_bytes), size(total_bytes));
    if free_bytes >= SPACE_BYTES_LIMIT {
        return Check::ok("space", says);
    }
    Check::warn("space", says, "make room there: where it can't write, the server takes no report in")
}

/// Bytes, as people say them.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

fn people(client: &Client) -> Result<Check, Failure> {
    let list: person::List = client.get(&["people"], &[])?;
    Ok(factors(&list.people))
}

/// Who could sign in by a link alone.
fn factors(people: &[person::Row]) -> Check {
    let enabled: Vec<&person::Row> = people.iter().filter(|person| !person.disabled).collect();
    let without: Vec<&str> =
        enabled.iter().filter(|person| !person.second_factor).map(|person| person.name.as_str()).collect();
    if without.is_empty() {
        return Check::ok("people", format!("all {} have a second factor", enabled.len()));
    }
    let named = without.iter().take(PEOPLE_TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = match without.len().saturating_sub(PEOPLE_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Check::warn(
        "people",
        format!("{} of {} have no second factor: {named}{more}", without.len(), enabled.len()),
        "each of them sets one up on the page /factor",
    )
}

fn feeds(client: &Client) -> Result<Vec<Check>, Failure> {
    let list: feed::List = client.get(&["feeds"], &[])?;
    if list.feeds.is_empty() {
        let action = "`bartizan up --feeds DIR` imports a folder of them";
        return Ok(vec![Check::warn("feeds", "none: vulnerabilities are unknown", action)]);
    }
    let now = crate::now();
    let one = |feed: feed::Row| {
        let days = |at: &str| at.parse().map_or(0, |at| now.since(at).as_millis() / DAY_MS);
        let age = match &feed.published_at {
            Some(at) => format!("published at {at}, {} days ago", days(at)),
            None => format!("imported at {}; published: not told", feed.imported_at),
        };
        match feed.problem {
            Some(problem) => {
                Check::warn("feeds", format!("{}: {problem}", feed.name), "mend what the import says")
            }
            None if feed.stale => Check::warn(
                "feeds",
                format!("{}: {age}: too old to rely on", feed.name),
                "import a newer one: `bartizan feeds sync`, or `bartizan up --feeds DIR` with a newer folder",
            ),
            None => Check::ok("feeds", format!("{}: {} records, {age}", feed.name, feed.records)),
        }
    };
    let has_catalogue = list.feeds.iter().any(|feed| feed.name == bartizan_feeds::kev::FEED);
    let mut checks: Vec<Check> = list.feeds.into_iter().map(one).collect();
    if !has_catalogue {
        checks.push(Check::warn(
            "feeds",
            "no catalogue of exploited vulnerabilities: which of them are is unknown",
            "add CISA's known_exploited_vulnerabilities.json to the folder of feeds",
        ));
    }
    let posture: posture::Posture = client.get(&["posture"], &[])?;
    if posture.unrated > 0 {
        let open = posture.vulnerabilities;
        checks.push(Check::warn(
            "feeds",
            format!(
                "{} of {open} open vulnerabilities are rated by nobody: how grave is unknown",
                posture.unrated
            ),
            "`bartizan finding list` shows them as unrated; OSV's all.zip carries ratings where they are published",
        ));
    }
    Ok(checks)
}

fn ledger(client: &Client) -> Result<Check, Failure> {
    let list: ledger::List = client.get(&["ledger"], &[])?;
    if list.head.note.is_none() {
        return Ok(Check::warn("ledger", "it has no entry yet", "the first follows the first change"));
    }
    match verify(crate::ledger::fetch(client)?, &Held::default()) {
        Ok(report) => {
            let says = format!(
                "{} leaves verify; truncation is not excluded: that takes a checkpoint kept elsewhere",
                report.leaves
            );
            Ok(Check::ok("ledger", says))
        }
        Err(failure) => Err(Failure::unavailable(format_args!("not verified: {failure}"))
            .hint("keep `bartizan ledger export FILE`, and ask who could write to the store")),
    }
}

fn agents(client: &Client) -> Result<Vec<Check>, Failure> {
    Ok(judge_agents(&crate::asset::all(client)?))
}

/// Who is heard of, by the server's own word: it knows how often each agent should report.
fn judge_agents(assets: &[asset::Row]) -> Vec<Check> {
    let (declared, watched): (Vec<_>, Vec<_>) =
        assets.iter().filter(|asset| asset.life != "retired").partition(|asset| asset.life == "declared");
    let mut checks = Vec::new();
    if watched.is_empty() {
        let action = "`bartizan enrolment create` prints the line that enrols a host";
        checks.push(Check::warn("agents", "no host is enrolled", action));
    }
    let silent: Vec<&asset::Row> = watched
        .iter()
        .copied()
        .filter(|asset| asset.absent_since.is_some() || asset.last_seen.is_none())
        .collect();
    if silent.len() < watched.len() {
        let heard = watched.len() - silent.len();
        checks.push(Check::ok("agents", format!("{heard} of {} heard of lately", watched.len())));
    }
    let several = |asset: &asset::Row| watched.iter().filter(|other| other.name == asset.name).count() > 1;
    let name = |asset: &asset::Row| {
        if several(asset) { format!("{} ({})", asset.name, asset.id) } else { asset.name.clone() }
    };
    let absent = |asset: &asset::Row| {
        let seen = asset
            .last_seen
            .as_ref()
            .map_or("was never heard of".to_owned(), |at| format!("is absent: last heard of at {at}"));
        let named = if several(asset) { &asset.id } else { &asset.name };
        Check::warn(
            "agents",
            format!("{} {seen}", name(asset)),
            format!("look at its agent; if the host is gone, `bartizan asset retire {named}`"),
        )
    };
    checks.extend(some(&silent, "are absent", absent));
    let blind: Vec<&asset::Row> =
        watched.iter().copied().filter(|asset| !asset.unseen_sources.is_empty()).collect();
    let unseen = |asset: &asset::Row| {
        let sources = asset.unseen_sources.join(", ");
        Check::warn(
            "sources",
            format!("{}: no detection sees {sources}", name(asset)),
            "let the agent read them, or accept that nothing is noticed there",
        )
    };
    checks.extend(some(&blind, "have sources of events that nobody reads", unseen));
    if !declared.is_empty() {
        let says = match declared.len() {
            1 => "1 declared asset runs no agent: everything about it is unknown".to_owned(),
            many => format!("{many} declared assets run no agent: everything about them is unknown"),
        };
        let action = "enrol a host where an agent can run: `bartizan enrolment create`";
        checks.push(Check::warn("agents", says, action));
    }
    checks
}

/// The first of them one by one, and how many there are more.
fn some(assets: &[&asset::Row], trouble: &str, check: impl Fn(&asset::Row) -> Check) -> Vec<Check> {
    let mut checks: Vec<Check> = assets.iter().take(AGENTS_TOLD).map(|asset| check(asset)).collect();
    if let more @ 1.. = assets.len().saturating_sub(AGENTS_TOLD) {
        checks.push(Check::warn("agents", format!("{more} more {trouble}"), "`bartizan asset list`"));
    }
    checks
}

fn rows(checks: &[Check]) -> Rows {
    let row = |check: &Check| {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        let action = check.action.clone().unwrap_or_default();
        vec![state.to_owned(), check.check.to_owned(), check.says.clone(), action]
    };
    Rows { header: vec!["state", "check", "says", "what to do"], rows: checks.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, life: &str, last_seen: Option<&str>, absent_since: Option<&str>) -> asset::Row {
        asset::Row {
            id: format!("id-of-{name}"),
            name: name.to_owned(),
            class: "server".to_owned(),
            service: "shop".to_owned(),
            environment: "dev".to_owned(),
            life: life.to_owned(),
            last_seen: last_seen.map(str::to_owned),
            absent_since: absent_since.map(str::to_owned),
            unseen_sources: Vec::new(),
            verdicts: asset::Verdicts::default(),
            unknown: None,
        }
    }

    #[test]
    fn the_servers_word_decides_who_is_absent_and_no_declared_asset_is_to_be_retired() {
        let at = "2026-01-31T09:30:00Z";
        let twin = |id: &str| asset::Row { id: id.to_owned(), ..row("twin", "enrolled", Some(at), Some(at)) };
        let blind = asset::Row {
            unseen_sources: vec!["/var/log/auth.log: unseen".to_owned()],
            ..row("blind", "enrolled", Some(at), None)
        };
        let assets = [
            twin("one"),
            twin("two"),
            row("new", "enrolled", None, None),
            blind,
            row("switch", "declared", None, None),
        ];
        let told = |check: &Check| {
            let action = check.action.clone().unwrap_or_default();
            format!("{} | {action}", check.says)
        };
        let told: Vec<String> = judge_agents(&assets).iter().map(told).collect();
        assert_eq!(
            told,
            [
                "1 of 4 heard of lately | ",
                "twin (one) is absent: last heard of at 2026-01-31T09:30:00Z | look at its agent; if the host is gone, `bartizan asset retire one`",
                "twin (two) is absent: last heard of at 2026-01-31T09:30:00Z | look at its agent; if the host is gone, `bartizan asset retire two`",
                "new was never heard of | look at its agent; if the host is gone, `bartizan asset retire new`",
                "blind: no detection sees /var/log/auth.log: unseen | let the agent read them, or accept that nothing is noticed there",
                "1 declared asset runs no agent: everything about it is unknown | enrol a host where an agent can run: `bartizan enrolment create`",
            ]
        );
    }

    #[test]
    fn mail_fails_where_its_relay_is_away_or_missing_and_is_well_where_nobody_wants_any() {
        let server = |relay: Option<Option<&str>>, routes: &[&str]| server::Described {
            relay: relay.map(|problem| server::Relay {
                address: "mail.example.org:587".to_owned(),
                problem: problem.map(str::to_owned),
            }),
            mail_routes: routes.iter().map(|route| (*route).to_owned()).collect(),
            space: None,
        };
        let table = [
            (server(Some(None), &[]), State::Ok, "mail.example.org:587 answers"),
            (server(None, &[]), State::Ok, "no route names an address, and no relay is set"),
            (
                server(Some(Some("connection refused")), &["dev/notify"]),
                State::Fail,
                "mail.example.org:587 takes no mail: connection refused",
            ),
            (
                server(None, &["dev/notify", "prod/all"]),
                State::Fail,
                "no relay is set, and these routes name addresses: dev/notify, prod/all",
            ),
        ];
        for (server, state, says) in table {
            let check = mail(&server);
            assert_eq!((check.state, check.says.as_str()), (state, says));
        }
    }

    #[test]
    fn little_space_is_warned_of_and_space_that_nobody_can_tell_is_no_pass() {
        let space = |free| space(Some(server::Space { total_bytes: 40 << 30, free_bytes: free }));
        let told = |check: Check| (check.state, check.says);
        let plenty = "12.5 GiB of 40.0 GiB free for the server's state".to_owned();
        assert_eq!(told(space((12 << 30) + (1 << 29))), (State::Ok, plenty));
        let little = "900.0 MiB of 40.0 GiB free for the server's state".to_owned();
        assert_eq!(told(space(900 << 20)), (State::Warn, little));
        assert_eq!(super::space(None).state, State::Warn);
    }

    #[test]
    fn whoever_has_no_second_factor_is_named_and_whoever_is_disabled_is_not() {
        let person = |name: &str, disabled, second_factor| person::Row {
            id: String::new(),
            name: name.to_owned(),
            roles: Vec::new(),
            services: Vec::new(),
            disabled,
            second_factor,
        };
        let people = [person("ann", false, true), person("bob", false, false), person("eve", true, false)];
        let check = factors(&people);
        assert_eq!((check.state, check.says.as_str()), (State::Warn, "1 of 2 have no second factor: bob"));
        assert_eq!(factors(&people[..1]).state, State::Ok);
    }

    #[test]
    fn a_clock_that_is_far_off_is_told_with_its_direction() {
        let now: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
        for (date, state, says) in [
            ("Sat, 31 Jan 2026 09:30:00 GMT", State::Ok, "within 10s of the server's"),
            (
                "Sat, 31 Jan 2026 09:31:00 GMT",
                State::Warn,
                "the server's clock is 1m ahead of this machine's",
            ),
            ("Sat, 31 Jan 2026 09:28:00 GMT", State::Warn, "the server's clock is 2m behind this machine's"),
            ("soon", State::Warn, "the server does not tell its time"),
        ] {
            let check = clock(Some(date), now);
            assert_eq!((check.state, check.says.as_str()), (state, says));
        }
    }
}
