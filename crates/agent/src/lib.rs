//! The agent: collectors, evaluators, spool, link.
