//! A headless Chromium, driven as a person would drive it: by the W3C's `WebDriver` protocol.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Where Debian's packages put them.
const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";

/// What the driver says when it answers; the port follows.
const STARTED: &str = "started successfully on port ";

/// What a driver says of an element that a page has replaced since it was found, or is about to.
const DRAWN_ANEW: [&str; 2] = ["stale element reference", "element not interactable"];

/// How often something is tried on what is drawn anew meanwhile.
const TRIES: usize = 5;

/// How many lines the driver may say before that.
const LINES_LIMIT: usize = 20;

/// How long the page may take to become what is awaited.
const LIMIT: Duration = Duration::from_secs(30);

/// How long one answer of the driver may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(50);

/// The keys that `WebDriver` names by a character of its own (W3C `WebDriver`, 17.4.2).
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// The name by which a found element is told (W3C `WebDriver`, 12.3).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The program that is missing, where one is.
pub(crate) fn missing() -> Option<&'static str> {
    [CHROMIUM, CHROMEDRIVER].into_iter().find(|program| !Path::new(program).exists())
}

/// Why the browser does not do as it is told.
pub(crate) struct Fault(String);

impl fmt::Debug for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut told = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            told = format!("{told}: {error}");
            source = error.source();
        }
        Fault(told)
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    /// The least height; a longer page is taken whole.
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

/// The driver's process. It leads a group that the browser is in as well, which ends with it.
#[derive(Debug)]
struct Driver {
    child: Child,
    group: Pid,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// A running browser with one window; all of it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    session: String,
    _driver: Driver,
}

impl Browser {
    /// Starts driver and browser; what they write goes to this folder.
    pub(crate) async fn start(folder: &Path) -> Result<Browser, Fault> {
        let mut command = Command::new(CHROMEDRIVER);
        command.arg("--port=0").env("TMPDIR", folder).env("HOME", folder).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let out = child.stdout.take();
        let group = Pid::from_raw(i32::try_from(child.id())?);
        let driver = Driver { child, group };
        let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
        let port = lines.take(LINES_LIMIT).find_map(|line| {
            let port = line.ok()?.split_once(STARTED)?.1.trim_end_matches('.').parse::<u16>().ok()?;
            Some(port)
        });
        let port = port.ok_or_else(|| Fault("chromedriver did not say its port".to_owned()))?;
        let client = Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        let origin = format!("http://127.0.0.1:{port}/session");
        let opened = ask(&client, Method::POST, &origin, Some(capabilities(folder))).await?;
        let session = opened.get("sessionId").and_then(Value::as_str);
        let session = session.ok_or_else(|| Fault(format!("no session: {opened}")))?;
        Ok(Browser { session: format!("{origin}/{session}"), client, _driver: driver })
    }

    /// Closes the window and the browser.
    pub(crate) async fn end(self) -> Result<(), Fault> {
        ask(&self.client, Method::DELETE, &self.session, None).await.map(drop)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Fault> {
        ask(&self.client, Method::POST, &format!("{}{path}", self.session), Some(body)).await
    }

    /// Goes to an address and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) -> Result<(), Fault> {
        self.post("/url", json!({"url": url})).await.map(drop)
    }

    /// What an expression is worth on the page.
    pub(crate) async fn value(&self, expression: &str) -> Result<Value, Fault> {
        self.post("/execute/sync", json!({"script": format!("return ({expression});"), "args": []})).await
    }

    /// The text that an expression is worth.
    pub(crate) async fn text(&self, expression: &str) -> Result<String, Fault> {
        let value = self.value(expression).await?;
        Ok(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
    }

    /// Waits until an expression holds on the page, through whatever loads in between.
    pub(crate) async fn until(&self, expression: &str) -> Result<(), Fault> {
        let mut pace = tokio::time::interval(PACE);
        let holds = async {
            loop {
                pace.tick().await;
                // A page that is being left has nothing to ask; the next one has.
                if let Ok(Value::Bool(true)) = self.value(expression).await {
                    return;
                }
            }
        };
        if tokio::time::timeout(LIMIT, holds).await.is_ok() {
            return Ok(());
        }
        let shown = self.text("location.href + '\\n' + document.body.innerText").await?;
        Err(Fault(format!("`{expression}` did not come to hold: {shown}")))
    }

    /// Waits until the page says something.
    pub(crate) async fn says(&self, words: &str) -> Result<(), Fault> {
        self.until(&format!("document.body.innerText.includes({})", Value::from(words))).await
    }

    async fn element(&self, xpath: &str) -> Result<String, Fault> {
        let found = self.post("/element", json!({"using": "xpath", "value": xpath})).await?;
        let id = found.get(ELEMENT).and_then(Value::as_str);
        id.map(ToOwned::to_owned).ok_or_else(|| Fault(format!("no element `{xpath}`: {found}")))
    }

    /// Clicks what an `XPath` finds, as a pointer does: it must be seen and not be covered.
    pub(crate) async fn click(&self, xpath: &str) -> Result<(), Fault> {
        self.act(xpath, "click", &json!({})).await
    }

    /// Unfolds again what an `XPath` finds, where the page was drawn anew with it folded.
    async fn unfold(&self, xpath: &str) -> Result<(), Fault> {
        let found =
            format!("document.evaluate({}, document, null, 9, null).singleNodeValue", Value::from(xpath));
        let unfolded = format!("(({found})?.closest('details')?.setAttribute('open', ''), true)");
        self.value(&unfolded).await.map(drop)
    }

    /// Acts on what an `XPath` finds. The page may be drawn anew between finding and acting.
    async fn act(&self, xpath: &str, act: &str, body: &Value) -> Result<(), Fault> {
        for _ in 1..TRIES {
            let element = self.element(xpath).await?;
            match self.post(&format!("/element/{element}/{act}"), body.clone()).await {
                Err(fault) if DRAWN_ANEW.iter().any(|words| fault.0.contains(words)) => {
                    self.unfold(xpath).await?;
                }
                done => return done.map(drop),
            }
        }
        let element = self.element(xpath).await?;
        self.post(&format!("/element/{element}/{act}"), body.clone()).await.map(drop)
    }

    /// Types into what an `XPath` finds.
    pub(crate) async fn fill(&self, xpath: &str, text: &str) -> Result<(), Fault> {
        self.act(xpath, "value", &json!({"text": text})).await
    }

    /// Presses one key and lets it go.
    pub(crate) async fn press(&self, key: &str) -> Result<(), Fault> {
        let acts = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"actions": [{"type": "key", "id": "keyboard", "actions": acts}]});
        self.post("/actions", keyboard).await.map(drop)
    }

    /// What was complained about on the console since this was last asked.
    pub(crate) async fn complaints(&self) -> Result<Vec<String>, Fault> {
        let entries = self.post("/se/log", json!({"type": "browser"})).await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe =
            |entry: &&Value| entry.get("level").is_some_and(|level| level == "SEVERE" || level == "WARNING");
        Ok(entries.iter().filter(severe).map(ToString::to_string).collect())
    }

    async fn command(&self, command: &str, parameters: Value) -> Result<Value, Fault> {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    async fn size(&self, width: u32, height: u64) -> Result<(), Fault> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    /// Looks at pages this way from now on.
    pub(crate) async fn view(&self, view: View) -> Result<(), Fault> {
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", media).await?;
        self.size(view.width, view.height.into()).await?;
        self.until(&format!("innerWidth === {}", view.width)).await
    }

    /// Takes a picture of the whole page.
    pub(crate) async fn picture(&self, folder: &Path, page: &str, view: View) -> Result<PathBuf, Fault> {
        let length = self.value("document.documentElement.scrollHeight").await?.as_u64().unwrap_or_default();
        self.size(view.width, length.max(view.height.into())).await?;
        let taken = self.command("Page.captureScreenshot", json!({"format": "png"})).await?;
        self.size(view.width, view.height.into()).await?;
        let data = taken.get("data").and_then(Value::as_str).unwrap_or_default();
        let file = folder.join(format!("{page}-{}.png", view.name));
        std::fs::write(&file, STANDARD.decode(data)?)?;
        Ok(file)
    }
}

/// What kind of session is wanted: certificates of a private authority are taken as they come.
fn capabilities(folder: &Path) -> Value {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--ignore-certificate-errors",
        &format!("--user-data-dir={}", folder.join("profile").display()),
    ];
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        "goog:chromeOptions": {"binary": CHROMIUM, "args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}})
}

async fn ask(client: &Client, method: Method, url: &str, body: Option<Value>) -> Result<Value, Fault> {
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let mut told: Value = answer.json().await?;
    let value = told.get_mut("value").map(Value::take).unwrap_or_default();
    if status.is_success() { Ok(value) } else { Err(Fault(format!("{url}: {value}"))) }
}
