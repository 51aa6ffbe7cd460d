//! Versions of every scheme: order is total where there is one, and its own opposite.
#![no_main]

use bartizan_core::vulnerability::version::{Scheme, compare, validate};
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = bartizan_fuzz::text(data);
    let Some((a, b)) = text.split_once('\n') else { return };
    for scheme in [Scheme::Deb, Scheme::Rpm, Scheme::Apk, Scheme::Semver, Scheme::Pep440] {
        let (one, other) = (compare(scheme, a, b), compare(scheme, b, a));
        assert_eq!(one.is_ok(), other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            assert_eq!(one, other.reverse());
        }
        let _ = validate(scheme, a);
    }
});
