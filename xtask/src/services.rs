//! What tests need beside the Rust toolchain: installed from Debian's packages where it is
//! missing, started on free ports, ended with the tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

mod postgres;

use postgres::Postgres;

/// The services that are up, and what could not be had.
#[derive(Debug)]
pub struct Services {
    variables: BTreeMap<&'static str, String>,
    left_out: Vec<String>,
    _postgres: Option<Postgres>,
}

/// Something that tests need: the program that shows it is there, and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    pub name: &'static str,
    pub program: &'static str,
    pub package: &'static str,
}

const CHROMIUM: Service = Service { name: "Chromium", program: "/usr/bin/chromium", package: "chromium" };
const CHROMEDRIVER: Service =
    Service { name: "ChromeDriver", program: "/usr/bin/chromedriver", package: "chromium-driver" };
const PYTHON: Service = Service { name: "Python", program: "/usr/bin/python3", package: "python3" };
const MAIL: Service = Service {
    name: "SMTP sink",
    program: "/usr/lib/python3/dist-packages/aiosmtpd/__init__.py",
    package: "python3-aiosmtpd",
};
const RPM: Service = Service { name: "rpm", program: "/usr/bin/rpm", package: "rpm" };

impl Services {
    /// Installs and starts them. Where `CI=true` a service that can't be had is an error.
    pub fn start() -> Result<Services> {
        let mut services = Services { variables: BTreeMap::new(), left_out: Vec::new(), _postgres: None };
        let chromium = services.require(CHROMIUM)?;
        if services.require(CHROMEDRIVER)? && chromium {
            services.variables.insert("BARTIZAN_TEST_BROWSER", "required".to_owned());
        }
        for service in [PYTHON, MAIL, RPM] {
            services.require(service)?;
        }
        match Postgres::start() {
            Ok(postgres) => {
                services.variables.insert("BARTIZAN_TEST_POSTGRES", postgres.url());
                services._postgres = Some(postgres);
            }
            Err(error) => services.leave_out("PostgreSQL", &format!("{error:#}"))?,
        }
        Ok(services)
    }

    /// Tells a test run where the services are.
    pub fn announce(&self, command: &mut Command) {
        command.envs(&self.variables);
    }

    /// Prints what was left out, one line each, and how many.
    pub fn report_left_out(&self) {
        for line in &self.left_out {
            println!("left out: {line}");
        }
        println!("{} services left out", self.left_out.len());
    }

    /// Whether it is there now.
    fn require(&mut self, service: Service) -> Result<bool> {
        if Path::new(service.program).exists() {
            return Ok(true);
        }
        match install(service.package) {
            Ok(()) => Ok(true),
            Err(error) => self.leave_out(service.name, &format!("{error:#}")).map(|()| false),
        }
    }

    fn leave_out(&mut self, name: &str, why: &str) -> Result<()> {
        if on_ci() {
            bail!("{name} is needed and can't be had: {why}");
        }
        self.left_out.push(format!("{name}: {why}"));
        Ok(())
    }
}

/// Whether this is the integration service, where nothing may be left out.
#[expect(clippy::disallowed_methods, reason = "a chore is a composition root: it reads the environment")]
fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Installs a Debian package; an error says how to do it by hand where it can't.
pub(crate) fn install(package: &str) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this is no Debian: install what `{package}` brings there by your own means");
    }
    let attempt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        crate::output(&mut command)
    };
    println!("installing {package}");
    attempt(&["update", "-q"])
        .and_then(|_| attempt(&["install", "-y", "-q", "--no-install-recommends", package]))
        .map(|_| ())
        .map_err(|error| error.context(format!("run `sudo apt-get install {package}`")))
}
