//! A PostgreSQL cluster of the tests' own, in a temporary folder on a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::output;

/// A running cluster; it is stopped and its folder removed when this goes.
#[derive(Debug)]
pub(super) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

/// PostgreSQL refuses to run as root; Debian's package makes this account for it.
const ACCOUNT: &str = "postgres";

impl Postgres {
    /// Makes a cluster and starts it, with durability as in production.
    pub(super) fn start() -> Result<Postgres> {
        let programs = match programs() {
            Some(folder) => folder,
            None => {
                super::install("postgresql")?;
                programs().context("the package postgresql brought no pg_ctl")?
            }
        };
        let folder = std::env::temp_dir().join(format!("bartizan-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        if is_root() {
            output(Command::new("chown").arg(ACCOUNT).arg(&folder))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let postgres = Postgres { folder, programs, port };
        let data = postgres.folder.join("data");
        output(
            postgres
                .command("initdb")
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D"])
                .arg(&data),
        )?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=300",
            postgres.folder.display()
        );
        output(
            postgres
                .command("pg_ctl")
                .args(["start", "--wait", "--silent", "-o", &options, "-l"])
                .arg(postgres.folder.join("log"))
                .arg("-D")
                .arg(&data),
        )?;
        Ok(postgres)
    }

    /// Where it answers.
    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", "--"]).arg(program);
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        let stopped =
            output(self.command("pg_ctl").args(["stop", "--mode=immediate", "--silent", "-D"]).arg(data));
        if let Err(error) = stopped {
            println!("PostgreSQL on port {} did not stop: {error:#}", self.port);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            println!("{} stays: {error}", self.folder.display());
        }
    }
}

/// The newest installed version's folder of programs.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").exists().then_some((version, folder))
        })
        .collect();
    folders.sort();
    folders.pop().map(|(_, folder)| folder)
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&match std::fs::metadata(Path::new("/proc/self")) {
        Ok(metadata) => metadata,
        Err(_) => return false,
    }) == 0
}
