//! A zip of OSV records.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_feeds::osv::read_zip(std::io::Cursor::new(data), "all.zip", &mut |_, _| Ok(()));
});
