//! Sigma rules and health thresholds over events.
