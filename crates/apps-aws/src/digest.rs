//! SHA-256, as the record and as AWS write it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The SHA-256 of these bytes in hexadecimal, as an [`Item`](crate::Item) has it.
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// `CodeSha256` of Lambda, which is base64, in hexadecimal; empty where it is neither.
pub(crate) fn from_lambda(base64: &str) -> String {
    hex(&STANDARD.decode(base64).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
