//! Silences: asking not to be told for a while, with an owner, a reason and an end.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::monitoring::alert::Alert;
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::person::Person;
use bartizan_core::selector::Selector;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::person::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth::{READERS, RESPONDERS};
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// One silence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    /// As they were written: `service=shop`.
    pub matchers: Vec<String>,
    pub owner: String,
    pub reason: String,
    pub starts_at: String,
    pub ends_at: String,
    /// How many alerts that are open now it holds back.
    #[serde(default)]
    pub holds: u64,
}

/// Silences that have not ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub silences: Vec<Row>,
}

/// A silence to be made, from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub(crate) matchers: Selector,
    #[schemars(length(min = 1))]
    pub(crate) reason: String,
    pub(crate) lasts: Duration,
}

/// What was made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub id: String,
    pub ends_at: String,
    /// How many alerts that are open now it holds back.
    pub holds: u64,
    /// Where it holds none: which labels open alerts have.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The most open alerts that are looked at for what a silence holds.
const ALERTS_LIMIT: usize = 5_000;

/// The most values of a label that a hint names.
const VALUES_NAMED: usize = 5;

/// The alerts that are open now, a page of the store after the other.
async fn open_alerts(web: &Web) -> Result<Vec<Alert>, Problem> {
    // None has changed at the end of time: what is left are those that are open.
    let (never, mut after, mut open) = (Timestamp::from_millis(i64::MAX), None, Vec::new());
    while open.len() < ALERTS_LIMIT {
        let page = web.store.alerts_changed(never, after).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.opened_at, last.id));
        open.extend(page);
    }
    Ok(open)
}

fn held(silence: &Silence, open: &[Alert], now: Timestamp) -> u64 {
    open.iter().filter(|alert| silence.holds(alert, now)).count() as u64
}

/// Which labels a matcher could name.
fn hint(open: &[Alert]) -> String {
    if open.is_empty() {
        return "no alert is open now: it holds back those that open while it lasts".to_owned();
    }
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in open.iter().flat_map(|alert| alert.labels()) {
        values.entry(name).or_default().insert(value);
    }
    let label = |(name, values): (String, BTreeSet<String>)| {
        let named: Vec<&str> = values.iter().take(VALUES_NAMED).map(String::as_str).collect();
        let more = values.len().saturating_sub(VALUES_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{name}: {}{more}", named.join(", "))
    };
    let labels: Vec<String> = values.into_iter().map(label).collect();
    format!("no open alert matches; they have {}", labels.join("; "))
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/silences"),
        Shape::post::<Created>("/api/v1/silences").body::<Wanted>(),
        Shape::post::<List>("/api/v1/silences/{silence}/end"),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/silences",
            roles: Some(READERS),
            summary: Some("List silences that have not ended."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/silences",
            roles: Some(RESPONDERS),
            summary: Some("Ask that nobody be told of matching alerts for a while."),
            handler: post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Body(wanted): Body<Wanted>| async move {
                    let created: Answer<Created> = create(&web, &person, wanted).await.map(Json);
                    created
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/silences/{silence}/end",
            roles: Some(RESPONDERS),
            summary: Some("End a silence now: what still fires is told."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(silence): Path<String>| async move {
                    let left: Answer<List> = end(&web, &person, &silence).await.map(Json);
                    left
                },
            ),
        },
    ]
}

/// Silences that have not ended.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let now = web.ambient.now();
    let kept = web.store.silences(now).await?;
    let open = if kept.is_empty() { Vec::new() } else { open_alerts(web).await? };
    let mut silences = Vec::new();
    for (id, silence) in kept {
        let owner = web.store.person(silence.owner).await?;
        silences.push(Row {
            id,
            holds: held(&silence, &open, now),
            matchers: silence.matchers.matchers().iter().map(ToString::to_string).collect(),
            owner: owner.map_or_else(|| silence.owner.to_string(), |person| person.name),
            reason: silence.reason,
            starts_at: silence.starts_at.to_string(),
            ends_at: silence.ends_at.to_string(),
        });
    }
    Ok(List { silences })
}

/// Makes a silence that starts now.
pub(crate) async fn create(web: &Web, person: &Person, wanted: Wanted) -> Result<Created, Problem> {
    let now = web.ambient.now();
    let silence = Silence {
        matchers: wanted.matchers,
        owner: person.id,
        reason: wanted.reason,
        starts_at: now,
        ends_at: now.plus(wanted.lasts),
    };
    silence.check().map_err(|refusal| Problem::new(Class::Invalid, refusal))?;
    let id = web.store.create_silence(&silence, now, web.ambient.random()).await?;
    web.nudges.show();
    let open = open_alerts(web).await?;
    let holds = held(&silence, &open, now);
    let hint = (holds == 0).then(|| hint(&open));
    Ok(Created { id, ends_at: silence.ends_at.to_string(), holds, hint })
}

/// Ends a silence now: what still fires is told.
pub(crate) async fn end(web: &Web, person: &Person, silence: &str) -> Result<List, Problem> {
    // The store finds out in its transaction, which a dry run has none of.
    if web.store.is_read_only() && !list(web).await?.silences.iter().any(|row| row.id == silence) {
        return Err(Problem::not_found("silence", silence));
    }
    let by = By { person: person.id, salt: web.ambient.random() };
    web.store.end_silence(silence, by, web.ambient.now()).await?;
    web.nudges.alerts_changed();
    list(web).await
}

#[cfg(test)]
mod tests {
    use bartizan_core::id::{AlertId, ChangeId, PersonId};
    use bartizan_core::monitoring::alert::{Counts, Group, Stage};
    use bartizan_core::monitoring::glass;
    use bartizan_core::monitoring::signal::Kind;
    use bartizan_core::severity::Severity;
    use bartizan_store::alert::Batch;
    use rand::SeedableRng as _;

    use super::*;
    use crate::ambient::Ambient;
    use crate::{App, Settings};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn alert(number: u16, service: &str) -> Alert {
        let mut random = [0; 10];
        random[..2].copy_from_slice(&number.to_be_bytes());
        Alert {
            id: AlertId::mint(NOW, random),
            group: Group {
                kind: Kind::Health,
                subject: format!("threshold-{number}"),
                service: service.to_owned(),
                environment: "prod".to_owned(),
            },
            severity: Severity::High,
            summary: String::new(),
            opened_at: NOW,
            grown_at: NOW,
            counts: Counts { firing: 1, ..Counts::default() },
            acknowledged: None,
            stage: Stage::Open,
            opened_by: None,
            surplus: 0,
        }
    }

    fn silence(matcher: &str) -> Silence {
        Silence {
            matchers: Selector::new(vec![matcher.parse().unwrap()]),
            owner: PersonId::mint(NOW, [1; 10]),
            reason: "the disks are changed".to_owned(),
            starts_at: NOW,
            ends_at: NOW.plus(Duration::from_hours(1)),
        }
    }

    #[test]
    fn it_says_how_many_open_alerts_it_holds_back_and_that_the_glass_was_broken_is_none_of_them() {
        let subject = glass::subject(ChangeId::mint(NOW, [5; 10]));
        let group = Group { kind: glass::KIND, subject, ..alert(3, "shop").group };
        let open = [alert(1, "shop"), alert(2, "bank"), Alert { group, ..alert(3, "shop") }];
        assert_eq!(held(&silence("service=shop"), &open, NOW), 1);
        assert_eq!(held(&silence("environment=prod"), &open, NOW), 2);
        assert_eq!(held(&silence("service=nosuch"), &open, NOW), 0);
        assert_eq!(
            held(&silence("service=shop"), &open, NOW.plus(Duration::from_hours(1))),
            0,
            "it has ended"
        );
    }

    #[test]
    fn one_that_holds_none_says_which_labels_it_could_name() {
        assert_eq!(hint(&[]), "no alert is open now: it holds back those that open while it lasts");
        let open: Vec<Alert> =
            (1..=7).map(|number| alert(number, if number > 1 { "shop" } else { "bank" })).collect();
        let told = hint(&open);
        assert!(told.contains("service: bank, shop") && told.contains("environment: prod"), "{told}");
        assert!(told.contains("threshold-5 and 2 more"), "{told}");
    }

    #[tokio::test]
    async fn every_open_alert_is_counted_however_many_there_are() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let ambient = Ambient::new(|| NOW, rand::rngs::StdRng::seed_from_u64(3));
        let app = App::start(&Settings::in_folder(folder.path()), ambient).await.unwrap();
        let alerts = (0..501).map(|number| alert(number, "shop")).collect();
        let batch = Batch { alerts, ..Batch::default() };
        app.web.store.commit_alerts(&batch, NOW).await.unwrap();
        let person = Person {
            id: PersonId::mint(NOW, [1; 10]),
            name: "ada".to_owned(),
            roles: [bartizan_core::role::Role::Responder].into(),
            services: BTreeSet::new(),
            grants: Vec::new(),
            disabled: false,
        };
        let Silence { matchers, reason, .. } = silence("service=shop");
        let wanted = Wanted { matchers, reason, lasts: Duration::from_hours(1) };
        let created = create(&app.web, &person, wanted).await.unwrap();
        assert_eq!((created.holds, created.hint), (501, None));
        assert_eq!(list(&app.web).await.unwrap().silences[0].holds, 501);
        app.stop().await;
    }
}
