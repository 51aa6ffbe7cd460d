//! A seeded crowd that tries everything: nothing may reach production against the law.

use super::tests::{actor, content, person, proposed};
use super::*;

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// What was said, in order, as an onlooker who trusts no state machine writes it down.
struct Said {
    who: PersonId,
    what: Event,
    tainted: bool,
    roles: BTreeSet<Role>,
}

fn crowd(dice: &mut Dice) -> Vec<Actor> {
    let mut crowd = vec![
        actor(1, &[Role::Operator, Role::Security]),
        actor(2, &[Role::Operator]),
        actor(3, &[Role::Operator, Role::Security]),
        actor(4, &[Role::Security]),
        actor(5, &[Role::Admin, Role::Responder]),
    ];
    for actor in &mut crowd {
        if dice.roll(4) == 0 {
            let by = [vec![1, 9], vec![9], vec![8, 9]][dice.roll(3)].iter().map(|n| person(*n)).collect();
            let at = Timestamp::from_millis([50, 150][dice.roll(2)]);
            actor.grants.push(Grant { what: Granted::Role(Role::Security), at, by });
        }
    }
    crowd
}

fn event(dice: &mut Dice, change: &Change) -> Event {
    let target = ["prod", "prod", "prod", "dev", "test"][dice.roll(5)].to_owned();
    // Mostly what lies before them, at times something they saw earlier.
    let digest = if dice.roll(8) == 0 { content(22).digest() } else { change.digest };
    match dice.roll(24) {
        // Rarely: whoever edits is an author, and soon nobody would be left to judge.
        0 if dice.roll(6) == 0 => Event::Edited { content: content(20 + dice.roll(3) as u32) },
        1..=4 => Event::Tested {
            environment: ["dev", "test", "prod"][dice.roll(3)].into(),
            target,
            digest,
            passed: dice.roll(5) > 0,
        },
        5..=9 => Event::Reviewed { target, digest },
        10..=14 => Event::Approved { target, digest },
        15 => Event::Rejected { target, digest, reason: "no".into() },
        _ => Event::Applied { target, digest },
    }
}

/// The law by the onlooker's notes alone: since the last word that took decisions back there is a passed
/// test below, then a review, then an approval, of this very digest, by two people who wrote none of it.
fn lawful(notes: &[Said], authors: &BTreeSet<PersonId>, digest: Digest) -> bool {
    let (mut tested, mut reviewed, mut approved) = (false, None, None);
    for said in notes {
        let untainted = !said.tainted && !authors.contains(&said.who);
        match &said.what {
            Event::Edited { .. } => (tested, reviewed, approved) = (false, None, None),
            Event::Rejected { target, .. } | Event::Tested { target, passed: false, .. }
                if target == "prod" =>
            {
                (tested, reviewed, approved) = (false, None, None);
            }
            Event::Tested { target, digest: seen, environment, .. }
                if target == "prod" && *seen == digest && environment != "prod" =>
            {
                tested = true
            }
            Event::Reviewed { target, digest: seen }
                if target == "prod" && *seen == digest && tested && untainted =>
            {
                assert!(said.roles.contains(&Role::Operator));
                reviewed = Some(said.who);
            }
            Event::Approved { target, digest: seen }
                if target == "prod"
                    && *seen == digest
                    && untainted
                    && reviewed.is_some_and(|by| by != said.who) =>
            {
                assert!(said.roles.contains(&Role::Security));
                approved = Some(said.who);
            }
            _ => {}
        }
    }
    tested && reviewed.is_some() && approved.is_some()
}

#[test]
fn whatever_a_crowd_does_nothing_reaches_production_against_the_law() {
    let mut reached = 0;
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let crowd = crowd(&mut dice);
        let mut change = proposed();
        let mut notes: Vec<Said> = Vec::new();
        for tick in 0..150 {
            let actor = &crowd[dice.roll(crowd.len())];
            let event = event(&mut dice, &change);
            let now = Timestamp::from_millis(200 + tick);
            let Ok((next, commands)) = step(&change, &Ladder::default(), actor, &event, now) else {
                continue;
            };
            for command in commands {
                if let Command::Apply { target, digest, path } = command
                    && target == "prod"
                {
                    assert_eq!(path, Path::Approved, "seed {seed}");
                    assert_eq!(
                        digest,
                        next.content.digest(),
                        "seed {seed}: what is applied is what it holds"
                    );
                    assert!(lawful(&notes, &next.authors, digest), "seed {seed}, tick {tick}");
                    reached += 1;
                }
            }
            let tainted = actor.grants.iter().any(|grant| {
                grant.at >= change.proposed_at
                    && (grant.by.len() < 2 || grant.by.iter().any(|by| change.authors.contains(by)))
            });
            notes.push(Said { who: actor.person, what: event, tainted, roles: actor.roles.clone() });
            change = next;
        }
    }
    assert!(reached > 100, "the crowd must get there by the law: {reached}");
}
