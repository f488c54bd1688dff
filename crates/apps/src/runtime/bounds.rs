//! The bounds of AWS Lambda that hold here, too.

/// How much a call and its answer may hold, in bytes.
pub const PAYLOAD_MAX: usize = 6 << 20;
