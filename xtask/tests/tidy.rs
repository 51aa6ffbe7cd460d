//! The walls are held by the tests, so that nobody has to remember the chore.

#[test]
fn the_house_is_tidy() {
    let complaints = xtask::tidy::complaints(&xtask::root()).unwrap();
    let listed: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert!(listed.is_empty(), "\n{}", listed.join("\n"));
}
