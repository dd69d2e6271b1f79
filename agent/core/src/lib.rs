//! The agent's decisions: observe, spool, session, admit; no clock, file or socket
