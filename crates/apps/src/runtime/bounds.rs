//! The bounds of AWS Lambda that hold here, too.

/// How much a call and its answer may hold, in bytes.
pub const PAYLOAD_MAX: usize = 6 << 20;

/// How many bytes the files of a process may take in its TMPDIR: AWS's `/tmp`, where nothing else is said.
pub(super) const FILES_MAX: u64 = 512 << 20;

/// How many processes and threads a process of a function may have with itself.
pub(super) const PROCESSES_MAX: u64 = 256;
