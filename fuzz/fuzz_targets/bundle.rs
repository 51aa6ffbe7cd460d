//! Bundles of the ledger.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_ledger::verify(data, &Default::default());
});
