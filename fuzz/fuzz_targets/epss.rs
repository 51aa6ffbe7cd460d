//! Probabilities of exploitation, plain or gzipped.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_feeds::epss::read(data, "epss.csv");
});
