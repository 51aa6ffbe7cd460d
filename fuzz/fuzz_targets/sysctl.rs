//! Kernel settings in files.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(&[("etc/sysctl.d/a.conf", data)], &[Name::Sysctl]);
});
