//! Which routes stand when `up` starts: the one that an earlier start's `--notify` made stays until another is named.

use bartizan_core::monitoring::route::{Receiver, Routes};
use bartizan_server::App;
use reqwest::Url;

use super::content::NOTIFY;
use crate::exit::Failure;

/// The most ways of one route that are named: a line is read at a glance.
const WAYS_LIMIT: usize = 5;

/// A line for each route that stands; `asked` says whether this start named a receiver.
pub(super) async fn standing(app: &App, asked: bool) -> Result<Vec<String>, Failure> {
    let routes = app.web.store.documents_of_kind("Route").await;
    let routes = routes.map_err(|error| Failure::new(error.class(), error))?;
    if routes.is_empty() {
        return Ok(vec!["alerts reach nobody: no route stands; --notify names a receiver".to_owned()]);
    }
    let line = |applied: &bartizan_store::document::Applied| {
        let document = &applied.document;
        let kept = !asked && document.name == NOTIFY && applied.by.is_none() && applied.change.is_none();
        let from = if kept { ", kept from an earlier start's --notify" } else { "" };
        let ways = match Routes::from_document(document) {
            Ok(routes) => ways(&routes),
            Err(fault) => format!("nobody: it can't be read: {fault}"),
        };
        format!("alerts in {} go by the route {} to {ways}{from}", applied.environment, document.name)
    };
    Ok(routes.iter().map(line).collect())
}

/// Whom a route reaches. The path of a URL may hold a secret: its host alone is told.
fn ways(routes: &Routes) -> String {
    let all: Vec<String> = routes.receivers.iter().flat_map(of).collect();
    let more = all.len().saturating_sub(WAYS_LIMIT);
    let named = all.into_iter().take(WAYS_LIMIT).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn of(receiver: &Receiver) -> Vec<String> {
    let webhook = receiver.webhook.iter().map(|webhook| match Url::parse(&webhook.url) {
        Ok(url) => format!("the webhook {}", url.origin().ascii_serialization()),
        Err(_) => "a webhook".to_owned(),
    });
    let mail = receiver.email.iter().flat_map(|email| email.to.iter().cloned());
    webhook.chain(mail).collect()
}

#[cfg(test)]
mod tests {
    use bartizan_core::document::Document;
    use bartizan_server::{Reach, Settings};
    use rand::SeedableRng as _;

    use super::super::content;
    use super::*;

    async fn start(folder: &std::path::Path) -> App {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ambient = super::super::Ambient::new(crate::now, rand::rngs::StdRng::seed_from_u64(5));
        App::start(&Settings::in_folder(folder), ambient).await.unwrap()
    }

    fn named(url: &str) -> Document {
        content::route(url, &Reach::default()).unwrap()
    }

    #[tokio::test]
    async fn a_start_that_names_no_receiver_tells_of_the_one_that_an_earlier_start_named() {
        let folder = tempfile::tempdir().unwrap();
        let app = start(folder.path()).await;
        let nobody = standing(&app, false).await.unwrap();
        assert_eq!(nobody, ["alerts reach nobody: no route stands; --notify names a receiver"]);
        super::super::apply(&app, Some(named("https://hooks.example.org:8080/in?token=x"))).await.unwrap();
        let own = "alerts in dev go by the route notify to the webhook https://hooks.example.org:8080";
        assert_eq!(standing(&app, true).await.unwrap(), [own]);
        app.stop().await;
        let app = start(folder.path()).await;
        super::super::apply(&app, None).await.unwrap();
        let kept = format!("{own}, kept from an earlier start's --notify");
        assert_eq!(standing(&app, false).await.unwrap(), [kept]);
        app.stop().await;
    }
}
