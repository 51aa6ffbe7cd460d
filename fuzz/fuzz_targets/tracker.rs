//! The Debian tracker's export.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_feeds::debian::read(data, "tracker.json", &mut |_| Ok(()));
});
