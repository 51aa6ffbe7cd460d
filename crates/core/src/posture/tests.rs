use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(2_000);

#[test]
fn a_first_look_opens_and_the_same_look_again_changes_nothing() {
    let mut record = Record::default();
    let to = Standing { verdict: Verdict::NotMet, since: AT };
    assert_eq!(
        record.observe(7, Verdict::NotMet, AT),
        Some(Change::Verdict { subject: 7, from: None, to: Some(to) })
    );
    assert_eq!(record.observe(7, Verdict::NotMet, LATER), None);
    assert_eq!(record.standing(7), Some(to), "the age is that of the first look");
}

#[test]
fn a_look_by_a_clock_that_was_set_back_counts_and_is_no_older_than_the_last() {
    let mut record = Record::default();
    record.observe(7, Verdict::Met, LATER);
    assert!(record.observe(7, Verdict::NotMet, AT).is_some());
    assert_eq!(record.standing(7), Some(Standing { verdict: Verdict::NotMet, since: LATER }));
}

#[test]
fn what_was_written_can_be_read_however_much_it_is() {
    let mut record = Record::default();
    let tuples: Vec<u32> = (0..300_000).collect();
    let changes = record.install(&tuples, AT);
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    assert_eq!(Change::decode(&Change::encode(&changes)).unwrap(), changes);
}

#[test]
fn a_package_that_stays_keeps_its_age_and_one_that_goes_is_a_change() {
    let mut record = Record::default();
    assert_eq!(record.install(&[3, 1], AT).len(), 2);
    let changes = record.install(&[3, 4], LATER);
    assert_eq!(
        changes,
        [
            Change::Present { tuple: 1, from: Some(AT), to: None },
            Change::Present { tuple: 4, from: None, to: Some(LATER) },
        ]
    );
    assert_eq!(record.present().collect::<Vec<_>>(), [(3, AT), (4, LATER)]);
}

#[test]
fn a_retired_asset_leaves_nothing_behind() {
    let mut record = Record::default();
    record.observe(7, Verdict::NotMet, AT);
    record.install(&[1], AT);
    assert_eq!(record.clear().len(), 2);
    assert_eq!(record, Record::default());
}

#[test]
fn broken_bytes_are_an_error_that_says_where() {
    let mut record = Record::default();
    record.observe(7, Verdict::NotMet, AT);
    let bytes = record.encode();
    for cut in 0..bytes.len() {
        assert!(Record::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let error = Record::decode(&[bytes.as_slice(), &[0]].concat()).unwrap_err().to_string();
    assert!(error.contains("something follows the end"), "{error}");
}

#[test]
fn bytes_of_the_first_form_are_read() {
    let mut record = Record::default();
    let change = record.observe(7, Verdict::NotMet, AT).unwrap();
    assert_eq!(Record::decode(&[1, 1, 7, 1, 0xd0, 0x0f, 0]).unwrap(), record);
    assert_eq!(Change::decode(&[1, 1, 4, 7, 1, 0xd0, 0x0f]).unwrap(), [change]);
}

#[test]
fn what_happened_at_one_moment_says_so_once() {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let mut record = Record::default();
    let mut changes: Vec<Change> =
        (0..400).filter_map(|subject| record.observe(subject, Verdict::Met, now)).collect();
    changes.extend(record.install(&(1_000..1_150).collect::<Vec<_>>(), now));
    assert!(record.encode().len() < 1_600, "{} bytes", record.encode().len());
    assert!(Change::encode(&changes).len() < 2_200, "{} bytes", Change::encode(&changes).len());
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop::sample::select(
        [Verdict::Met, Verdict::NotMet]
            .into_iter()
            .chain(Reason::ALL.map(Verdict::Unknown))
            .collect::<Vec<_>>(),
    )
}

proptest! {
    #[test]
    fn records_and_changes_come_back_from_their_bytes_and_lead_to_the_same_record(
        looks in prop::collection::vec((any::<u32>(), verdicts(), any::<i32>()), 0..60),
        tuples in prop::collection::vec(any::<u32>(), 0..60),
    ) {
        let mut record = Record::default();
        let mut changes = Vec::new();
        for (subject, verdict, at) in looks {
            changes.extend(record.observe(subject, verdict, Timestamp::from_millis(i64::from(at))));
        }
        changes.extend(record.install(&tuples, AT));
        prop_assert_eq!(&Record::decode(&record.encode()).unwrap(), &record);
        let read = Change::decode(&Change::encode(&changes)).unwrap();
        prop_assert_eq!(&read, &changes);
        let mut replayed = Record::default();
        replayed.apply(&read);
        prop_assert_eq!(replayed, record);
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::decode(&bytes);
        let _ = Change::decode(&bytes);
    }
}
