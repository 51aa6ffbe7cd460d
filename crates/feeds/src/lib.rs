//! Advisory and catalogue formats: bytes to core types.
