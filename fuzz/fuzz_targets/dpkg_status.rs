//! dpkg's status file.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(&[("var/lib/dpkg/status", data)], &[Name::Packages]);
});
