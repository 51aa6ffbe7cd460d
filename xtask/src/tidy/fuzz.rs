//! Fuzz targets: each that the table names is there with a seed, and feeds a parser that is there.

use super::{Complaint, File};
use crate::fuzz::TARGETS;

const MANIFEST: &str = "fuzz/Cargo.toml";

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let is_there = |path: &str| files.iter().any(|file| file.path == path);
    let manifest = files.iter().find(|file| file.path == MANIFEST).map_or("", |file| &file.text);
    let mut complaints = Vec::new();
    for (name, parser) in TARGETS {
        let target = format!("fuzz/fuzz_targets/{name}.rs");
        if !is_there(parser) {
            complaints.push(Complaint::new(parser, format!("is gone, and the fuzz target {name} names it")));
        }
        if !is_there(&target) || !manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")) {
            complaints.push(Complaint::new(target, "is in the table of targets, and not in fuzz/"));
        }
    }
    let targets = files.iter().filter_map(|file| file.path.strip_prefix("fuzz/fuzz_targets/"));
    for name in targets.filter_map(|file| file.strip_suffix(".rs")) {
        if !TARGETS.iter().any(|(known, _)| *known == name) {
            let message = "is not in the table of targets: add it in xtask/src/fuzz.rs";
            complaints.push(Complaint::new(format!("fuzz/fuzz_targets/{name}.rs"), message));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_its_file_and_a_file_without_its_line_are_complained_of() {
        assert_eq!(check(&[]).len(), TARGETS.len() * 2);
        let stray = File { path: "fuzz/fuzz_targets/stray.rs".to_owned(), text: String::new() };
        assert_eq!(check(&[stray]).len(), TARGETS.len() * 2 + 1);
    }
}
