//! How facts are read from a host.
