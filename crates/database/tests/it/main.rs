//! Real PostgreSQL and MariaDB servers on loopback, and every way they can refuse us.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]
