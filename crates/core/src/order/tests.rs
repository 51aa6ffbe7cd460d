use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + hours * 3_600_000)
}

fn asset(byte: u8) -> AssetId {
    AssetId::mint(at(0), [byte; 10])
}

fn order(generation: u64) -> Order {
    Order {
        asset: asset(1),
        generation,
        plan: Digest::of_bytes(b"plan"),
        not_before: at(0),
        not_after: at(1),
        steps: vec![Step::Fix {
            baseline: "debian-12".to_owned(),
            rule: "redirects".to_owned(),
            fix: Fix::Sysctl { key: "net.ipv4.conf.all.send_redirects".to_owned(), value: "0".to_owned() },
        }],
    }
}

fn standing(powers: &[Power]) -> Standing {
    let allowed = Allowed { powers: powers.iter().copied().collect(), ..Allowed::default() };
    Standing { asset: asset(1), last: None, allowed }
}

fn judged(order: &Order, standing: &Standing, now: Timestamp) -> Result<Next, Refusal> {
    judge(order, &order.digest().unwrap(), standing, now)
}

#[test]
fn an_agent_that_only_observes_does_nothing_whoever_signs() {
    assert_eq!(judged(&order(1), &standing(&[]), at(0)), Err(Refusal::Off(Power::Enforce)));
    let others = [Power::Update, Power::Isolate];
    assert_eq!(judged(&order(1), &standing(&others), at(0)), Err(Refusal::Off(Power::Enforce)));
    assert_eq!(judged(&order(1), &standing(&[Power::Enforce]), at(0)), Ok(Next::Begin));
}

#[test]
fn an_order_holds_for_its_asset_and_its_time_alone() {
    let standing = standing(&[Power::Enforce]);
    let other = Order { asset: asset(2), ..order(1) };
    assert_eq!(judged(&other, &standing, at(0)), Err(Refusal::OtherAsset));
    assert_eq!(judged(&order(1), &standing, at(-1)), Ok(Next::Wait { until: at(0) }));
    assert_eq!(judged(&order(1), &standing, at(1)), Err(Refusal::Late(at(1))));
    for not_after in [at(0), at(-1), at(24 * 8)] {
        let wrong = Order { not_after, ..order(1) };
        assert!(matches!(judged(&wrong, &standing, at(0)), Err(Refusal::Window { .. })), "{not_after}");
    }
}

#[test]
fn the_same_order_again_resumes_and_another_of_its_generation_is_told() {
    let mut standing = standing(&[Power::Enforce]);
    standing.last = Some(Taken { generation: 2, digest: order(2).digest().unwrap() });
    assert_eq!(judged(&order(2), &standing, at(0)), Ok(Next::Resume));
    let twin = Order { plan: Digest::of_bytes(b"another"), ..order(2) };
    assert_eq!(judged(&twin, &standing, at(0)), Err(Refusal::Forked(2)));
    assert_eq!(judged(&order(1), &standing, at(0)), Err(Refusal::Older { found: 1, last: 2 }));
    assert_eq!(judged(&order(3), &standing, at(0)), Ok(Next::Begin));
}

#[test]
fn one_step_that_may_not_be_done_refuses_the_order() {
    let mut order = order(1);
    let value = "|/bin/sh -c id".to_owned();
    order.steps.push(Step::Fix {
        baseline: "b".to_owned(),
        rule: "r".to_owned(),
        fix: Fix::Sysctl { key: "kernel.core_pattern".to_owned(), value },
    });
    let mut standing = standing(&[Power::Enforce]);
    assert!(matches!(judged(&order, &standing, at(0)), Err(Refusal::Denied { .. })));
    standing.allowed.host.settings.insert("sysctl:kernel/core_pattern".to_owned());
    assert_eq!(judged(&order, &standing, at(0)), Ok(Next::Begin));
    order.steps.clear();
    assert_eq!(judged(&order, &standing, at(0)), Err(Refusal::Steps(0)));
    order.steps = vec![self::order(1).steps.remove(0); STEPS_LIMIT + 1];
    assert_eq!(judged(&order, &standing, at(0)), Err(Refusal::Steps(STEPS_LIMIT + 1)));
}

#[test]
fn what_is_signed_says_what_it_is_and_changes_with_every_field() {
    let bytes = order(1).signed_bytes().unwrap();
    assert!(bytes.starts_with(b"bartizan/order/v1\n{\"asset\":"));
    let variants = [
        order(2),
        Order { asset: asset(2), ..order(1) },
        Order { plan: Digest::of_bytes(b"x"), ..order(1) },
        Order { not_before: at(-1), ..order(1) },
        Order { not_after: at(2), ..order(1) },
        Order { steps: Vec::new(), ..order(1) },
    ];
    for variant in variants {
        assert_ne!(variant.digest().unwrap(), order(1).digest().unwrap(), "{variant:?}");
    }
}

#[test]
fn a_power_reads_back_from_its_word() {
    for power in Power::ALL {
        assert_eq!(power.as_str().parse(), Ok(power));
    }
    assert!("everything".parse::<Power>().is_err());
}
