//! A second machine, by the steps that the README tells: the second factor is set up on loopback, the
//! server listens beyond it, people sign in by both, and an agent enrols from there.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_core::time::Timestamp;
use bartizan_server::auth::factor::Secret;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::Value;

#[path = "beyond/net.rs"]
mod net;

use net::{Net, SERVER};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The variable by which this program is told that it runs on one of the machines, and does what.
const PART: &str = "BARTIZAN_TEST_PART";

/// The name that a certificate of one's own is for.
const NAME: &str = "watch.test";

#[expect(clippy::disallowed_methods, reason = "codes are of the machine's own time")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A small root to be watched.
fn root(folder: &Path, name: &str) -> PathBuf {
    let root = folder.join(name);
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
    fs::write(root.join("etc/hostname"), format!("{name}\n")).unwrap();
    root
}

/// A running program, told to end when this is dropped.
struct Running(Child);

impl Running {
    /// Tells it to end, as Ctrl-C does; it ends well.
    fn stop(mut self) {
        self.interrupt();
        assert!(self.0.wait().unwrap().success());
    }

    fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct House {
    net: Net,
    folder: tempfile::TempDir,
}

impl House {
    fn bartizan(&self, words: &[&str]) -> Command {
        let mut command = self.net.on_server(env!("CARGO_BIN_EXE_bartizan"));
        command.args(words);
        command
    }

    /// `up` with these words more.
    fn up(&self, words: &[&str]) -> Command {
        let mut command = self.bartizan(&["up"]);
        let folder = self.folder.path();
        command.args(words).arg("--state").arg(folder.join("state")).arg("--root").arg(root(folder, "first"));
        command
    }

    /// Starts it, and gives the link that it prints.
    fn start(&self, words: &[&str]) -> (Running, String) {
        let mut child = self.up(words).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Running(child), line.trim().to_owned())
    }

    fn json(&self, words: &[&str]) -> Value {
        let client = self.folder.path().join("state/client.json");
        let output = self.bartizan(words).arg("--client").arg(client).args(["-o", "json"]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Runs one part of the test on a machine; gives what it printed.
fn part(mut on: Command, name: &str, words: &[&str]) -> String {
    on.args(["--exact", "a_part_that_is_played_on_one_of_the_machines", "--nocapture"]);
    let output = on.env(PART, [&[name], words].concat().join(" ")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines()
        .find_map(|line| line.split_once("told: "))
        .map(|(_, told)| told.to_owned())
        .unwrap_or_default()
}

/// Asks as a browser does; what certificates say is looked at elsewhere.
struct Browser {
    http: reqwest::blocking::Client,
    origin: String,
    cookie: String,
}

impl Browser {
    fn sign_in(url: &str) -> Browser {
        let (origin, link) = url.split_once("/sign-in?link=").unwrap();
        let http = reqwest::blocking::Client::builder()
            .danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut browser = Browser { http, origin: origin.to_owned(), cookie: String::new() };
        let answer = browser.post("/sign-in", &[("link", link)]);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::blocking::Response {
        let request = self.http.post(format!("{}{path}", self.origin)).header(ORIGIN, &self.origin);
        request.header(COOKIE, &self.cookie).form(form).send().unwrap()
    }

    fn get(&self, path: &str) -> reqwest::blocking::Response {
        let request = self.http.get(format!("{}{path}", self.origin)).header("accept", "text/html");
        request.header(COOKIE, &self.cookie).send().unwrap()
    }
}

/// Reads base 32 (RFC 4648) in groups, as a device is told it.
fn device(groups: &str) -> Secret {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = groups
        .chars()
        .filter_map(|letter| letters.find(letter))
        .map(|value| format!("{value:05b}"))
        .collect();
    let bytes = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    Secret::from_bytes(bytes.collect())
}

/// Not a test by itself: the test below runs this program again inside the machines.
#[test]
fn a_part_that_is_played_on_one_of_the_machines() {
    let Some(words) = std::env::var_os(PART) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words = words.into_string().unwrap();
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["set-up", url] => {
            let browser = Browser::sign_in(url);
            assert_eq!(browser.get("/alerts").status(), StatusCode::OK, "on loopback the link is enough");
            browser.post("/factor/begin", &[]);
            let page = browser.get("/factor").text().unwrap();
            let groups = page.split("aria-label=\"Secret\">").nth(1).unwrap().split('<').next().unwrap();
            let confirmed = browser.post("/factor/confirm", &[("code", &device(groups).code(now()))]);
            assert!(confirmed.text().unwrap().contains("Your second factor is set up"));
            println!("told: {}", groups.replace(' ', ""));
        }
        ["sign-in", url, secret] => {
            let browser = Browser::sign_in(url);
            assert_eq!(browser.get("/alerts").headers()[LOCATION], "/factor");
            // The code of this step may be the one that was used: a clock may be one step ahead.
            let code = device(secret).code(now().plus(bartizan_core::time::Duration::from_secs(30)));
            assert_eq!(browser.post("/factor/show", &[("code", &code)]).headers()[LOCATION], "/");
            assert_eq!(browser.get("/alerts").status(), StatusCode::OK);
        }
        ["by-name", certificate] => {
            let certificate = reqwest::Certificate::from_pem(&fs::read(certificate).unwrap()).unwrap();
            let http = reqwest::blocking::Client::builder()
                .tls_built_in_root_certs(false)
                .add_root_certificate(certificate)
                .resolve(NAME, format!("{SERVER}:8443").parse().unwrap());
            let answer = http.build().unwrap().get(format!("https://{NAME}:8443/sign-in")).send().unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
        _ => panic!("there is no part `{words}`"),
    }
}

#[test]
fn a_second_machine_enrols_and_people_sign_in_from_it_by_both_factors() {
    let agent = Path::new(env!("CARGO_BIN_EXE_bartizan")).with_file_name("bartizan-agent");
    if !net::is_possible() {
        return;
    }
    if !agent.exists() {
        eprintln!("left out: a second machine, since {} is not built", agent.display());
        return;
    }
    let house = House { net: Net::new(), folder: tempfile::tempdir().unwrap() };
    let this = std::env::current_exe().unwrap();
    let beyond = ["--listen", SERVER, "--name", SERVER];
    let refused = house.up(&beyond).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && text.contains("no admin has one") && text.contains("/factor"),
        "{text}"
    );
    let (up, link) = house.start(&[]);
    let secret = part(house.net.on_server(&this), "set-up", &[&link]);
    up.stop();

    let (up, link) = house.start(&beyond);
    assert!(link.starts_with(&format!("https://{SERVER}:8443/sign-in?link=")), "{link}");
    part(house.net.on_other(&this), "sign-in", &[&link, &secret]);
    // What the command line on the server's machine prints is run on the other one as it stands.
    let made = house.json(&["enrolment", "create", "--service", "shop", "--environment", "dev"]);
    let line = made["command"].as_str().unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "bartizan-agent", "{line}");
    let folder = house.folder.path();
    let mut second = house.net.on_other(&agent);
    second.args(&words[1..]).args(["--name", "second", "--state"]).arg(folder.join("agent"));
    second.arg("--root").arg(root(folder, "second")).stderr(Stdio::null());
    let second = Running(second.spawn().unwrap());
    let start = Instant::now();
    loop {
        let assets = house.json(&["asset", "list"]);
        let names: Vec<&str> =
            assets.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        if names.contains(&"second") {
            break;
        }
        assert!(start.elapsed() < LIMIT, "the second machine never came: {names:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(second);
    up.stop();

    // With a certificate of one's own, who asks by the name is shown it, and the command line still works.
    let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
    fs::write(&certificate, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let files = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let (up, _) = house.start(&[&["--listen", SERVER, "--name", NAME][..], &files].concat());
    part(house.net.on_other(&this), "by-name", &[certificate.to_str().unwrap()]);
    assert!(house.json(&["person", "list"])["people"][0]["second_factor"].as_bool().unwrap());
    up.stop();
}
