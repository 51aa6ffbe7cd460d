//! Findings that people have put something on, on every engine.

use bartizan_core::error::Class;
use bartizan_core::finding::{self, Act, Entry, Event, Finding, Observation, Subject};
use bartizan_core::id::{AssetId, PersonId};
use bartizan_core::posture::index::{About, Plane};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_store::Store;
use bartizan_store::finding::{Batch, Filter, Held};

use crate::posture::take_in;
use crate::suite::{commit, enrol, later, report};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn person(number: u8) -> PersonId {
    PersonId::mint(NOW, [number; 10])
}

fn seen(number: u8, id: &str) -> Finding {
    let asset = AssetId::mint(NOW, [number; 10]);
    let subject = Subject::Vulnerability { asset, id: id.to_owned(), source_package: "curl".to_owned() };
    let seen = Observation { verdict: Verdict::NotMet, observed_at: NOW, seen_by: [7].into() };
    Finding::open(subject, &seen, false).unwrap()
}

fn assigned(number: u8, id: &str, to: u8) -> (Held, Entry) {
    let act = Act::Assigned { to: person(to), reason: String::new() };
    let (finding, entry) = finding::act(&seen(number, id), person(1), &act, NOW).unwrap();
    (Held { number: u32::from(number), finding }, entry)
}

fn batch(all: &[(Held, Entry)]) -> Batch {
    let entry = |(held, entry): &(Held, Entry)| (held.finding.subject.key(), entry.clone(), [1; 32]);
    Batch {
        findings: all.iter().map(|(held, _)| held.clone()).collect(),
        entries: all.iter().map(entry).collect(),
        ..Batch::default()
    }
}

pub(crate) async fn a_finding_and_its_history_are_one_transaction(store: Store) {
    assert!(!store.has_findings().await.unwrap());
    let first = assigned(1, "CVE-1", 2);
    let staged = store.staged().await.unwrap();
    store.commit_findings(&batch(std::slice::from_ref(&first)), NOW).await.unwrap();
    let key = first.0.finding.subject.key();
    assert_eq!(store.finding(&key).await.unwrap(), Some(first.0.clone()));
    assert_eq!(store.finding_entries(&key, 10).await.unwrap(), std::slice::from_ref(&first.1));
    assert_eq!(store.staged().await.unwrap(), staged + 1, "each entry is in the ledger");
    // Somebody else wrote on it meanwhile: neither the finding nor its entry is written.
    let error = store.commit_findings(&batch(&[assigned(1, "CVE-1", 3)]), NOW).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(store.finding(&key).await.unwrap().unwrap().finding.owner, Some(person(2)));
    let (finding, entry) = finding::step(&first.0.finding, &Event::Retired, later(1));
    let ended = (Held { finding, ..first.0 }, entry.unwrap());
    store.commit_findings(&batch(std::slice::from_ref(&ended)), later(1)).await.unwrap();
    let newest_first = [ended.1, first.1];
    assert_eq!(store.finding_entries(&key, 10).await.unwrap(), newest_first);
    assert_eq!(store.finding_entries(&key, 1).await.unwrap(), newest_first[..1]);
}

pub(crate) async fn findings_are_found_by_owner_asset_and_what_they_are_about(store: Store) {
    let all = [assigned(1, "CVE-1", 2), assigned(1, "CVE-2", 3), assigned(2, "CVE-1", 3)];
    store.commit_findings(&batch(&all), NOW).await.unwrap();
    let (finding, entry) = finding::step(&all[2].0.finding, &Event::Retired, later(1));
    let ended = (Held { finding, ..all[2].0.clone() }, entry.unwrap());
    store.commit_findings(&batch(&[ended]), later(1)).await.unwrap();
    let of = |owner: Option<u8>, ended| Filter { owner: owner.map(person), ended };
    for (filter, count) in [
        (of(None, false), 2),
        (of(None, true), 3),
        (of(Some(3), false), 1),
        (of(Some(3), true), 2),
        (of(Some(9), true), 0),
    ] {
        assert_eq!(store.findings(filter).await.unwrap().len(), count, "{filter:?}");
    }
    assert_eq!(store.findings_on(&[1, 7]).await.unwrap().len(), 2);
    assert_eq!(store.findings_about("vulnerability", &["CVE-1", "CVE-9"]).await.unwrap().len(), 2);
    assert!(store.findings_about("deviation", &["CVE-1"]).await.unwrap().is_empty());
    let open = store.open_findings(None).await.unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!(store.open_findings(Some(open[0])).await.unwrap(), open[1..]);
    assert!(store.open_findings(Some(open[1])).await.unwrap().is_empty());
}

pub(crate) async fn an_asset_lies_in_the_backlog_of_what_its_first_sight_brought(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, report(&asset, 1, &[("r1", Verdict::NotMet), ("r2", Verdict::Met)])).await;
    commit(&store, report(&asset, 2, &[("r2", Verdict::NotMet)])).await;
    take_in(&store).await;
    let abouts = [About::Subject(0), About::Subject(1), About::Subject(77)];
    let lies = store.lies_in(asset.number, Plane::Backlog, &abouts).await.unwrap();
    let subjects = store.subjects().await.unwrap();
    let rules: Vec<&str> =
        lies.into_iter().map(|about| subjects[&about.subject().unwrap()].rule.as_str()).collect();
    assert_eq!(rules, ["r1"]);
}
