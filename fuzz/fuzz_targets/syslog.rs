//! Lines of the system log.
#![no_main]

use bartizan_core::time::Timestamp;
use bartizan_detect::syslog;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = bartizan_fuzz::text(data);
    for line in text.lines() {
        let _ = syslog::stamp(line, 2026);
        if let Some(line) = syslog::split(line) {
            let _ = syslog::event(&line, Timestamp::from_millis(0));
        }
    }
});
