use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bartizan_core::digest::Digest;
use bartizan_core::order::Power;
use bartizan_core::time::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

const START: i64 = 1_800_000_000_000;

struct House {
    folder: tempfile::TempDir,
    desk: Desk,
    clock: Arc<AtomicI64>,
    pair: Ed25519KeyPair,
    taker: Taker,
}

fn file(path: &str, mode: &str) -> Step {
    let (mode, owner, group) = (Some(mode.to_owned()), None, None);
    Step::Fix {
        baseline: "b".to_owned(),
        rule: path.to_owned(),
        fix: Fix::File { path: path.to_owned(), mode, owner, group },
    }
}

impl House {
    fn new(powers: &[Power]) -> House {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        for name in ["one", "two"] {
            fs::write(root.join("etc").join(name), name).unwrap();
            fs::set_permissions(root.join("etc").join(name), fs::Permissions::from_mode(0o666)).unwrap();
        }
        let clock = Arc::new(AtomicI64::new(START));
        let read = Arc::clone(&clock);
        let desk = Desk {
            root: Root::at(&root).unwrap(),
            file: folder.path().join("order"),
            local: folder.path().join("agent.json"),
            clock: Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst))),
            tell: Box::new(|_| {}),
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let asset = AssetId::mint(Timestamp::from_millis(START), [1; 10]);
        let taker = Taker { asset, key: hex::encode(pair.public_key()) };
        let house = House { folder, desk, clock, pair, taker };
        house.allow(powers);
        house
    }

    fn allow(&self, powers: &[Power]) {
        let words: BTreeSet<&str> = powers.iter().map(|power| power.as_str()).collect();
        fs::write(&self.desk.local, serde_json::json!({"allow": words}).to_string()).unwrap();
        fs::set_permissions(&self.desk.local, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn signed(&self, generation: u64, steps: Vec<Step>) -> Signed {
        let order = Order {
            asset: self.taker.asset,
            generation,
            plan: Digest::of_bytes(b"plan"),
            not_before: Timestamp::from_millis(START),
            not_after: Timestamp::from_millis(START + 3_600_000),
            steps,
        };
        let signature = hex::encode(self.pair.sign(&order.signed_bytes().unwrap()));
        Signed { order, signature }
    }

    fn take(&self, signed: &Signed) -> Result<Acted, Error> {
        self.desk.take(&self.taker, signed)
    }

    fn over(&self, signed: &Signed) -> Ending {
        match self.take(signed).unwrap() {
            Acted::Over(outcome) => outcome.ending,
            other => panic!("{other:?}"),
        }
    }

    fn mode(&self, name: &str) -> u32 {
        let path = self.folder.path().join("root/etc").join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn book(&self) -> Book {
        self.desk.open().unwrap()
    }
}

fn done(before: &str) -> StepOutcome {
    StepOutcome::Done { before: before.to_owned() }
}

#[test]
fn a_host_that_only_observes_does_nothing_by_a_well_signed_order() {
    let house = House::new(&[]);
    let signed = house.signed(1, vec![file("/etc/one", "600")]);
    let Ending::Refused(reason) = house.over(&signed) else { panic!("it was carried out") };
    assert!(reason.contains("does not allow its agent to enforce"), "{reason}");
    assert_eq!(house.mode("one"), 0o666);
    // The host's own administrator is who changes that.
    house.allow(&[Power::Enforce]);
    let again = house.signed(2, vec![file("/etc/one", "600")]);
    assert!(matches!(house.over(&again), Ending::CarriedOut(_)));
    assert_eq!(house.mode("one"), 0o600);
}

#[test]
fn a_file_of_the_host_that_others_may_write_to_allows_nothing_and_says_so() {
    let house = House::new(&[Power::Enforce]);
    fs::set_permissions(&house.desk.local, fs::Permissions::from_mode(0o666)).unwrap();
    let Ending::Refused(reason) = house.over(&house.signed(1, vec![file("/etc/one", "600")])) else {
        panic!("it was carried out")
    };
    assert!(reason.contains("others than root may write"), "{reason}");
    assert_eq!(house.mode("one"), 0o666);
}

#[test]
fn one_bit_of_an_order_or_another_key_and_it_is_not_taken() {
    let house = House::new(&[Power::Enforce]);
    let good = house.signed(1, vec![file("/etc/one", "600")]);
    let mut edited = good.clone();
    edited.order.steps = vec![file("/etc/one", "777")];
    let mut other = good.clone();
    let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    other.signature = hex::encode(stranger.sign(&other.order.signed_bytes().unwrap()));
    for wrong in [edited, other, Signed { signature: "zz".to_owned(), ..good.clone() }] {
        assert!(matches!(house.take(&wrong), Err(Error::Signature)));
    }
    assert_eq!((house.mode("one"), house.book().taken), (0o666, None));
}

#[test]
fn steps_are_done_in_their_order_and_told_with_how_things_stood_before() {
    let house = House::new(&[Power::Enforce]);
    fs::set_permissions(house.folder.path().join("root/etc/two"), fs::Permissions::from_mode(0o644)).unwrap();
    let signed = house.signed(1, vec![file("/etc/one", "640"), file("/etc/two", "644")]);
    let first = house.over(&signed);
    let Ending::CarriedOut(steps) = &first else { panic!("{first:?}") };
    assert!(
        matches!(&steps[0], StepOutcome::Done { before } if before.starts_with("mode 0666")),
        "{steps:?}"
    );
    assert_eq!(steps[1], StepOutcome::Unchanged);
    assert_eq!(house.mode("one"), 0o640);
    // The server lost what it was told: it is told the same, and nothing is done again.
    fs::set_permissions(house.folder.path().join("root/etc/one"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(house.over(&signed), first);
    assert_eq!(house.mode("one"), 0o600);
}

#[test]
fn a_step_that_fails_leaves_those_behind_it() {
    let house = House::new(&[Power::Enforce]);
    let signed = house.signed(1, vec![file("/etc/missing", "600"), file("/etc/one", "600")]);
    let Ending::CarriedOut(steps) = house.over(&signed) else { panic!("it was refused") };
    assert!(matches!(&steps[0], StepOutcome::Failed { problem } if problem.contains("/etc/missing")));
    assert_eq!(steps[1], StepOutcome::Left);
    assert_eq!(house.mode("one"), 0o666);
}

#[test]
fn what_a_crash_broke_off_is_finished_and_its_former_state_is_the_one_before_the_crash() {
    let house = House::new(&[Power::Enforce]);
    let signed = house.signed(1, vec![file("/etc/one", "600"), file("/etc/two", "600")]);
    let taken = Taken { generation: 1, digest: signed.order.digest().unwrap() };
    // Killed after the step's first write, before or after the file was set.
    for set_already in [false, true] {
        let mode = if set_already { 0o600 } else { 0o666 };
        fs::set_permissions(house.folder.path().join("root/etc/one"), fs::Permissions::from_mode(mode))
            .unwrap();
        let begun = Written::Begun { before: "mode 0666".to_owned() };
        house.desk.keep(&Book { taken: Some(taken), steps: vec![begun], outcome: None }).unwrap();
        let Ending::CarriedOut(steps) = house.over(&signed) else { panic!("it was refused") };
        assert_eq!(steps[0], done("mode 0666"));
        assert_eq!((house.mode("one"), house.mode("two")), (0o600, 0o600));
    }
}

#[test]
fn an_order_waits_for_its_time_and_what_its_time_cuts_off_is_left() {
    let house = House::new(&[Power::Enforce]);
    let signed = house.signed(1, vec![file("/etc/one", "600"), file("/etc/two", "600")]);
    house.clock.store(START - 1, Ordering::SeqCst);
    assert!(matches!(house.take(&signed), Ok(Acted::Waits)));
    assert_eq!(house.book().taken, None);
    let taken = Taken { generation: 1, digest: signed.order.digest().unwrap() };
    let steps = vec![Written::Over(done("mode 0666"))];
    house.desk.keep(&Book { taken: Some(taken), steps, outcome: None }).unwrap();
    house.clock.store(START + 3_600_000, Ordering::SeqCst);
    assert_eq!(house.over(&signed), Ending::CarriedOut(vec![done("mode 0666"), StepOutcome::Left]));
    assert_eq!(house.mode("two"), 0o666);
}

#[test]
fn an_older_order_and_another_of_the_same_generation_change_nothing() {
    let house = House::new(&[Power::Enforce]);
    house.over(&house.signed(5, vec![file("/etc/one", "600")]));
    let held = house.book().taken;
    for (generation, step) in [(4, file("/etc/one", "666")), (5, file("/etc/one", "644"))] {
        let ending = house.over(&house.signed(generation, vec![step]));
        assert!(matches!(ending, Ending::Refused(_)), "{ending:?}");
    }
    assert_eq!((house.mode("one"), house.book().taken), (0o600, held));
}

#[test]
fn a_book_that_is_broken_is_not_started_over() {
    let house = House::new(&[Power::Enforce]);
    fs::write(Path::new(&house.desk.file), "{").unwrap();
    let signed = house.signed(1, vec![file("/etc/one", "600")]);
    assert!(matches!(house.take(&signed), Err(Error::Book(_))));
    assert_eq!(house.mode("one"), 0o666);
}
