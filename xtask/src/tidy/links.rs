//! Links between the house's own documents lead somewhere.

use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::{Complaint, File};

pub(super) fn check(root: &Path, files: &[File]) -> Vec<Complaint> {
    let Ok(link) = Regex::new(r"\]\(([^)#\s]+)(?:#[^)]*)?\)") else { return Vec::new() };
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for found in link.captures_iter(&file.text) {
            let Some(target) = found.get(1).map(|target| target.as_str()) else { continue };
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let path = plain(&folder.join(target));
            if !root.join(&path).exists() {
                let message = format!("links to {target}, which is not there");
                complaints.push(Complaint::new(&file.path, message));
            }
        }
    }
    complaints
}

fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_complained_of_and_one_to_a_file_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = "[a](src/lib.rs) [b](./src/gone.rs#top) [c](https://example.com/x)";
        let file = File { path: "x.md".to_owned(), text: text.to_owned() };
        let complaints = check(root, &[file]);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].message.contains("./src/gone.rs"));
    }
}
