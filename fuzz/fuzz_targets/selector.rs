//! Selectors and durations.
#![no_main]

use bartizan_core::selector::{Labels, Matcher};
use bartizan_core::time::Duration;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = bartizan_fuzz::text(data);
    if let Ok(matcher) = text.parse::<Matcher>() {
        let _ = matcher.matches(&Labels::new());
    }
    if let Ok(span) = text.parse::<Duration>() {
        assert_eq!(span.to_string().parse::<Duration>().ok(), Some(span));
    }
});
