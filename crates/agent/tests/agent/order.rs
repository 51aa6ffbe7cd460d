//! Orders over the real link: what the server says, what the host allows, what is done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bartizan_core::configuration::baseline::Fix;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::order::{Ending, Order, Outcome, Step, StepOutcome};
use bartizan_core::time::Timestamp;

use crate::Host;
use crate::server::{Server, status};

fn order(asset: bartizan_core::id::AssetId, generation: u64) -> Order {
    let fix =
        Fix::File { path: "/etc/motd".to_owned(), mode: Some("0600".to_owned()), owner: None, group: None };
    Order {
        asset,
        generation,
        plan: Digest::of_bytes(b"plan"),
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(1),
        steps: vec![Step::Fix { baseline: "b".to_owned(), rule: "motd".to_owned(), fix }],
    }
}

impl Host {
    fn motd(&self) {
        fs::write(self.path("etc/motd"), "hello").unwrap();
        fs::set_permissions(self.path("etc/motd"), fs::Permissions::from_mode(0o666)).unwrap();
    }

    fn mode(&self) -> u32 {
        fs::metadata(self.path("etc/motd")).unwrap().permissions().mode() & 0o777
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn due(&self, order: Order) -> Order {
        let not_after = self.now().plus(bartizan_core::time::Duration::from_hours(1));
        Order { not_before: self.now(), not_after, ..order }
    }

    fn allow(&self, text: &str) {
        let path = self.folder.path().join("agent.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

async fn outcome(server: &Server, generation: u64) -> Outcome {
    let told = server.until("the outcome", |script| {
        let mut outcomes = script.reports.iter().flat_map(|report| &report.outcomes);
        outcomes.find(|outcome| outcome.generation == generation).cloned()
    });
    told.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_stolen_orders_key_cant_make_an_observing_agent_change_anything() {
    let (server, host) = (Server::start().await, Host::new());
    host.motd();
    let agent = host.start(&server);
    let asset = status(&agent, "the asset", |status| status.asset).await;
    server.script().order = Some(server.sign_order(host.due(order(asset, 1))));
    let told = outcome(&server, 1).await;
    let Ending::Refused(reason) = told.ending else { panic!("it was carried out: {:?}", told.ending) };
    assert!(reason.contains("does not allow"), "{reason}");
    assert_eq!(host.mode(), 0o666);
    // The same order does what it says where the host's administrator allows that: the test can fail.
    host.allow(r#"{"allow": ["enforce"]}"#);
    server.script().order = Some(server.sign_order(host.due(order(asset, 2))));
    let told = outcome(&server, 2).await;
    let Ending::CarriedOut(steps) = told.ending else { panic!("it was refused: {:?}", told.ending) };
    assert!(
        matches!(&steps[..], [StepOutcome::Done { before }] if before.starts_with("mode 0666")),
        "{steps:?}"
    );
    assert_eq!(host.mode(), 0o600);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_another_key_signed_becomes_a_signal_and_nothing_else() {
    let (server, host) = (Server::start().await, Host::new());
    host.motd();
    host.allow(r#"{"allow": ["enforce"]}"#);
    let agent = host.start(&server);
    let asset = status(&agent, "the asset", |status| status.asset).await;
    let mut forged = server.sign_order(host.due(order(asset, 1)));
    forged.order.generation = 7;
    server.script().order = Some(forged);
    let signal = server
        .until("the signal", |script| script.reports.iter().find_map(|r| r.signals.first().cloned()))
        .await;
    assert_eq!((signal.kind, signal.subject.as_str()), (Kind::Fork, "orders"));
    assert_eq!(host.mode(), 0o666);
    agent.stop().await;
}
