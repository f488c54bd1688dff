//! The checks against real servers on loopback.
