//! rpm's database, in SQLite's file format, with rpm's headers in it.
#![no_main]

use bartizan_core::fact::Name;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bartizan_fuzz::sections(&[("var/lib/rpm/rpmdb.sqlite", data)], &[Name::Packages]);
});
