//! Fetching one source: only what is newer, never more than the limit, and in place in one step.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::source::{FeedSource, Format};
use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use super::Error;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a source may send nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The most redirects that are followed.
const REDIRECTS_LIMIT: usize = 5;

/// The largest file, in bytes: the zip of all of osv.dev has some 2 GB.
pub(super) const BYTES_LIMIT: u64 = 4 << 30;

/// The longest tag of a version that is kept, in bytes.
const TAG_BYTES_LIMIT: usize = 1_024;

/// What is known of a source's last fetches; lies beside its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The URL that the file came from: another one's version says nothing.
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// When the source last confirmed what is there.
    pub(super) confirmed_at: Option<Timestamp>,
    /// Since when it has not, and why.
    pub(super) problem: Option<(Timestamp, String)>,
}

/// A source's folder.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// What a source gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// A file, of this many bytes.
    New(u64),
    /// What is there is the newest.
    Same,
}

/// Why a source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    pub(super) problem: String,
}

impl Place {
    /// The folder of a source, under that of all raw feeds; those of a format lie beside each other.
    pub(super) fn of(raw: &Path, source: &FeedSource) -> Place {
        Place(raw.join(source.format.as_str()).join(&source.name))
    }

    /// The file under the name by which an import knows it.
    pub(super) fn file(&self, format: Format) -> PathBuf {
        self.0.join(match format {
            Format::Debian => "tracker.json",
            Format::Osv => "all.zip",
            Format::Kev => "known_exploited_vulnerabilities.json",
            Format::Epss => "epss_scores.csv.gz",
        })
    }

    /// What is known of it; nothing where that can't be read.
    pub(super) fn state(&self) -> State {
        let text = std::fs::read_to_string(self.0.join("state")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn keep(&self, state: &State) -> Result<(), Error> {
        let path = self.0.join("state");
        let failed = |source| Error::File { path: path.clone(), source };
        std::fs::create_dir_all(&self.0).map_err(failed)?;
        let aside = self.0.join(".state");
        let text = serde_json::to_vec_pretty(state).map_err(|error| failed(error.into()))?;
        std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path)).map_err(failed)
    }
}

/// A client for sources: what their servers say is checked by the public roots.
pub(super) fn client() -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS_LIMIT))
        .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| Error::Client(error.to_string()))
}

/// Fetches a source into its place, where it has something newer; `limit` is in bytes.
///
/// The error is the disk's; what the source did wrong is the answer.
pub(super) async fn fetch(
    client: &reqwest::Client,
    source: &FeedSource,
    place: &Place,
    limit: u64,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Result<(Got, State), Failed>, Error> {
    let fetching = fetch_once(client, source, place, limit, progress);
    match tokio::time::timeout(source.timeout.to_std(), fetching).await {
        Ok(fetched) => fetched,
        Err(_) => {
            let problem = format!("{} took longer than {}", source.url, source.timeout);
            Ok(Err(Failed { reason: Reason::Timeout, problem }))
        }
    }
}

async fn fetch_once(
    client: &reqwest::Client,
    source: &FeedSource,
    place: &Place,
    limit: u64,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Result<(Got, State), Failed>, Error> {
    let file = place.file(source.format);
    let known = place.state();
    let is_there = known.url == source.url && file.exists();
    let mut request = client.get(&source.url);
    if is_there {
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Ok(Err(away(&source.url, &error))),
    };
    match response.status() {
        StatusCode::NOT_MODIFIED if is_there => return Ok(Ok((Got::Same, known))),
        StatusCode::OK => {}
        status => {
            let problem = format!("{} answered {status}", source.url);
            return Ok(Err(Failed { reason: Reason::Error, problem }));
        }
    }
    let state = State {
        url: source.url.clone(),
        etag: tag(response.headers(), ETAG),
        last_modified: tag(response.headers(), LAST_MODIFIED),
        ..State::default()
    };
    match download(response, &file, source, limit, progress).await? {
        Ok(bytes) => Ok(Ok((Got::New(bytes), state))),
        Err(failed) => Ok(Err(failed)),
    }
}

/// Writes what comes in aside, and puts it in place once it is whole.
async fn download(
    mut response: Response,
    file: &Path,
    source: &FeedSource,
    limit: u64,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Result<u64, Failed>, Error> {
    let total = response.content_length();
    let too_large = || {
        let problem = format!("{} is larger than the limit of {limit} bytes", source.url);
        Ok(Err(Failed { reason: Reason::Error, problem }))
    };
    if total.is_some_and(|total| total > limit) {
        return too_large();
    }
    let failed = |source| Error::File { path: file.to_owned(), source };
    let folder = file.parent().unwrap_or(Path::new("."));
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    let aside = folder.join(".part");
    let mut out = tokio::fs::File::create(&aside).await.map_err(failed)?;
    let mut bytes: u64 = 0;
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return Ok(Err(away(&source.url, &error))),
        };
        bytes += chunk.len() as u64;
        if bytes > limit {
            return too_large();
        }
        out.write_all(&chunk).await.map_err(failed)?;
        progress(bytes, total);
    }
    out.sync_all().await.map_err(failed)?;
    tokio::fs::rename(&aside, file).await.map_err(failed)?;
    Ok(Ok(bytes))
}

fn tag(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= TAG_BYTES_LIMIT).then(|| text.to_owned())
}

/// What stood between us and the source: the innermost cause says it best.
fn away(url: &str, error: &reqwest::Error) -> Failed {
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Error };
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failed { reason, problem: format!("can't fetch {url}: {cause}") }
}
