//! SHA-256, as the record and as AWS write it.

use apps::names::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The SHA-256 of bytes in hexadecimal, as an [`Item`](crate::Item) has it.
pub use apps::names::sha256;

/// `CodeSha256` of Lambda, which is base64, in hexadecimal; empty where it is neither.
pub(crate) fn from_lambda(base64: &str) -> String {
    hex(&STANDARD.decode(base64).unwrap_or_default())
}
