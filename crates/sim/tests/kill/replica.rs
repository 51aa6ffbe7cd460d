//! A replica in a process of its own, so that it can be killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bartizan_sim::replica::Told;

/// A running replica. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Replica {
    child: Child,
    pub(crate) told: Told,
}

impl Replica {
    /// Starts one from its program, on a folder and, where one is named, on PostgreSQL.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        postgres: Option<(&str, &str)>,
    ) -> std::io::Result<Replica> {
        Self::start_with(program, folder, postgres, &[])
    }

    /// The same, with more words for it.
    pub(crate) fn start_with(
        program: &Path,
        folder: &Path,
        postgres: Option<(&str, &str)>,
        flags: &[&str],
    ) -> std::io::Result<Replica> {
        let mut command = Command::new(program);
        command.arg(folder).stdout(Stdio::piped()).stdin(Stdio::null());
        if let Some((url, schema)) = postgres {
            command.args([url, schema]);
        }
        let mut child = command.args(flags).spawn()?;
        let missing = || std::io::Error::other("the replica ended before it said where it is");
        let out = child.stdout.take().ok_or_else(missing)?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let told = serde_json::from_str(&line).map_err(|_| missing());
        match told {
            Ok(told) => Ok(Replica { child, told }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Ends it as `kill -9` does: it gets no chance to finish anything.
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.kill();
    }
}
