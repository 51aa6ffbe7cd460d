//! CISA's catalogue.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_feeds::kev::read(data, "kev.json");
});
