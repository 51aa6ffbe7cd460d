//! YAML documents, and what each kind makes of them.
#![no_main]

use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::document;
use bartizan_core::incident::rule::IncidentRule;
use bartizan_core::monitoring::health::Health;
use bartizan_core::monitoring::route::Routes;
use bartizan_core::vulnerability::source::FeedSource;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = bartizan_fuzz::text(data);
    for document in document::parse("a.yaml", &text).unwrap_or_default() {
        let _ = (Baseline::from_document(&document), Health::from_document(&document));
        let _ = (Routes::from_document(&document), IncidentRule::from_document(&document));
        let _ = FeedSource::from_document(&document);
    }
});
