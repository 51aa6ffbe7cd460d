//! What the text of a source file shows: length, file names, and words with a place of their own.

use super::{Complaint, File};

/// Longer files are split by noun or verb.
const LINES_LIMIT: usize = 600;

/// Words that have a place: the word, where it may stand (path prefixes), and why not elsewhere.
const PLACED: [(&str, &[&str], &str); 4] = [
    (
        "Command::new(",
        &["xtask/", "crates/probe/", "crates/agent/src/actuator", "fuzz/"],
        "spawning belongs to probe, the agent's actuators, xtask and tests",
    ),
    ("todo!(", &[], "finish it, or leave it out"),
    ("unimplemented!(", &[], "finish it, or leave it out"),
    ("#[ignore", &[], "a test runs, or goes: name what is missing where it is left out"),
];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    files.iter().filter(|file| file.path.ends_with(".rs")).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES_LIMIT {
        let message = format!("has {lines} lines, more than {LINES_LIMIT}: split it by noun or verb");
        complaints.push(Complaint::new(&file.path, message));
    }
    if file.path.ends_with("/mod.rs") {
        let message = "put it beside its folder: `foo.rs` and `foo/`";
        complaints.push(Complaint::new(&file.path, message));
    }
    // This very file names the words.
    if file.path.ends_with("xtask/src/tidy/text.rs") {
        return complaints;
    }
    let product = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let in_tests = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    for (word, places, why) in PLACED {
        let exempt = in_tests && word.starts_with("Command");
        if !exempt && product.contains(word) && !places.iter().any(|place| file.path.starts_with(place)) {
            complaints.push(Complaint::new(&file.path, format!("`{word}` does not belong here: {why}")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check(&[file]).into_iter().map(|complaint| complaint.to_string()).collect()
    }

    #[test]
    fn a_file_over_the_limit_is_asked_to_split() {
        assert!(messages("crates/core/src/a.rs", &"\n".repeat(600)).is_empty());
        assert_eq!(messages("crates/core/src/a.rs", &"\n".repeat(601)).len(), 1);
    }

    #[test]
    fn spawning_is_complained_of_in_the_server_and_not_in_its_tests() {
        assert_eq!(messages("crates/server/src/a.rs", "Command::new(\"sh\")").len(), 1);
        assert!(messages("crates/server/tests/a.rs", "Command::new(\"sh\")").is_empty());
        assert!(messages("crates/server/src/a.rs", "#[cfg(test)] Command::new(\"sh\")").is_empty());
        assert!(messages("crates/probe/src/a.rs", "Command::new(\"sshd\")").is_empty());
    }

    #[test]
    fn a_mod_file_is_complained_of() {
        assert_eq!(messages("crates/core/src/a/mod.rs", "").len(), 1);
    }
}
