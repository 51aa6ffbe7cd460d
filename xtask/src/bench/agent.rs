//! `cargo xtask bench agent`: what an idle agent costs with everything on (the shipped rules, detections and
//! thresholds), beside Debian's prometheus-node-exporter, which is scraped every 15 s in the same run.
//!
//! Memory is the proportional set size (proc_pid_smaps_rollup(5)) of the program and all its children; time is
//! what the scheduler gave to them, those that ended and were waited for among them (proc_pid_stat(5)).

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

mod process;

use process::{Cost, cost};

/// How often both are looked at, and the exporter is scraped.
const INTERVAL: Duration = Duration::from_secs(15);

/// How long the agent is let be after its first report: its first collection is no idle time.
const SETTLING: Duration = Duration::from_secs(60);

/// How long a program may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

const EXPORTER: &str = "/usr/bin/prometheus-node-exporter";

/// The goals: bytes, and hundredths of a per cent of one core.
const GOAL_BYTES: u64 = 20_000_000;
const GOAL_SHARE: f64 = 0.5;

/// What `cargo xtask bench agent` may be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How long to measure, after the first minute.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Take `bartizan` from this folder, instead of building it for release.
    #[arg(long, value_name = "DIR")]
    server: Option<PathBuf>,
    /// Take `bartizan-agent` from this folder, instead of building it as it ships.
    #[arg(long, value_name = "DIR")]
    agent: Option<PathBuf>,
}

/// A program under test, ended with the run.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors say that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The cost of one program over the run.
#[derive(Debug, Default)]
struct Course {
    first: Option<Cost>,
    last: Cost,
    bytes: Vec<u64>,
}

/// Starts all three, measures, and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let programs = Programs {
        server: built(arguments.server.as_deref(), "bartizan", "release")?,
        agent: built(arguments.agent.as_deref(), "bartizan-agent", "agent")?,
    };
    if !Path::new(EXPORTER).exists() {
        crate::services::install("prometheus-node-exporter")?;
    }
    let folder = std::env::temp_dir().join(format!("bartizan-bench-{}", std::process::id()));
    let measured = measure(arguments, &programs, &folder);
    std::fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))?;
    let (agent, exporter) = measured?;
    println!("{}", table(&agent, &exporter));
    Ok(())
}

/// The programs under test. The server is not measured.
struct Programs {
    server: PathBuf,
    agent: PathBuf,
}

/// A program in the folder that was named, or built under a profile of the workspace.
fn built(folder: Option<&Path>, name: &str, profile: &str) -> Result<PathBuf> {
    if let Some(folder) = folder {
        return Ok(folder.join(name));
    }
    crate::run(&mut crate::cargo(&["build", "--profile", profile, "-p", name, "--bin", name]))?;
    Ok(crate::target_folder()?.join(profile).join(name))
}

fn measure(arguments: &Arguments, programs: &Programs, folder: &Path) -> Result<(Course, Course)> {
    let server_folder = folder.join("server");
    let empty = folder.join("root");
    std::fs::create_dir_all(&empty)?;
    // The server's own agent watches an empty folder: the one that is measured watches this machine.
    let mut up = Command::new(&programs.server);
    up.args(["up", "--port", "0", "--agent-port", "0", "--root"]).arg(&empty);
    let _server = start(up.arg("--state").arg(&server_folder), &folder.join("server.log"))?;
    let client = server_folder.join("client.json");
    until("the server is up", || Ok(client.exists().then_some(())))?;
    let mut create = Command::new(&programs.server);
    create.arg("--client").arg(&client).args(["enrolment", "create", "--service", "local"]);
    let made = crate::output(create.args(["--environment", "dev", "-o", "json"]))?;
    let made: serde_json::Value = serde_json::from_str(&made).context("the key is no JSON")?;
    let line = made.get("command").and_then(serde_json::Value::as_str).context("there is no command")?;
    let mut agent = Command::new(&programs.agent);
    agent.args(line.split(' ').skip(1)).arg("--state").arg(folder.join("agent"));
    let mut agent = start(agent.args(["--name", "measured"]), &folder.join("agent.log"))?;
    // It has a policy, and so has judged and reported.
    let policy = folder.join("agent/policy");
    until("the agent has its policy", || Ok(policy.exists().then_some(())))?;

    let address = free_address()?;
    let mut exporter = Command::new(EXPORTER);
    let exporter = exporter.arg(format!("--web.listen-address={address}"));
    let mut exporter = start(exporter, &folder.join("exporter.log"))?;
    until("the exporter answers", || Ok(scrape(address).ok()))?;
    let minutes = Duration::from_secs(u64::from(arguments.minutes) * 60);
    println!("settling for {} s, then measuring for {} min", SETTLING.as_secs(), arguments.minutes);
    std::thread::sleep(SETTLING);
    let (mut of_agent, mut of_exporter) = (Course::default(), Course::default());
    let started = Instant::now();
    for turn in 0_u32.. {
        let due = INTERVAL.saturating_mul(turn);
        if due > minutes {
            break;
        }
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        scrape(address)?;
        for (program, course) in [(&mut agent, &mut of_agent), (&mut exporter, &mut of_exporter)] {
            ensure!(program.0.try_wait()?.is_none(), "a program ended; see {}", folder.display());
            course.take(cost(program.0.id())?);
        }
    }
    Ok((of_agent, of_exporter))
}

fn start(command: &mut Command, log: &Path) -> Result<Running> {
    let log = std::fs::File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Running(command.spawn().with_context(|| format!("can't start {name}"))?))
}

/// Waits for what a program has to bring about.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    while started.elapsed() < READY_LIMIT {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("waited {} s in vain until {what}", READY_LIMIT.as_secs())
}

/// A port that nobody listens on; another program may take it meanwhile, and then the run fails.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Reads all metrics, as a Prometheus does; how many bytes there were.
fn scrape(address: SocketAddr) -> Result<usize> {
    let mut stream = TcpStream::connect_timeout(&address, INTERVAL)?;
    stream.set_read_timeout(Some(INTERVAL))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the exporter refuses to be scraped");
    Ok(answer.len())
}

impl Course {
    fn take(&mut self, cost: Cost) {
        self.first.get_or_insert(cost);
        self.last = cost;
        self.bytes.push(cost.bytes);
    }

    /// Hundredths of one core's time, in per cent.
    fn share(&self) -> f64 {
        let Some(first) = self.first else { return f64::NAN };
        let time = self.last.at.duration_since(first.at).as_secs_f64();
        self.last.time.saturating_sub(first.time).as_secs_f64() * 100.0 / time
    }

    fn median(&self) -> u64 {
        let mut bytes = self.bytes.clone();
        bytes.sort_unstable();
        bytes.get(bytes.len() / 2).copied().unwrap_or_default()
    }

    fn most(&self) -> u64 {
        self.bytes.iter().copied().max().unwrap_or_default()
    }
}

/// Bytes as people read them: 1 MB is 1,000,000 bytes.
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MB", self.0 as f64 / 1e6)
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit of a ratio is shown")]
fn table(agent: &Course, exporter: &Course) -> String {
    let line = |name: &str, course: &Course| {
        let (median, most) = (Megabytes(course.median()).to_string(), Megabytes(course.most()).to_string());
        format!("{name:<26}{median:>12}{most:>12}{:>11.2} %", course.share())
    };
    let ratio = agent.median() as f64 / exporter.median() as f64;
    let most = agent.most() as f64 / exporter.most() as f64;
    let share = agent.share() / exporter.share();
    let met = agent.most() < GOAL_BYTES && agent.share() < GOAL_SHARE;
    let goal = if met { "met" } else { "missed" };
    [
        format!("{:<26}{:>12}{:>12}{:>13}", "", "PSS, median", "PSS, most", "of one core"),
        line("bartizan-agent", agent),
        line("prometheus-node-exporter", exporter),
        format!("{:<26}{ratio:>12.2}{most:>12.2}{share:>13.2}", "ratio"),
        format!("goal: under {} at most, under {GOAL_SHARE} %: {goal}", Megabytes(GOAL_BYTES)),
    ]
    .join("\n")
}
