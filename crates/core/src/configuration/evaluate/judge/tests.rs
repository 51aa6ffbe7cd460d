use super::*;
use crate::canonical::Value;

const UNKNOWN: Verdict = Verdict::Unknown(Reason::Denied);

fn condition(text: &str) -> Condition {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_operator_decides_as_its_name_says() {
    use Verdict::{Met, NotMet};
    let unparsable = Verdict::Unknown(Reason::Unparsable);
    let table = [
        (r#"{"equals":"a"}"#, "a", Met),
        (r#"{"equals":"a"}"#, "A", NotMet),
        (r#"{"equals":5}"#, "5", Met),
        (r#"{"equals":true}"#, "true", Met),
        (r#"{"not_equals":"a"}"#, "b", Met),
        (r#"{"one_of":["a","b"]}"#, "b", Met),
        (r#"{"one_of":["a","b"]}"#, "c", NotMet),
        (r#"{"none_of":["a","b"]}"#, "b", NotMet),
        (r#"{"at_least":5}"#, " 5 ", Met),
        (r#"{"at_least":5}"#, "4", NotMet),
        (r#"{"at_least":"5"}"#, "40", Met),
        (r#"{"at_most":5}"#, "6", NotMet),
        (r#"{"at_most":5}"#, "-1", Met),
        (r#"{"at_most":5}"#, "five", unparsable),
        (r#"{"at_least":1,"at_most":5}"#, "0", NotMet),
        (r#"{"matches":"^a+$"}"#, "aaa", Met),
        (r#"{"not_matches":"b"}"#, "abc", NotMet),
        (r#"{"contains":["x","y"]}"#, "y, z,x", Met),
        (r#"{"contains":["x"]}"#, "xy", NotMet),
        (r#"{"excludes":["x"]}"#, "a x", NotMet),
        (r#"{"within":["a","b"]}"#, "b,a", Met),
        (r#"{"within":["a","b"]}"#, "b,c", NotMet),
        (r#"{"bits_within":"0640"}"#, "0600", Met),
        (r#"{"bits_within":"0640"}"#, "0604", NotMet),
        (r#"{"bits_within":"0777"}"#, "4755", NotMet),
        (r#"{"version_at_least":"1:2.0"}"#, "1:2.0~rc1", NotMet),
        (r#"{"version_at_least":"1:2.0"}"#, "1:2.0+b1", Met),
        (r#"{"version_at_least":"1.0"}"#, "not a version", unparsable),
        (r#"{"absent":true}"#, "", NotMet),
    ];
    for (written, value, expected) in table {
        let item = Item::new("x").with("f", value);
        assert_eq!(condition(written).judge(&item, "f"), expected, "{written} of {value}");
    }
}

#[test]
fn a_value_that_is_not_set_fails_unless_absence_is_allowed_and_an_unseen_one_is_unknown() {
    let table = [
        (r#"{"equals":"a"}"#, Verdict::NotMet),
        (r#"{"not_equals":"a"}"#, Verdict::NotMet),
        (r#"{"equals":"a","or_absent":true}"#, Verdict::Met),
        (r#"{"absent":true}"#, Verdict::Met),
    ];
    for (written, expected) in table {
        assert_eq!(condition(written).judge(&Item::new("x"), "f"), expected, "{written}");
        let unseen = Item::new("x").with("f", Reason::Denied);
        assert_eq!(condition(written).judge(&unseen, "f"), UNKNOWN, "{written}");
    }
}

#[test]
fn a_lists_words_are_its_own() {
    let list = Value::Array(vec!["a b".into(), "c".into()]);
    let item = Item::new("x").with("f", list);
    assert_eq!(condition(r#"{"contains":["a b"]}"#).judge(&item, "f"), Verdict::Met);
    assert_eq!(condition(r#"{"contains":["a"]}"#).judge(&item, "f"), Verdict::NotMet);
    assert_eq!(condition(r#"{"equals":"a b,c"}"#).judge(&item, "f"), Verdict::Met);
}

/// Three accounts: root, one whose password nobody may see, and one without.
fn accounts(empty: bool) -> Items {
    let account = |name: &str, uid: u32| Item::new(name).with("name", name).with("uid", uid);
    let mut items = vec![
        account("root", 0).with("password", "locked"),
        account("ada", 1).with("password", Reason::Denied),
    ];
    if empty {
        items.push(account("bob", 1).with("password", "empty"));
    }
    Items::Known(items)
}

fn judged(selection: &str, items: &Items) -> Verdict {
    let selection: Selection = serde_json::from_str(selection).unwrap();
    let (verdict, evidence) = judge(&Query::Accounts, items, &selection, Sense::Asked);
    assert!(evidence.len() <= 4);
    verdict
}

#[test]
fn a_selection_is_judged_in_three_values() {
    let empty = r#"{"where":{"password":{"equals":"empty"}},"found":false}"#;
    let some = r#"{"where":{"password":{"equals":"empty"}},"found":true}"#;
    let zero = r#"{"where":{"uid":{"equals":0}},"every":{"name":{"equals":"root"}}}"#;
    let locked = r#"{"every":{"password":{"equals":"locked"}}}"#;
    let chosen = r#"{"where":{"password":{"equals":"set"}},"every":{"uid":{"equals":9}}}"#;
    let nobody = r#"{"where":{"uid":{"equals":7}},"every":{"name":{"equals":"x"}}}"#;
    let table = [
        (empty, false, UNKNOWN),
        (empty, true, Verdict::NotMet),
        (some, false, UNKNOWN),
        (some, true, Verdict::Met),
        (zero, true, Verdict::Met),
        (locked, false, UNKNOWN),
        (locked, true, Verdict::NotMet),
        (chosen, false, UNKNOWN),
        (nobody, true, Verdict::Met),
        (r#"{"unique":"uid"}"#, false, Verdict::Met),
        (r#"{"unique":"uid"}"#, true, Verdict::NotMet),
        (r#"{"unique":"password"}"#, false, UNKNOWN),
    ];
    for (selection, with_empty, expected) in table {
        assert_eq!(judged(selection, &accounts(with_empty)), expected, "{selection} {with_empty}");
    }
}

#[test]
fn long_values_are_cut_in_evidence() {
    let field = Field::from("é".repeat(500));
    assert_eq!(actual(Some(&field)).chars().count(), ACTUAL_CHARACTERS + 1);
}
