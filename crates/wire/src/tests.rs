use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline::Fix;
use bartizan_core::configuration::drift::Explained;
use bartizan_core::digest::Digest;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::order::{Ending, Order, Outcome as Acted, Step, StepOutcome};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};

use super::*;
use crate::checkin::{Answer, Checkpoint, Heartbeat, Pace};
use crate::report::{Batch, Look, Loss, Outcome, Receipt, Report, Section};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn digest() -> Digest {
    Digest::of_bytes(b"")
}

fn report() -> Report {
    Report {
        wire: VERSION,
        epoch: 3,
        sequence: 9,
        observed_at: AT,
        root: report::root([("os", digest())]),
        sections: BTreeMap::from([
            (
                "os".to_owned(),
                Section { hash: digest(), body: Some(Value::parse(r#"{"id":"debian"}"#).unwrap()) },
            ),
            ("packages".to_owned(), Section { hash: digest(), body: None }),
        ]),
        verdicts: [Verdict::Met, Verdict::NotMet, Verdict::Unknown(Reason::Denied)]
            .into_iter()
            .map(|verdict| Look {
                baseline: "debian-12".to_owned(),
                rule: "r".to_owned(),
                check: digest(),
                verdict,
                observed_at: AT,
            })
            .collect(),
        whole: false,
        signals: vec![Noticed {
            kind: Kind::Health,
            subject: "disk-full".to_owned(),
            object: "/srv".to_owned(),
            state: State::Firing,
            severity: Severity::High,
            summary: "Little space left: 97% (/srv)".to_owned(),
            at: AT,
            backlog: false,
        }],
        outcomes: vec![
            Acted {
                generation: 4,
                digest: digest(),
                at: AT,
                ending: Ending::Refused("this host does not allow its agent to enforce".to_owned()),
            },
            Acted {
                generation: 5,
                digest: digest(),
                at: AT,
                ending: Ending::CarriedOut(vec![
                    StepOutcome::Unchanged,
                    StepOutcome::Done { before: "1".to_owned() },
                    StepOutcome::Failed { problem: "no such file".to_owned() },
                    StepOutcome::Left,
                ]),
            },
        ],
        loss: BTreeMap::from([("auth.log".to_owned(), Loss { seen: 5, sent: 3, dropped: 2 })]),
    }
}

#[test]
fn messages_keep_their_shapes() {
    let pace = Pace { next_ms: 30_000 };
    insta::assert_json_snapshot!("report", Batch { wire: VERSION, reports: vec![report()] });
    let outcomes = vec![
        Outcome::Committed { wanted: vec!["os".to_owned()] },
        Outcome::Known,
        Outcome::Clone,
        Outcome::Refused { problem: "it has too many signals".to_owned() },
    ];
    insta::assert_json_snapshot!("receipt", Receipt { wire: VERSION, outcomes, pace });
    let heartbeat = Heartbeat {
        wire: VERSION,
        epoch: 3,
        sequence: 9,
        root: digest(),
        policy: None,
        at: AT,
        checkpoint: 0,
    };
    insta::assert_json_snapshot!("heartbeat", heartbeat);
    let answer = Answer {
        wire: VERSION,
        pace,
        policy: digest(),
        wanted: vec!["os".to_owned()],
        order: Some(5),
        checkpoint: Some(Checkpoint { note: "note".to_owned(), proof: vec![digest()] }),
        at: AT,
    };
    insta::assert_json_snapshot!("answer", answer);
    let request = enrol::Request {
        wire: VERSION,
        key: "secret".to_owned(),
        request: "PEM".to_owned(),
        name: "web-1".to_owned(),
        machine: "m".to_owned(),
    };
    insta::assert_json_snapshot!("enrol_request", request);
    let reply = enrol::Reply {
        wire: VERSION,
        asset: AssetId::mint(AT, [0; 10]),
        certificate: "PEM".to_owned(),
        authority: "PEM".to_owned(),
        ledger: "key".to_owned(),
        orders: "00".to_owned(),
        pace,
    };
    insta::assert_json_snapshot!("enrol_reply", reply);
    let document = Value::parse(r#"{"kind":"Route"}"#).unwrap();
    let explained =
        Explained { object: "file:/etc/hosts".to_owned(), after: Some("0644 0:0".to_owned()), at: AT };
    insta::assert_json_snapshot!(
        "policy",
        policy::Policy {
            wire: VERSION,
            etag: digest(),
            documents: vec![document],
            explained: vec![explained]
        }
    );
}

#[test]
fn an_offer_keeps_its_shape() {
    let order = Order {
        asset: AssetId::mint(AT, [0; 10]),
        generation: 5,
        plan: digest(),
        not_before: AT,
        not_after: AT,
        steps: vec![Step::Fix {
            baseline: "debian-12".to_owned(),
            rule: "forwarding".to_owned(),
            fix: Fix::Sysctl { key: "net.ipv4.ip_forward".to_owned(), value: "0".to_owned() },
        }],
    };
    let signed = Some(crate::order::Signed { order, signature: "00".to_owned() });
    insta::assert_json_snapshot!("offer", crate::order::Offer { wire: VERSION, signed });
}

#[test]
fn a_message_comes_back_from_its_bytes() {
    let packed = pack(&report()).unwrap();
    assert_eq!(unpack_versioned::<Report>(&packed).unwrap(), report());
}

#[test]
fn a_message_from_another_age_is_refused_with_what_to_do() {
    let packed = pack(&Report { wire: VERSION + 1, ..report() }).unwrap();
    let error = unpack_versioned::<Report>(&packed).unwrap_err().to_string();
    assert!(error.contains("update the older"), "{error}");
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let packed = zstd::bulk::compress(br#"{"wire":1,"surprise":1}"#, 1).unwrap();
    let error = unpack::<Report>(&packed).unwrap_err().to_string();
    assert!(error.contains("surprise"), "{error}");
}

#[test]
fn a_small_body_that_unpacks_to_a_large_one_is_refused() {
    let bomb = zstd::bulk::compress(&vec![b' '; BYTES_LIMIT + 2], 19).unwrap();
    assert!(bomb.len() < PACKED_BYTES_LIMIT);
    assert!(matches!(unpack::<Report>(&bomb), Err(Error::Packing)));
}

#[test]
fn the_root_depends_on_each_name_and_hash_and_not_on_the_order() {
    let (a, b) = (digest(), Digest::of_bytes(b"b"));
    assert_eq!(report::root([("x", a), ("y", b)]), report::root([("y", b), ("x", a)]));
    assert_ne!(report::root([("x", a), ("y", b)]), report::root([("x", b), ("y", a)]));
}

#[test]
fn a_request_to_enrol_unpacks_to_a_few_kilobytes_at_most() {
    let request = |name: usize| {
        let value = serde_json::json!({
            "wire": VERSION, "key": "k", "name": "n".repeat(name), "machine": "", "request": "r",
        });
        pack(&value).unwrap()
    };
    assert!(unpack_enrolment(&request(10)).is_ok());
    let bomb = request(ENROLMENT_BYTES_LIMIT);
    assert!(bomb.len() < 1_000);
    assert!(matches!(unpack_enrolment(&bomb), Err(Error::Packing)));
    let long = vec![0; ENROLMENT_BYTES_LIMIT + 1];
    assert!(matches!(unpack_enrolment(&long), Err(Error::TooLong { .. })));
}
