//! What people look at, through the router with its sessions and roles.

use std::time::Duration;

use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_server::auth;
use tokio::time::Instant;

use crate::fleet::{Fleet, now};
use crate::{Failure, say};

/// How often each page is asked for.
const TIMES: usize = 21;

/// How soon the overview is to be there.
const GOAL: Duration = Duration::from_millis(50);

/// The pages, and whether the goal is theirs.
const PAGES: [(&str, bool); 7] = [
    ("/", true),
    ("/api/v1/posture", true),
    ("/findings", false),
    ("/findings?kind=vulnerability&severity=high&text=app07", false),
    ("/findings?severity=critical&from=1000", false),
    ("/vulnerabilities", false),
    ("/baselines", false),
];

async fn cookie(fleet: &Fleet) -> Result<String, Failure> {
    let web = &fleet.app.web;
    let person = Person {
        id: PersonId::mint(now(), web.ambient.random()),
        name: format!("bench-{}", web.ambient.token()),
        roles: [Role::Auditor].into(),
        services: Default::default(),
        grants: Vec::new(),
        disabled: false,
    };
    web.store.put_person(&person, now(), web.ambient.random()).await?;
    // As whoever runs the server is, on its own machine: there it takes no second factor.
    let token = auth::local_session(web, person.id).await?;
    Ok(auth::set_cookie(&token).split(';').next().unwrap_or_default().to_owned())
}

/// Asks for each page, and tells how long it takes.
pub(crate) async fn show(fleet: &Fleet) -> Result<(), Failure> {
    let cookie = cookie(fleet).await?;
    for (path, has_goal) in PAGES {
        let mut times = Vec::with_capacity(TIMES);
        let mut bytes = 0;
        for _ in 0..TIMES {
            let began = Instant::now();
            bytes = fleet.page(path, &cookie).await?.len();
            times.push(began.elapsed());
        }
        let first = times.first().copied().unwrap_or_default();
        times.sort_unstable();
        let median = times.get(TIMES / 2).copied().unwrap_or_default();
        let worst = times.last().copied().unwrap_or_default();
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
        let goal = match (has_goal, median < GOAL) {
            (false, _) => String::new(),
            (true, true) => format!("; goal < {}: met", ms(GOAL)),
            (true, false) => format!("; goal < {}: missed", ms(GOAL)),
        };
        say(
            path,
            &format!("median {}, first {}, worst {} ({bytes} bytes){goal}", ms(median), ms(first), ms(worst)),
        );
    }
    Ok(())
}
