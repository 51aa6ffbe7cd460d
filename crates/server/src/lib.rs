//! The server: stages, API, intake, console.
