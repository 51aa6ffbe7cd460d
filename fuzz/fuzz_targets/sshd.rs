//! The SSH server's settings.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(&[("etc/ssh/sshd_config", data)], &[Name::Sshd]);
});
