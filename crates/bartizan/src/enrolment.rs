//! `bartizan enrolment`: keys by which hosts enrol.

use std::path::Path;

use bartizan_core::asset;
use bartizan_core::enrolment::{Grant, Network};
use bartizan_core::selector::Labels;
use bartizan_core::time::Duration;
use bartizan_server::api::enrolment::{Created, List, Row, Wanted};
use clap::{Args, Subcommand};
use reqwest::Url;
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// The agents' port where the client file does not say.
const AGENT_PORT: u16 = 8444;

/// Make keys by which hosts enrol, list them, take them back.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key, and print the line that enrols a host by it. The key is shown once.
    Create(Create),
    /// List the keys by which hosts may enrol now, the newest first. Secrets are not among it.
    List(Listing),
    /// Let nobody in by a key any more. Hosts that enrolled by it stay.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Listing {
    /// List those that are used up, expired or revoked, too.
    #[arg(long)]
    all: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The key's identifier, as `enrolment list` prints it.
    id: String,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What became of a key.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    act: &'static str,
    /// `accepted` or `would be accepted`.
    state: &'static str,
}

#[derive(Debug, Args)]
struct Create {
    /// The service that hosts become part of.
    #[arg(long, value_name = "NAME")]
    service: String,
    /// The environment that hosts become part of.
    #[arg(long, value_name = "NAME")]
    environment: String,
    /// How many hosts may enrol by it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    uses: u32,
    /// How long it works: 1h, 7d, 30m.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    expires_in: Duration,
    /// A label that hosts get; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Each host that enrols by it waits in quarantine until security or an admin lets it in.
    #[arg(long)]
    approval: bool,
    /// A network that hosts may enrol from, from nowhere else: 192.0.2.0/24; may be given more than once.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    network: Vec<Network>,
    /// Say what would be made, and make nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A key, and how a host enrols by it.
#[derive(Debug, Serialize)]
struct Made {
    service: String,
    environment: String,
    labels: Labels,
    /// Where hosts may enrol from; anywhere where it is empty.
    networks: Vec<Network>,
    /// Whether each host waits in quarantine until a person lets it in.
    approval: bool,
    uses: u32,
    /// When it expires; after how long, where nothing was made.
    expires: String,
    /// None where nothing was made.
    key: Option<String>,
    /// What is run on the host.
    command: Option<String>,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::Create(arguments) => create(&client, arguments)?,
        Verb::List(arguments) => {
            let query: &[_] = if arguments.all { &[("all", "true".to_owned())] } else { &[] };
            let list: List = client.get(&["enrolment-keys"], query)?;
            Printer::new(arguments.output).print(&list.keys, |keys| listed(keys))?;
        }
        Verb::Revoke(arguments) => revoke(&client, &arguments)?,
    }
    Ok(Answer::Answered)
}

fn revoke(client: &Client, arguments: &Revoke) -> Result<(), Failure> {
    let path = ["enrolment-keys", &arguments.id, "revoke"];
    let state = if arguments.dry_run {
        client.rehearse(&path, &())?
    } else {
        let _: Row = client.post(&path, &())?;
        "accepted"
    };
    let done = Done { id: arguments.id.clone(), act: "revoke", state };
    Printer::new(arguments.output).print(&done, |done| Rows {
        header: vec!["id", "act", "state"],
        rows: vec![vec![done.id.clone(), done.act.to_owned(), done.state.to_owned()]],
    })
}

fn listed(keys: &[Row]) -> Rows {
    let row = |key: &Row| {
        let labels: Vec<String> =
            key.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        vec![
            key.id.clone(),
            key.state.clone(),
            key.service.clone(),
            key.environment.clone(),
            labels.join(", "),
            key.networks.join(", "),
            key.uses_left.to_string(),
            key.expires_at.clone(),
            key.made_by.clone().unwrap_or_else(|| "this server".to_owned()),
        ]
    };
    let header = vec![
        "id",
        "state",
        "service",
        "environment",
        "labels",
        "networks",
        "uses left",
        "expires",
        "made by",
    ];
    Rows { header, rows: keys.iter().map(row).collect() }
}

fn create(client: &Client, arguments: Create) -> Result<(), Failure> {
    let grant = Grant {
        service: arguments.service.clone(),
        environment: arguments.environment.clone(),
        class: asset::Class::Server,
        labels: arguments.label.iter().cloned().collect(),
        networks: arguments.network,
        approval: arguments.approval,
    };
    grant.check().map_err(Failure::invalid)?;
    let mut made = Made {
        service: arguments.service,
        environment: arguments.environment,
        labels: grant.labels.clone(),
        networks: grant.networks.clone(),
        approval: grant.approval,
        uses: arguments.uses,
        expires: format!("{} after it is made", arguments.expires_in),
        key: None,
        command: None,
    };
    let wanted = Wanted { uses: arguments.uses, expires_in: arguments.expires_in, grant };
    if arguments.dry_run {
        client.rehearse(&["enrolment-keys"], &wanted)?;
    } else {
        let created: Created = client.post(&["enrolment-keys"], &wanted)?;
        made.uses = created.uses;
        made.expires = created.expires_at;
        made.command = Some(command(client, &created.key)?);
        made.key = Some(created.key);
    }
    Printer::new(arguments.output).print(&made, rows)
}

/// The line that enrols a host, and starts its agent.
fn command(client: &Client, key: &str) -> Result<String, Failure> {
    let agents = match &client.file.agents {
        Some(agents) => agents.clone(),
        None => {
            let wrong = || Failure::invalid(format_args!("{} is no address", client.file.server));
            let mut url = Url::parse(&client.file.server).map_err(|_| wrong())?;
            url.set_port(Some(AGENT_PORT)).map_err(|()| wrong())?;
            url.as_str().trim_end_matches('/').to_owned()
        }
    };
    Ok(format!("bartizan-agent run --server {agents} --fingerprint {} --key {key}", client.fingerprint))
}

/// The command stands last, where nothing breaks it over two cells.
fn rows(made: &Made) -> Rows {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("service", made.service.clone());
    say("environment", made.environment.clone());
    for (label, value) in &made.labels {
        say("label", format!("{label}={value}"));
    }
    for network in &made.networks {
        say("network", network.to_string());
    }
    if made.approval {
        say("approval", "each host waits until it is let in: bartizan asset approve NAME".to_owned());
    }
    say("uses", made.uses.to_string());
    say("expires", made.expires.clone());
    match (&made.key, &made.command) {
        (Some(key), Some(command)) => {
            say("key", key.clone());
            say("run", command.clone());
        }
        _ => say("key", "none: nothing was made".to_owned()),
    }
    Rows { header: vec!["field", "value"], rows }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn network(text: &str) -> Result<Network, String> {
    Network::try_from(text.to_owned())
}
