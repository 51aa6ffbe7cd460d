//! The content that ships, as documents: baselines, health thresholds, detections, rules for incidents.

use bartizan_core::document::{self, Document, Fault};
use bartizan_detect::example;
use bartizan_probe::root::{CONFIGURATION, Root};
use bartizan_server::Reach;
use rust_embed::Embed;

use crate::exit::Failure;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../../content"]
#[include = "*.yaml"]
#[include = "*.yml"]
#[include = "detections/*.example.json"]
struct Content;

/// Every document that ships.
pub(super) fn documents() -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for path in Content::iter() {
        let Some(text) = text(&path) else { continue };
        if path.ends_with(example::EXTENSION) {
            continue;
        }
        if path.starts_with("detections/") {
            let beside = format!("{}.{}", path.trim_end_matches(".yml"), example::EXTENSION);
            documents.extend(parse(&path, &detection(&path, &text, self::text(&beside).as_deref())?)?);
        } else {
            documents.extend(parse(&path, &text)?);
        }
    }
    Ok(documents)
}

fn text(path: &str) -> Option<String> {
    Content::get(path).map(|file| String::from_utf8_lossy(&file.data).into_owned())
}

/// Sigma's files stay as they are known everywhere; a document of ours carries one as text, and the canaries
/// that stand among its examples.
pub(crate) fn detection(path: &str, sigma: &str, examples: Option<&str>) -> Result<String, Failure> {
    let name = path.trim_start_matches("detections/").trim_end_matches(".yml").replace('/', "-");
    let mut spec = serde_json::json!({"sigma": sigma});
    if let (Some(examples), Some(spec)) = (examples, spec.as_object_mut()) {
        let canaries = example::canaries(examples).map_err(|error| {
            Failure::invalid(format_args!("{path}: the examples beside it can't be read: {error}"))
        })?;
        spec.insert("canaries".to_owned(), canaries);
    }
    let written = serde_json::json!({
        "kind": "Detection", "name": name, "owner": "platform", "spec": spec,
    });
    Ok(written.to_string())
}

fn parse(path: &str, text: &str) -> Result<Vec<Document>, Failure> {
    document::parse(path, text).map_err(|faults| broken(&faults))
}

fn broken(faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::invalid(lines.join("\n"))
}

/// What the route that `--notify` asks for is called, and its receiver.
pub(super) const NOTIFY: &str = "notify";

/// The route that sends every alert to one URL or address.
pub(super) fn route(notify: &str, reach: &Reach) -> Result<Document, Failure> {
    let way = match notify.strip_prefix("mailto:") {
        Some(_) if reach.relay.is_none() => {
            let failure = Failure::invalid(format_args!("--notify {notify} takes a mail relay"));
            return Err(failure.hint("--smtp names one: smtp://127.0.0.1:25, smtp://mail.example.org:587"));
        }
        Some(address) => serde_json::json!({"name": NOTIFY, "email": {"to": [address]}}),
        None => serde_json::json!({"name": NOTIFY, "webhook": {"url": notify}}),
    };
    let written = serde_json::json!({
        "kind": "Route", "name": NOTIFY, "owner": "platform",
        "spec": {"receivers": [way], "route": {"receiver": NOTIFY}},
    });
    let mut documents = parse("--notify", &written.to_string())?;
    let document = documents.pop().ok_or_else(|| Failure::invalid("--notify gave no route"))?;
    let checked = bartizan_core::monitoring::route::Routes::from_document(&document);
    checked
        .map(|_| document)
        .map_err(|fault| Failure::invalid(format_args!("--notify {notify}: {}", fault.message)))
}

/// What the machine calls itself.
pub(super) fn host_name(root: &Root) -> String {
    let own = if root.is_host() { "/proc/sys/kernel/hostname" } else { "/etc/hostname" };
    let name = root.read_text(own, CONFIGURATION).map(|text| text.text.trim().to_owned());
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
