//! Scheduled jobs.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(
        &[("etc/crontab", data), ("etc/anacrontab", data), ("etc/systemd/system/a.timer", data)],
        &[Name::Jobs],
    );
});
