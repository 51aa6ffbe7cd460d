//! Canonical JSON: what is read is written so that it reads back the same.
#![no_main]

use bartizan_core::canonical::Value;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Value::parse_slice(data) {
        assert_eq!(Value::parse(&value.to_canonical()).ok(), Some(value));
    }
});
