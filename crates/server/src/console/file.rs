//! Static files: in the binary, under a path that changes with their content.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;
use crate::web::Route;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/static/{digest}/{name}",
        roles: None,
        summary: None,
        handler: get(serve),
    }]
}

/// The path of a file as it is now.
pub(super) fn path(name: &str) -> String {
    let digest = Files::get(name).map(|file| digest(&file)).unwrap_or_default();
    format!("/static/{digest}/{name}")
}

/// The first eight bytes of its SHA-256 in hexadecimal.
fn digest(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

async fn serve(headers: HeaderMap, Path((asked, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let file = Files::get(&name).ok_or_else(|| Problem::not_found("file", &name))?;
    let media = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let digest = digest(&file);
    // A page of another version may ask for it by an older path: that answer is not to be kept.
    let cache = if digest == asked { "public, max-age=31536000, immutable" } else { "no-cache" };
    let etag = format!("\"{digest}\"");
    let kept = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held.as_bytes() == etag.as_bytes());
    let mut response = if kept {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(media))], file.data).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}
