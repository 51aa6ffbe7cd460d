//! Messages between agent, command line and server.
