//! The signed Merkle log: append, checkpoint, prove, verify.
