//! Accounts and groups.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(
        &[("etc/passwd", data), ("etc/shadow", data), ("etc/group", data)],
        &[Name::Accounts],
    );
});
