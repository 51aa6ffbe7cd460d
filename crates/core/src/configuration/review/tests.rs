use super::*;

fn day(day: u32) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_days(day))
}

fn person(seed: u8) -> PersonId {
    PersonId::mint(day(0), [seed; 10])
}

fn actor(seed: u8, roles: &[Role], services: &[&str]) -> Actor {
    Actor {
        person: person(seed),
        roles: roles.iter().copied().collect(),
        services: services.iter().map(|service| (*service).to_owned()).collect(),
        grants: Vec::new(),
    }
}

fn digest(text: &str) -> Digest {
    Digest::of_bytes(text.as_bytes())
}

fn applied(text: &str) -> Applied {
    Applied { digest: digest(text), owner: Some("shop".to_owned()), authors: [person(9)].into() }
}

fn says(who: &Actor, text: &str, word: Word, at: Timestamp) -> Said {
    Said { by: who.person, digest: digest(text), word, reason: "read".to_owned(), at }
}

fn fresh() -> Review {
    Review::new("linux".to_owned(), Some("shop".to_owned()), day(0))
}

fn ida() -> Actor {
    actor(1, &[Role::Operator], &["shop"])
}

fn sam() -> Actor {
    actor(2, &[Role::Security], &[])
}

#[test]
fn a_review_is_concluded_when_both_sides_say_the_same_of_the_same_digest() {
    let (ida, sam, now) = (ida(), sam(), applied("a"));
    let half =
        say(&fresh(), Some(&now), &ida, (Side::ServiceTeam, says(&ida, "a", Word::Keep, day(5)))).unwrap();
    assert_eq!(half.last, None);
    let other =
        say(&half, Some(&now), &sam, (Side::Security, says(&sam, "a", Word::Change, day(6)))).unwrap();
    assert_eq!(other.last, None, "they do not agree");
    let whole = say(&other, Some(&now), &sam, (Side::Security, says(&sam, "a", Word::Keep, day(7)))).unwrap();
    let last = whole.last.clone().unwrap();
    assert_eq!((last.word, last.at, last.said.len()), (Word::Keep, day(7), 2));
    assert!(whole.said.is_empty());
    assert_eq!(whole.clock(day(8)).1, Standing::Running { due: day(7).plus(HOLDS) });
}

#[test]
fn what_is_to_be_changed_owes_its_review_still() {
    let (ida, sam, now) = (ida(), sam(), applied("a"));
    for word in [Word::Change, Word::Retire] {
        let half =
            say(&fresh(), Some(&now), &ida, (Side::ServiceTeam, says(&ida, "a", word, day(5)))).unwrap();
        let whole = say(&half, Some(&now), &sam, (Side::Security, says(&sam, "a", word, day(6)))).unwrap();
        assert_eq!(whole.last.as_ref().unwrap().word, word);
        assert_eq!(whole.clock(day(7)).1, Standing::Running { due: day(365) }, "{word}");
        let changed = applied("b");
        let half =
            say(&whole, Some(&changed), &ida, (Side::ServiceTeam, says(&ida, "b", Word::Keep, day(8))))
                .unwrap();
        let kept =
            say(&half, Some(&changed), &sam, (Side::Security, says(&sam, "b", Word::Keep, day(9)))).unwrap();
        assert_eq!(kept.clock(day(10)).1, Standing::Running { due: day(9).plus(HOLDS) });
    }
}

#[test]
fn what_was_said_of_another_digest_says_nothing() {
    let (ida, sam) = (ida(), sam());
    let half =
        say(&fresh(), Some(&applied("a")), &ida, (Side::ServiceTeam, says(&ida, "a", Word::Keep, day(5))))
            .unwrap();
    let edited = applied("b");
    assert!(half.standing(Some(&edited)).is_empty());
    let next =
        say(&half, Some(&edited), &sam, (Side::Security, says(&sam, "b", Word::Keep, day(6)))).unwrap();
    assert_eq!(next.last, None);
    assert_eq!(next.said.len(), 1);
    let stale = say(&half, Some(&edited), &sam, (Side::Security, says(&sam, "a", Word::Keep, day(6))));
    assert_eq!(stale, Err(Refusal::Stale(digest("a"))));
}

#[test]
fn neither_side_stands_in_for_the_other_and_the_author_for_none() {
    let both = actor(3, &[Role::Operator, Role::Security], &["shop"]);
    let author = actor(9, &[Role::Operator, Role::Security], &["shop"]);
    let table = [
        (ida(), Side::Security, Some(Refusal::Role(Role::Security))),
        (sam(), Side::ServiceTeam, Some(Refusal::Role(Role::Operator))),
        (actor(4, &[Role::Operator], &["bank"]), Side::ServiceTeam, Some(Refusal::Team("shop".to_owned()))),
        (author.clone(), Side::ServiceTeam, Some(Refusal::Own)),
        (author, Side::Security, Some(Refusal::Own)),
        (both.clone(), Side::Security, None),
    ];
    for (who, side, refusal) in table {
        let said = says(&who, "a", Word::Keep, day(1));
        let ruled = say(&fresh(), Some(&applied("a")), &who, (side, said));
        assert_eq!(ruled.err(), refusal, "{side} by {:?}", who.roles);
    }
    let said = says(&both, "a", Word::Keep, day(1));
    let half = say(&fresh(), Some(&applied("a")), &both, (Side::Security, said.clone())).unwrap();
    assert_eq!(say(&half, Some(&applied("a")), &both, (Side::ServiceTeam, said)), Err(Refusal::OtherSide));
}

#[test]
fn a_side_says_why() {
    for reason in ["", "  ", &"x".repeat(REASON_BYTES_LIMIT + 1)] {
        let mut said = says(&sam(), "a", Word::Keep, day(1));
        said.reason = reason.to_owned();
        assert_eq!(say(&fresh(), Some(&applied("a")), &sam(), (Side::Security, said)), Err(Refusal::Reason));
    }
}

#[test]
fn a_baseline_that_nobody_reviewed_for_a_year_is_overdue() {
    let review = fresh();
    assert_eq!(review.clock(day(365)).1, Standing::Running { due: day(365) });
    let (clock, standing) = review.clock(day(366));
    assert_eq!(standing, Standing::Overdue { due: day(365), by: Duration::from_days(1) });
    assert_eq!(clock.owner, "shop");
}

#[test]
fn people_are_told_once_that_a_review_is_overdue_and_once_that_it_is_no_more() {
    let (ida, sam, now) = (ida(), sam(), applied("a"));
    assert_eq!(observe(&fresh(), Some(&now), day(365)), None);
    let told = observe(&fresh(), Some(&now), day(366)).unwrap();
    assert!(told.told);
    assert_eq!(observe(&told, Some(&now), day(367)), None, "once");
    assert!(!observe(&told, None, day(367)).unwrap().told, "it is applied nowhere any more");
    let half =
        say(&told, Some(&now), &ida, (Side::ServiceTeam, says(&ida, "a", Word::Keep, day(367)))).unwrap();
    assert_eq!(observe(&half, Some(&now), day(367)), None, "one side is not enough");
    let whole =
        say(&half, Some(&now), &sam, (Side::Security, says(&sam, "a", Word::Keep, day(368)))).unwrap();
    assert!(!observe(&whole, Some(&now), day(368)).unwrap().told);
}

#[test]
fn words_are_read_back_as_they_are_written() {
    for word in [Word::Keep, Word::Change, Word::Retire] {
        assert_eq!(word.as_str().parse(), Ok(word));
    }
    for side in [Side::ServiceTeam, Side::Security] {
        assert_eq!(side.as_str().parse(), Ok(side));
    }
    assert!("later".parse::<Word>().is_err() && "nobody".parse::<Side>().is_err());
}
