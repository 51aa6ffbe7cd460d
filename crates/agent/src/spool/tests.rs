use proptest::prelude::*;

use super::*;

const SMALL: Limits = Limits { entries: 3, bytes: 1_000 };

fn at(sequence: u64) -> Place {
    Place { epoch: 1, sequence }
}

fn signals(count: u64) -> Counts {
    Counts::from([("detection".to_owned(), count)])
}

fn drain(spool: &mut Spool) -> Vec<(Place, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((place, payload)) = spool.oldest().unwrap() {
        spool.remove(place).unwrap();
        found.push((place, payload));
    }
    found
}

#[test]
fn reports_come_back_in_order_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    for sequence in 1..=3 {
        spool.push(at(sequence), &[sequence as u8], Counts::new()).unwrap();
    }
    drop(spool);
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    let found = drain(&mut spool);
    assert_eq!(found, [(at(1), vec![1]), (at(2), vec![2]), (at(3), vec![3])]);
    assert!(Spool::open(folder.path(), SMALL).unwrap().is_empty());
}

#[test]
fn a_later_epoch_comes_after_every_report_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    spool.push(Place { epoch: 9, sequence: 500 }, b"a", Counts::new()).unwrap();
    spool.push(Place { epoch: 10, sequence: 1 }, b"b", Counts::new()).unwrap();
    drop(spool);
    let found = drain(&mut Spool::open(folder.path(), SMALL).unwrap());
    assert_eq!(found[0].1, b"a");
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_what_it_carried() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    for sequence in 1..=5 {
        spool.push(at(sequence), b"x", signals(sequence)).unwrap();
    }
    assert_eq!(spool.lost(), &signals(1 + 2));
    drop(spool);
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    assert_eq!(spool.lost(), &signals(3), "the count outlives a restart");
    assert_eq!(drain(&mut spool).len(), 3);
}

#[test]
fn loss_is_forgotten_only_as_far_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    spool.count_lost(&signals(5)).unwrap();
    let told = spool.lost().clone();
    spool.count_lost(&signals(2)).unwrap();
    spool.acknowledge_lost(&told).unwrap();
    assert_eq!(spool.lost(), &signals(2));
    spool.acknowledge_lost(&signals(2)).unwrap();
    assert!(spool.lost().is_empty());
}

#[test]
fn a_report_that_is_larger_than_the_spool_is_counted_and_the_others_stay_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    let dropped = spool.push(at(1), &[0; 1_001], signals(7)).unwrap();
    assert_eq!(dropped, signals(7));
    assert!(spool.is_empty());
}

#[test]
fn a_damaged_entry_is_counted_and_costs_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    for sequence in 1..=3 {
        spool.push(at(sequence), b"payload", Counts::new()).unwrap();
    }
    let path = spool.path(at(2));
    drop(spool);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    assert_eq!(spool.lost().get(DAMAGED), Some(&1));
    assert_eq!(drain(&mut spool).len(), 2);
}

#[test]
fn what_a_crash_left_half_written_is_not_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    spool.push(at(1), b"whole", Counts::new()).unwrap();
    fs::write(spool.path(at(2)).with_extension("new"), b"{\"dig").unwrap();
    drop(spool);
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    assert_eq!(drain(&mut spool).len(), 1);
    assert!(spool.lost().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_signal_is_either_delivered_or_counted_as_lost(
        steps in prop::collection::vec((0u8..4, 1u64..5, 0usize..600), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), SMALL).unwrap();
        let mut carried: BTreeMap<Place, u64> = BTreeMap::new();
        let (mut pushed, mut delivered, mut sequence) = (0, 0, 0);
        for (act, count, size) in steps {
            match act {
                0 | 1 => {
                    sequence += 1;
                    spool.push(at(sequence), &vec![7; size], signals(count)).unwrap();
                    carried.insert(at(sequence), count);
                    pushed += count;
                }
                2 => {
                    if let Some((place, _)) = spool.oldest().unwrap() {
                        spool.remove(place).unwrap();
                        delivered += carried[&place];
                    }
                }
                _ => {
                    drop(spool);
                    spool = Spool::open(folder.path(), SMALL).unwrap();
                }
            }
            prop_assert!(spool.len() <= SMALL.entries && spool.bytes <= SMALL.bytes);
        }
        for (place, _) in drain(&mut spool) {
            delivered += carried[&place];
        }
        let lost = spool.lost().get("detection").copied().unwrap_or(0);
        prop_assert_eq!(pushed, delivered + lost);
    }
}

#[test]
fn the_first_ones_come_within_limits_and_a_damaged_one_among_them_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), SMALL).unwrap();
    for sequence in 1..=3 {
        spool.push(at(sequence), &[sequence as u8; 10], signals(sequence)).unwrap();
    }
    let places = |found: Vec<(Place, Vec<u8>)>| found.into_iter().map(|(place, _)| place).collect::<Vec<_>>();
    assert_eq!(places(spool.first(2, 1_000).unwrap()), [at(1), at(2)]);
    assert_eq!(places(spool.first(9, 5).unwrap()), [at(1)], "one goes whatever its size");
    assert_eq!(spool.carried(at(2)), signals(2));
    std::fs::write(spool.path(at(1)), "{}").unwrap();
    assert_eq!(places(spool.first(9, 1_000).unwrap()), [at(2), at(3)]);
    assert!(!spool.holds(at(1)) && spool.holds(at(2)));
    assert_eq!(spool.lost(), &damaged());
}
