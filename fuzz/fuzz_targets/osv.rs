//! One OSV record.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_feeds::osv::read(data, "a.json");
});
