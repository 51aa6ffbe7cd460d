//! That the document says all of the routes, and the checked-in copy says the same.

use super::*;

/// The checked-in copy.
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

#[test]
fn each_route_of_the_api_has_one_shape_and_each_shape_a_route() {
    let (routes, shapes) = (super::super::routes(), super::super::shapes());
    for route in routes.iter().filter(|route| route.path.starts_with("/api/")) {
        let count = shapes.iter().filter(|(_, shape)| shape.is_of(&route.method, route.path)).count();
        assert_eq!(count, 1, "{route:?} has {count} shapes: `shapes()` of its noun's file lists them");
        assert!(route.summary.is_some(), "{route:?} has no summary");
    }
    for (_, shape) in &shapes {
        let found = routes.iter().any(|route| shape.is_of(&route.method, route.path));
        assert!(found, "{shape:?} is of no route");
    }
}

#[test]
fn the_published_description_is_current() {
    let current = serde_json::to_string_pretty(&document()).unwrap();
    let is_current = std::fs::read_to_string(REFERENCE).is_ok_and(|text| text.trim_end() == current);
    assert!(is_current, "write it anew: `cargo run -- openapi > docs/reference/openapi.json`");
}

/// Every reference in the document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_says_who_may() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        let place = document.pointer(reference.trim_start_matches('#'));
        assert!(place.is_some(), "{reference}");
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["x-roles"].is_array(), "{method} {path}");
            let open = operation["x-roles"].as_array().unwrap().is_empty();
            assert_eq!(open, operation.get("security").is_some(), "{method} {path}");
        }
    }
}

#[test]
fn what_is_read_and_what_is_answered_never_share_a_name_with_two_meanings() {
    let mut nouns: BTreeMap<&str, Noun> = BTreeMap::new();
    for (name, shape) in super::super::shapes() {
        let noun = nouns.entry(name).or_insert_with(|| Noun::new(name));
        if let Answer::Json(make) = shape.answer {
            noun.answer(make);
        }
        shape.body.map(|make| noun.body(make));
    }
    for (name, noun) in &nouns {
        for (component, read) in noun.read.definitions() {
            let told = noun.told.definitions().get(component);
            assert!(told.is_none_or(|told| told == read), "{component} of {name}");
        }
    }
}
