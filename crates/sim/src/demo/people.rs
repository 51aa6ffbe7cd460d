//! The four people of the demo, and what they do: each by the API, in a session of their own.

use std::collections::BTreeSet;

use bartizan_core::document::Document;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_server::{App, auth};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use super::Error;
use super::population::SERVICES;

/// The service that owns what every host keeps to.
const PLATFORM: &str = "platform";

/// Who proposes, who reviews, who approves, who leads incidents.
pub(super) const AUTHOR: &str = "Ida";
pub(super) const REVIEWER: &str = "Noor";
pub(super) const APPROVER: &str = "Sam";
pub(super) const LEAD: &str = "Mira";

/// Their roles, and whether they are on the teams of the services.
const SEATS: [(&str, &[Role], bool); 4] = [
    (AUTHOR, &[Role::Operator], true),
    (REVIEWER, &[Role::Operator], true),
    (APPROVER, &[Role::Security], false),
    (LEAD, &[Role::IncidentManager, Role::Responder], false),
];

/// The people, each with a session.
#[derive(Debug)]
pub(super) struct People {
    http: Client,
    server: String,
    seats: Vec<(String, PersonId, String)>,
}

/// A change as far as whoever walks it needs to know it.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) id: String,
    digest: String,
}

impl People {
    /// Seats the four: made on the first start, found again on a later one.
    pub(super) async fn seat(app: &App) -> Result<People, Error> {
        let (store, ambient) = (&app.web.store, &app.web.ambient);
        let known = store.people().await?;
        let mut seats = Vec::new();
        for (name, roles, on_teams) in SEATS {
            let id = match known.iter().find(|person| person.name == name) {
                Some(person) => person.id,
                None => {
                    let services = SERVICES.into_iter().chain([PLATFORM]).map(str::to_owned);
                    let person = Person {
                        id: PersonId::mint(ambient.now(), ambient.random()),
                        name: name.to_owned(),
                        roles: roles.iter().copied().collect(),
                        services: if on_teams { services.collect() } else { BTreeSet::new() },
                        grants: Vec::new(),
                        disabled: false,
                    };
                    store.put_person(&person, ambient.now(), ambient.random()).await?;
                    person.id
                }
            };
            let token = auth::open(&app.web, id).await?;
            let token = token.ok_or_else(|| Error::Act {
                what: format!("sign in as {name}"),
                why: "the store did not keep the link".to_owned(),
            })?;
            seats.push((name.to_owned(), id, token));
        }
        let authority = Certificate::from_pem(app.authority().as_bytes())?;
        let http = Client::builder().add_root_certificate(authority).https_only(true).no_proxy().build()?;
        Ok(People { http, server: format!("https://{}", app.people()), seats })
    }

    /// The person of this name.
    pub(super) fn id(&self, name: &str) -> Option<PersonId> {
        self.seats.iter().find(|(seat, _, _)| seat == name).map(|(_, id, _)| *id)
    }

    /// Somebody proposes documents for a service, on the way to production.
    pub(super) async fn propose(
        &self,
        who: &str,
        service: &str,
        documents: &[Document],
    ) -> Result<Walk, Error> {
        let body = json!({"service": service, "files": files(documents)});
        let proposed = self.post(who, "/api/v1/changes", &body).await?;
        let text = |field: &str| proposed.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Walk { id: text("id"), digest: text("digest") })
    }

    /// Somebody applies documents in an environment that asks for no decision.
    pub(super) async fn apply(
        &self,
        who: &str,
        environment: &str,
        documents: &[Document],
    ) -> Result<(), Error> {
        let path = format!("/api/v1/environments/{environment}/apply");
        self.post(who, &path, &json!({"files": files(documents)})).await.map(drop)
    }

    /// Somebody does something with a change, on the way to `target`.
    pub(super) async fn act(&self, who: &str, walk: &Walk, act: &str, target: &str) -> Result<(), Error> {
        let environment = if act == "test" { "test" } else { "" };
        let body = json!({"digest": walk.digest, "target": target, "environment": environment});
        self.post(who, &format!("/api/v1/changes/{}/{act}", walk.id), &body).await.map(drop)
    }

    /// Brings what every host keeps to into production, by the hands that this takes.
    pub(super) async fn bring(&self, documents: &[Document]) -> Result<(), Error> {
        let walk = self.propose(AUTHOR, PLATFORM, documents).await?;
        for (who, act, target) in [
            (AUTHOR, "apply", "dev"),
            (AUTHOR, "apply", "test"),
            (AUTHOR, "test", "prod"),
            (REVIEWER, "review", "prod"),
            (APPROVER, "approve", "prod"),
            (AUTHOR, "apply", "prod"),
        ] {
            self.act(who, &walk, act, target).await?;
        }
        Ok(())
    }

    /// Somebody asks that nobody be told of some alerts for a while.
    pub(super) async fn silence(&self, who: &str, matchers: &[&str], reason: &str) -> Result<(), Error> {
        let body = json!({"matchers": matchers, "reason": reason, "lasts": "2h"});
        self.post(who, "/api/v1/silences", &body).await.map(drop)
    }

    async fn post(&self, who: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let token = self.seats.iter().find(|(name, _, _)| name == who).map(|(_, _, token)| token.as_str());
        let request = self.http.post(format!("{}{path}", self.server)).bearer_auth(token.unwrap_or_default());
        let answer = request.json(body).send().await?;
        let good = answer.status().is_success();
        let told: Value = answer.json().await?;
        if good {
            return Ok(told);
        }
        let why = told.get("title").and_then(Value::as_str).unwrap_or("no reason was given").to_owned();
        Err(Error::Act { what: format!("{who}: {path}"), why })
    }
}

/// Documents as they are sent: JSON is YAML, and a document's digest is over what is written.
fn files(documents: &[Document]) -> Vec<Value> {
    let file = |document: &Document| json!({"name": format!("{}.json", document.name), "text": document.written.to_canonical()});
    documents.iter().map(file).collect()
}
