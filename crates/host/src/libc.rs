//! The C library of this machine.
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Where distributions keep it.
const PLACES: [&str; 8] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
];
/// The most bytes that are read of it.
const LIMIT: u64 = 16 << 20;
/// How it begins to say its version.
const SAYS: &[u8] = b"GNU C Library";
const VERSION: &str = "release version ";

/// The version of glibc, as its file says; `None` where there is none. Nothing is run for it.
pub fn glibc() -> Option<(u32, u32)> {
    PLACES.iter().find_map(|place| of_file(Path::new(place)))
}

fn of_file(path: &Path) -> Option<(u32, u32)> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    of_bytes(&bytes)
}

fn of_bytes(bytes: &[u8]) -> Option<(u32, u32)> {
    let at = bytes.windows(SAYS.len()).position(|window| window == SAYS)?;
    let line = String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 200)]).into_owned();
    let version = line.split(VERSION).nth(1)?;
    let numbers: String =
        version.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let (major, rest) = numbers.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_file() {
        let text =
            b"\0x\0GNU C Library (Debian GLIBC 2.36-9+deb12u7) stable release version 2.36.\nCopyright";
        assert_eq!(of_bytes(text), Some((2, 36)));
        assert_eq!(of_bytes(b"GNU C Library (GNU libc) release version 2.40.9000.\n"), Some((2, 40)));
        assert_eq!(of_bytes(b"musl"), None);
        assert_eq!(of_bytes(b"GNU C Library, and nothing more"), None);
    }
}
