use bartizan_core::canonical::Value;
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::severity::Severity;
use bartizan_wire::checkin::Pace;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SMALL: Limits = Limits { entries: 2, bytes: 1 << 20 };

fn signal(object: &str) -> Noticed {
    Noticed {
        kind: Kind::Health,
        subject: "disk".to_owned(),
        object: object.to_owned(),
        state: State::Firing,
        severity: Severity::High,
        summary: "full".to_owned(),
        at: NOW,
        backlog: false,
    }
}

fn receipt(outcomes: Vec<Outcome>) -> Receipt {
    Receipt { wire: 1, outcomes, pace: Pace { next_ms: 1 } }
}

fn committed() -> Outcome {
    Outcome::Committed { wanted: Vec::new() }
}

fn reports(parcel: &Parcel) -> Vec<Report> {
    bartizan_wire::unpack_versioned::<Batch>(&parcel.packed).unwrap().reports
}

fn open(folder: &tempfile::TempDir, epoch: u64) -> Outbox {
    Outbox::open(folder.path(), SMALL, epoch).unwrap()
}

#[test]
fn a_report_waits_on_disk_until_the_server_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    outbox.composer.section("os", &Value::from("debian")).unwrap();
    assert!(outbox.compose(NOW).unwrap());
    assert!(!outbox.compose(NOW).unwrap());
    drop(outbox);
    let mut outbox = open(&folder, 2);
    let parcel = outbox.parcel().unwrap().unwrap();
    assert_eq!(reports(&parcel)[0].sections["os"].body, Some(Value::from("debian")));
    let settled = outbox.settle(&parcel, receipt(vec![committed()])).unwrap();
    assert_eq!(settled.acknowledged, Some(Place { epoch: 1, sequence: 1 }));
    assert_eq!(outbox.waiting(), 0);
    assert!(outbox.parcel().unwrap().is_none());
}

#[test]
fn signals_of_dropped_reports_are_told_as_lost_once_and_all_state_is_told_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    outbox.composer.section("os", &Value::from("debian")).unwrap();
    for object in ["/a", "/b", "/c"] {
        outbox.composer.noticed([signal(object)]);
        outbox.compose(NOW).unwrap();
    }
    assert_eq!(outbox.lost()["health"], 1);
    drop(outbox);
    // A restart forgets neither the loss nor which report tells of it.
    let mut outbox = open(&folder, 1);
    outbox.composer = Composer::new(2);
    outbox.epoch = 2;
    outbox.compose(NOW).unwrap();
    outbox.composer.noticed([signal("/d")]);
    outbox.compose(NOW).unwrap();
    let mut told = 0;
    let mut wholes = 0;
    while let Some(parcel) = outbox.parcel().unwrap() {
        let reports = reports(&parcel);
        told += reports
            .iter()
            .map(|report| report.loss.get("health").map_or(0, |loss| loss.dropped))
            .sum::<u64>();
        wholes += reports.iter().filter(|report| report.whole).count();
        let outcomes = reports.iter().map(|_| committed()).collect();
        outbox.settle(&parcel, receipt(outcomes)).unwrap();
        outbox.compose(NOW).unwrap();
    }
    // /a, /b and /c went for newer ones; /d arrived.
    assert_eq!((told, outbox.lost().is_empty()), (3, true));
    assert!(wholes >= 1);
}

#[test]
fn a_full_spool_comes_to_rest_and_keeps_one_report_that_makes_good_for_the_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    for number in 0..20 {
        outbox.composer.section("os", &Value::from(number)).unwrap();
        outbox.composer.section("kernel", &Value::from("6.1")).unwrap();
        let composed = (0..10).take_while(|_| outbox.compose(NOW).unwrap()).count();
        assert!(composed <= 2, "{composed} reports for one change");
    }
    let parcel = outbox.parcel().unwrap().unwrap();
    let last = reports(&parcel).into_iter().rfind(|report| report.whole).unwrap();
    assert!(last.sections.contains_key("kernel"));
}

#[test]
fn a_refused_report_is_counted_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    outbox.composer.noticed([signal("/a")]);
    outbox.compose(NOW).unwrap();
    let parcel = outbox.parcel().unwrap().unwrap();
    let refused = Outcome::Refused { problem: "no".to_owned() };
    let settled = outbox.settle(&parcel, receipt(vec![refused])).unwrap();
    assert_eq!(settled.refused, ["no"]);
    assert_eq!(outbox.lost(), &Counts::from([("health".to_owned(), 1), (REFUSED.to_owned(), 1)]));
    outbox.compose(NOW).unwrap();
    let report = reports(&outbox.parcel().unwrap().unwrap()).remove(0);
    assert_eq!((report.sequence, report.whole, report.loss[REFUSED].dropped), (2, false, 1));
}

#[test]
fn a_clone_leaves_everything_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    outbox.compose(NOW).unwrap();
    let parcel = outbox.parcel().unwrap().unwrap();
    assert!(outbox.settle(&parcel, receipt(vec![Outcome::Clone])).unwrap().clone);
    assert_eq!(outbox.waiting(), 1);
}

#[test]
fn what_the_server_lacks_goes_into_the_next_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(&folder, 1);
    outbox.composer.section("os", &Value::from("debian")).unwrap();
    outbox.compose(NOW).unwrap();
    let parcel = outbox.parcel().unwrap().unwrap();
    let wanted = vec!["os".to_owned(), crate::report::VERDICTS.to_owned()];
    outbox.settle(&parcel, receipt(vec![Outcome::Committed { wanted }])).unwrap();
    assert!(outbox.compose(NOW).unwrap());
    let report = reports(&outbox.parcel().unwrap().unwrap()).remove(0);
    assert!(report.whole && report.sections["os"].body.is_some());
}
