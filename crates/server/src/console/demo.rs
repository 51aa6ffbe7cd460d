//! The demo's switch: whoever is signed in becomes another of the seeded people by one click.
//!
//! Its route is mounted where [`crate::Settings::demo`] says so, and is in no table besides.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use serde::Deserialize;

use super::Answer;
use crate::auth;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// The most people that the switch shows.
const SEATS_LIMIT: usize = 12;

/// The people whom one may become.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats(Vec<Seat>);

/// One of them, as the side bar shows it.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) id: String,
    pub(crate) name: String,
    /// What they may do, in a few words.
    pub(crate) roles: String,
}

#[derive(Debug, Deserialize)]
struct Switched {
    person: String,
    /// The page to come back to.
    #[serde(default)]
    back: String,
}

impl Seats {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.0.iter()
    }
}

/// The one route that a demo has beside all others.
pub(crate) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::POST,
        path: "/demo/switch",
        roles: Some(&Role::ALL),
        summary: None,
        handler: post(switch),
    }]
}

/// The people of a demo; none where this is none.
pub(crate) async fn seats(web: &Web) -> Option<Seats> {
    if !web.demo {
        return None;
    }
    let people = match web.store.people().await {
        Ok(people) => people,
        Err(error) => {
            tracing::error!(error = %error, "can't read who there is");
            Vec::new()
        }
    };
    let seat = |person: Person| {
        let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
        Seat { id: person.id.to_string(), name: person.name, roles: super::part::plain(&roles.join(", ")) }
    };
    let seats = people.into_iter().filter(|person| !person.disabled).take(SEATS_LIMIT).map(seat);
    Some(Seats(seats.collect()))
}

async fn switch(State(web): State<Web>, headers: HeaderMap, Form(to): Form<Switched>) -> Answer {
    let unknown = || Problem::not_found("person", &to.person);
    let id: PersonId = to.person.parse().map_err(|_| unknown())?;
    let person = web.store.person(id).await?.filter(|person| !person.disabled).ok_or_else(unknown)?;
    let token = auth::open(&web, person.id).await?.ok_or_else(unknown)?;
    auth::sign_out(&web, &headers).await?;
    tracing::info!(person.id = %person.id, "the demo goes on as another person");
    let back = if is_here(&to.back) { to.back.as_str() } else { "/" };
    Ok(([(header::SET_COOKIE, auth::set_cookie(&token))], Redirect::to(back)).into_response())
}

/// Whether this is a path of ours, and no way to another host.
fn is_here(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_to_a_page_of_ours_and_to_nowhere_else() {
        for (path, here) in [
            ("/", true),
            ("/changes/1?pending=true", true),
            ("//other.example/", false),
            ("/\\other.example/", false),
            ("https://other.example/", false),
            ("", false),
        ] {
            assert_eq!(is_here(path), here, "{path}");
        }
    }
}
