//! Offline verifier of ledger and evidence bundles.
