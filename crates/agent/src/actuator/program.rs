//! The two programs that an actuator starts: fixed verbs, one checked name, no shell, an empty
//! environment, a time limit.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Problem;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How much of what a program says is kept, in bytes.
const TALK_BYTES_LIMIT: usize = 64 << 10;

/// How long the end of its pipes is waited for once a program has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) output: String,
    pub(super) talk: String,
}

/// Runs a program to its end, or ends it when its time is over.
pub(super) fn run(program: &Path, words: &[&str], limit: Duration) -> Result<Ended, Problem> {
    let problem = |problem: String| Problem::Program { program: program.display().to_string(), problem };
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| problem(format!("can't be started: {error}")))?;
    let (output, talk) = (listen(child.stdout.take()), listen(child.stderr.take()));
    let status = wait(&mut child, limit).map_err(|error| problem(format!("can't be waited for: {error}")))?;
    let Some(status) = status else {
        return Err(problem(format!("did not end within {} s", limit.as_secs())));
    };
    Ok(Ended { success: status.success(), output: output.text(), talk: talk.text() })
}

/// Runs a program that has to succeed.
pub(super) fn done(program: &Path, words: &[&str], limit: Duration) -> Result<(), Problem> {
    let ended = run(program, words, limit)?;
    if ended.success {
        return Ok(());
    }
    let said = if ended.talk.trim().is_empty() { &ended.output } else { &ended.talk };
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("failed, and said nothing");
    Err(Problem::Program { program: program.display().to_string(), problem: format!("failed: {last}") })
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// What a program says on one pipe, as far as it was read.
struct Said {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Said {
    /// The text, once the pipe has ended. A daemon that the program left behind may hold the pipe
    /// open for ever: then what was said until now.
    fn text(&self) -> String {
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

/// Reads a pipe, so that the program never waits for room; what is too much is dropped.
fn listen(pipe: Option<impl Read + Send + 'static>) -> Said {
    let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (over, ended) = channel();
    if let Some(mut pipe) = pipe {
        let kept = Arc::clone(&kept);
        std::thread::spawn(move || {
            let mut chunk = [0; 4_096];
            while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = TALK_BYTES_LIMIT.saturating_sub(kept.len()).min(read);
                kept.extend(chunk.iter().take(room));
            }
            // Nobody waits for it any more where the program was ended.
            let _ = over.send(());
        });
    }
    Said { kept, ended }
}
