//! `bartizan-agent`: observes one host and reports to its server.
//!
//! This is a composition root: it alone reads the clock, the environment and the command line, and
//! hands them in. Everything it says goes to standard error.

use std::ffi::{CString, OsString};
use std::fmt::Display;
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bartizan_agent::detection::AUTHENTICATION_LOGS;
use bartizan_agent::{Agent, Error, Problem, Settings, Status};
use bartizan_core::error::Class;
use bartizan_core::time::Timestamp;
use bartizan_probe::root::{Limit, Root};
use clap::{Args, Parser, Subcommand};
use rand::SeedableRng as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// The largest file with an enrolment key.
const KEY_FILE: Limit = Limit { name: "file with an enrolment key", bytes: 4 << 10 };

/// Observes one host and reports to its server.
#[derive(Debug, Parser)]
#[command(name = "bartizan-agent", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Run),
}

/// Enrol this host where that was not done yet, then observe and report until told to stop.
///
/// Everything that the agent keeps lies in its state folder: its key, its certificate, what waits
/// for the server, and the newest head of the ledger. It takes nothing from
/// the server but policy, and orders as far as the host's own file allows them.
#[derive(Debug, Args)]
struct Run {
    /// The server's address for agents: https://host:8444
    #[arg(long, value_name = "URL", env = "BARTIZAN_SERVER")]
    server: String,
    /// The fingerprint of the server's authority, as the server prints it: sha256:…
    #[arg(long, value_name = "FINGERPRINT", env = "BARTIZAN_FINGERPRINT")]
    fingerprint: String,
    /// An enrolment key; needed until the host is enrolled. Other users of this host can see it: prefer
    /// --key-file
    #[arg(long, value_name = "KEY", env = "BARTIZAN_ENROLMENT_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A file that holds an enrolment key
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// The folder in which the agent keeps what it must not forget
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/bartizan-agent")]
    state: PathBuf,
    /// The root of the host that is observed
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
    /// The host's own file: what the agent may do beside observing. Root alone may write to it
    #[arg(long, value_name = "FILE", default_value = bartizan_agent::local::FILE)]
    local: PathBuf,
    /// What the host is called; its own name where nothing is given
    #[arg(long)]
    name: Option<String>,
}

/// Why the agent ended, and what to do.
#[derive(Debug)]
struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(class: Class, message: impl Display) -> Self {
        Self { class, message: message.to_string(), hint: None }
    }

    fn hint(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { class: error.class(), message: error.to_string(), hint }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { class: problem.class, message: problem.text, hint: problem.hint }
    }
}

/// How glibc is told to give memory back (mallopt(3)): one area for all threads, where it else keeps one for
/// each of the collectors' short-lived ones; and what is large, or free at the end of the area, at once. Its own
/// thresholds grow with what the first collection takes, and keep that for ever.
const ALLOCATION: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

/// Starts the program anew with these settings, but for those that were made already: glibc reads them before the
/// program's first line runs.
fn with_memory_given_back() {
    let missing: Vec<_> =
        ALLOCATION.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let text = |word: OsString| CString::new(word.into_vec()).ok();
    let program = std::env::current_exe().ok().and_then(|program| text(program.into_os_string()));
    let arguments: Option<Vec<CString>> = std::env::args_os().map(text).collect();
    let missing = missing.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let variables = std::env::vars_os().chain(missing).map(|(name, value)| {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        text(pair)
    });
    let variables: Option<Vec<CString>> = variables.collect();
    // The same process goes on. It comes back here where that failed alone: the agent then takes
    // more memory, and works.
    if let (Some(program), Some(arguments), Some(variables)) = (program, arguments, variables) {
        let _ = nix::unistd::execve(&program, &arguments, &variables);
    }
}

fn main() -> ExitCode {
    with_memory_given_back();
    let Arguments { verb: Verb::Run(arguments) } = Arguments::parse();
    let filter = EnvFilter::try_from_env("BARTIZAN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let talk = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    talk.with_ansi(colours).with_target(false).init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

#[expect(clippy::print_stderr, reason = "talk goes to standard error, and this is where it is said")]
fn report(failure: &Failure) -> ExitCode {
    eprintln!("error: {}", failure.message);
    if let Some(hint) = &failure.hint {
        eprintln!(" hint: {hint}");
    }
    ExitCode::from(failure.class.exit_code())
}

fn run(arguments: Run) -> Result<(), Failure> {
    let settings = settings(arguments)?;
    // One thread serves the link; what blocks has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Class::Unavailable, format_args!("can't start a runtime: {error}")))?;
    runtime.block_on(serve(settings))
}

fn settings(arguments: Run) -> Result<Settings, Failure> {
    let root = Root::at(&arguments.root).map_err(|error| Failure::new(error.class(), error))?;
    let enrolment_key = match arguments.key_file {
        Some(file) => Some(read_key(&file)?),
        None => arguments.key,
    };
    let name = match arguments.name {
        Some(name) => name,
        None => {
            nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).map_err(|error| {
                Failure::new(Class::Unavailable, format_args!("can't find this host's name: {error}"))
            })?
        }
    };
    Ok(Settings {
        folder: arguments.state,
        server: arguments.server,
        authority_fingerprint: arguments.fingerprint,
        enrolment_key,
        name,
        root,
        logs: AUTHENTICATION_LOGS.into_iter().map(PathBuf::from).collect(),
        local: arguments.local,
    })
}

fn read_key(file: &Path) -> Result<String, Failure> {
    let text =
        Root::host().read_text(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()), KEY_FILE);
    let text = text.map_err(|error| Failure::new(error.class(), error))?.text;
    match text.trim() {
        "" => Err(Failure::new(Class::Invalid, format_args!("{} holds no enrolment key", file.display()))),
        key => Ok(key.to_owned()),
    }
}

/// Reads the wall clock: the one place where that is done.
#[expect(clippy::disallowed_methods, reason = "the composition root reads the clock and hands it in")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let fault = |error: std::io::Error| {
        Failure::new(Class::Unavailable, format_args!("can't await signals: {error}"))
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    let random = rand::rngs::StdRng::try_from_os_rng()
        .map_err(|error| Failure::new(Class::Unavailable, format_args!("there is no randomness: {error}")))?;
    let agent = Agent::start(settings, Arc::new(now), Box::new(random))?;
    let mut status = agent.status();
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        failure = hopeless(&mut status) => Err(failure),
    };
    tracing::info!("stopping");
    agent.stop().await;
    ended
}

/// Comes back where the agent can't enrol and trying again won't help, or where it has ended.
async fn hopeless(status: &mut watch::Receiver<Status>) -> Failure {
    loop {
        {
            let status = status.borrow_and_update();
            if status.asset.is_none()
                && let Some(problem) =
                    status.problem.clone().filter(|problem| problem.class != Class::Unavailable)
            {
                return problem.into();
            }
        }
        if status.changed().await.is_err() {
            return Failure::new(Class::Bug, "the agent's own thread broke off")
                .hint("the log before this says where; please report it");
        }
    }
}
