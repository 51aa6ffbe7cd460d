//! Certificates in PEM.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(&[("etc/ssl/a.pem", data)], &[Name::Certificates]);
});
