//! Signed heads, keys and leaves of the ledger.
#![no_main]

use bartizan_ledger::checkpoint::{Key, Signer};
use bartizan_ledger::entry::Envelope;
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = bartizan_fuzz::text(data);
    let _ = Key::parse(&text);
    let _ = Envelope::parse(&text);
    if let Ok(signer) = Signer::new("ledger.example", &[7; 32]) {
        let _ = signer.key().open(&text);
    }
});
