//! Detections that ship: each rule matches its examples and passes the others, and a canary proves that it can fire.

use bartizan_detect::example;

use super::{Complaint, File};

const FOLDER: &str = "content/detections/";

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let shipped = files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".yml"));
    shipped.flat_map(|file| check_file(file, files)).collect()
}

fn check_file(file: &File, files: &[File]) -> Vec<Complaint> {
    let beside = file.path.replace(".yml", ".example.json");
    let Some(examples) = files.iter().find(|file| file.path == beside) else {
        return vec![Complaint::new(&file.path, "has no examples and no canary: put them beside it")];
    };
    let found = example::run(&file.text, &examples.text);
    found.into_iter().map(|message| Complaint::new(&file.path, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: T\nid: r\nlevel: low\nlogsource: {product: linux, service: app}\n\
        detection: {s: {message: hello}, condition: s}\n";

    fn complaints(examples: Option<&str>) -> Vec<String> {
        let file =
            |name: &str, text: &str| File { path: format!("{FOLDER}linux/{name}"), text: text.to_owned() };
        let mut files = vec![file("a.yml", RULE)];
        files.extend(examples.map(|text| file("a.example.json", text)));
        check(&files).iter().map(ToString::to_string).collect()
    }

    fn examples(canaries: &str) -> String {
        format!(
            r#"{{"rule": "r", "source": {{"product": "linux", "service": "app"}},
                "match": [[{{"message": "hello"}}]], "pass": [[{{"message": "bye"}}]], "canaries": {canaries}}}"#
        )
    }

    #[test]
    fn a_rule_that_its_canary_proves_is_tidy() {
        let found = complaints(Some(&examples(r#"[{"rule": "r", "lines": ["app[1]: hello"]}]"#)));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_rule_without_a_canary_or_that_its_canary_does_not_prove_is_complained_of() {
        let table = [
            (None, "content/detections/linux/a.yml: has no examples and no canary"),
            (Some(examples("[]")), "content/detections/linux/a.yml: `r` has no canary"),
            (
                Some(examples(r#"[{"rule": "r", "lines": ["app[1]: bye"]}]"#)),
                "content/detections/linux/a.yml: `r` does not match its canary",
            ),
        ];
        for (examples, expected) in table {
            let found = complaints(examples.as_deref());
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?} {expected}");
        }
    }
}
