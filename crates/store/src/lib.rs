//! The only SQL: one Store on SQLite or PostgreSQL.
