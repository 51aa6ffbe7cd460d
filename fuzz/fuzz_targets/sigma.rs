//! Sigma rules.
#![no_main]

use bartizan_detect::rules::Rules;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    Rules::default().read("a.yml", &bartizan_fuzz::text(data));
});
