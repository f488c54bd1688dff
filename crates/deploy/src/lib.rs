//! The operations: install, start, verify, stop, remove - each a plan; the agent
