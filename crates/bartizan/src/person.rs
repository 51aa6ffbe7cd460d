//! `bartizan person`: who signs in, and by which roles.

use std::path::Path;

use bartizan_server::api::Ruled;
use bartizan_server::api::person::{Created, Granted, List, Row, Waiting};
use bartizan_server::api::session::SignInLink;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// List people, make one, give roles and take them.
///
/// A role that approves what others propose (operator, security, legal, privacy, operations-manager),
/// and coming onto a service's team, is in force once a second person has confirmed it; so is admin,
/// once there is a second person who could.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List people, and the roles that wait for a second person.
    List(Listing),
    /// Make a person, and ask for their roles.
    Create(Create),
    /// Give a person a role.
    Grant(Grant),
    /// Confirm a role that somebody else asked for.
    Confirm(One),
    /// Take a role from a person.
    Revoke(Grant),
    /// Let a person in no more, and end their sessions.
    Disable(One),
    /// Let a person in again.
    Enable(One),
    /// Take a person's second factor away, and end their sessions.
    Reset(One),
    /// Print a URL that signs a person in to the console, once.
    SignInLink(One),
}

#[derive(Debug, Args)]
struct Listing {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Doing {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct One {
    /// A person's name; for `confirm`, the request's identifier, as `person list` prints it.
    name: String,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Debug, Args)]
struct Create {
    /// The name that the person goes by.
    name: String,
    /// A role to ask for; may be given more than once.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A service on whose team they come; may be given more than once.
    #[arg(long, value_name = "SERVICE", requires = "role")]
    service: Vec<String>,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Debug, Args)]
struct Grant {
    /// The person's name.
    name: String,
    /// operator, security, responder, incident-manager, operations-manager, legal, privacy, assessor, auditor or admin.
    role: String,
    /// A service on whose team they come by it; may be given more than once.
    #[arg(long, value_name = "SERVICE")]
    service: Vec<String>,
    #[command(flatten)]
    doing: Doing,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Done {
    person: String,
    act: String,
    /// `accepted`, `pending`, `waiting` for a second person, `would be accepted`, or `nothing was done`.
    state: &'static str,
    /// What comes next, where something does.
    next: Option<String>,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => list(&client, arguments.output)?,
        Verb::Create(arguments) => create(&client, &arguments)?,
        Verb::Grant(arguments) => {
            let done =
                grant(&client, &arguments.name, &arguments.role, &arguments.service, &arguments.doing)?;
            print(arguments.doing.output, &[done])?;
        }
        Verb::Revoke(arguments) => {
            let body = json!({"role": arguments.role});
            let act = format!("revoke {}", arguments.role);
            plain(
                &client,
                &arguments.name,
                &["people", &arguments.name, "revoke"],
                &body,
                act,
                &arguments.doing,
            )?;
        }
        Verb::Confirm(one) => {
            let path = ["role-requests", &one.name, "confirm"];
            plain(&client, &one.name, &path, &json!({}), "confirm".to_owned(), &one.doing)?;
        }
        Verb::Disable(one) => act(&client, &one, "disable")?,
        Verb::Enable(one) => act(&client, &one, "enable")?,
        Verb::Reset(one) => act(&client, &one, "reset")?,
        Verb::SignInLink(one) => link(&client, &one)?,
    }
    Ok(Answer::Answered)
}

fn list(client: &Client, output: Format) -> Result<(), Failure> {
    let list: List = client.get(&["people"], &[])?;
    Printer::new(output).print(&list, |list| {
        let waiting = |row: &Row| {
            let theirs = list.requests.iter().filter(|request| request.person == row.name);
            theirs.map(|request| format!("{} ({})", request.role, request.id)).collect::<Vec<_>>().join(", ")
        };
        let state = |row: &Row| match (row.disabled, row.second_factor) {
            (true, _) => "disabled",
            (false, true) => "second factor",
            (false, false) => "link alone",
        };
        Rows {
            header: vec!["name", "roles", "services", "signs in by", "waits for a second person"],
            rows: list
                .people
                .iter()
                .map(|row| {
                    vec![
                        row.name.clone(),
                        row.roles.join(", "),
                        row.services.join(", "),
                        state(row).to_owned(),
                        waiting(row),
                    ]
                })
                .collect(),
        }
    })
}

fn create(client: &Client, arguments: &Create) -> Result<(), Failure> {
    let (name, doing) = (&arguments.name, &arguments.doing);
    let mut done = Vec::new();
    let state = if doing.dry_run {
        client.rehearse(&["people"], &json!({"name": name}))?
    } else {
        let created: Created = client.post(&["people"], &json!({"name": name}))?;
        word(&created.ruled)
    };
    done.push(Done {
        person: name.clone(),
        act: "create".to_owned(),
        state,
        next: Some(format!("bartizan person sign-in-link {name}")),
    });
    for role in &arguments.role {
        // Whom nobody made yet nobody can be asked about.
        done.push(match doing.dry_run {
            true => Done { state: NOTHING, ..granting(name, role, &arguments.service) },
            false => grant(client, name, role, &arguments.service, doing)?,
        });
    }
    print(doing.output, &done)
}

/// The state of what a dry run would do.
const NOTHING: &str = "nothing was done";

fn word(ruled: &Ruled) -> &'static str {
    match ruled {
        Ruled::Accepted => "accepted",
        Ruled::Pending => "pending",
    }
}

fn grant(
    client: &Client,
    name: &str,
    role: &str,
    services: &[String],
    doing: &Doing,
) -> Result<Done, Failure> {
    let mut done = granting(name, role, services);
    let body = json!({"role": role, "services": services});
    if doing.dry_run {
        done.state = client.rehearse(&["people", name, "grant"], &body)?;
        return Ok(done);
    }
    let granted: Granted = client.post(&["people", name, "grant"], &body)?;
    done.state = if granted.waiting.is_some() { "waiting" } else { word(&granted.ruled) };
    done.next = granted.waiting.as_ref().map(next);
    Ok(done)
}

fn granting(name: &str, role: &str, services: &[String]) -> Done {
    let on = if services.is_empty() { String::new() } else { format!(" on {}", services.join(", ")) };
    Done { person: name.to_owned(), act: format!("grant {role}{on}"), state: "accepted", next: None }
}

fn next(waiting: &Waiting) -> String {
    format!("{} runs: bartizan person confirm {}", waiting.confirmers.join(" or "), waiting.id)
}

fn act(client: &Client, one: &One, act: &str) -> Result<(), Failure> {
    plain(client, &one.name, &["people", &one.name, act], &json!({}), act.to_owned(), &one.doing)
}

fn plain(
    client: &Client,
    name: &str,
    path: &[&str],
    body: &serde_json::Value,
    act: String,
    doing: &Doing,
) -> Result<(), Failure> {
    let state = client.act(path, body, doing.dry_run)?;
    print(doing.output, &[Done { person: name.to_owned(), act, state, next: None }])
}

fn link(client: &Client, one: &One) -> Result<(), Failure> {
    let path = ["people", one.name.as_str(), "sign-in-link"];
    let (person, act) = (one.name.clone(), "sign-in-link".to_owned());
    let mut done = Done { person, act, state: "accepted", next: None };
    if one.doing.dry_run {
        done.state = client.rehearse(&path, &json!({}))?;
    } else {
        let link: SignInLink = client.post(&path, &json!({}))?;
        done.next = Some(format!("{}{}", client.public(), link.path));
    }
    print(one.doing.output, &[done])
}

fn print(output: Format, done: &[Done]) -> Result<(), Failure> {
    Printer::new(output).print(&done, |done| Rows {
        header: vec!["person", "act", "state", "next"],
        rows: done
            .iter()
            .map(|one| {
                let next = one.next.clone().unwrap_or_default();
                vec![one.person.clone(), one.act.clone(), one.state.to_owned(), next]
            })
            .collect(),
    })
}
