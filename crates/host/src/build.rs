//! Which build a program is: two builds of one version are told apart by what is in them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A segment of notes, and the name and kind of the note in which a linker writes the build id.
const NOTES: u32 = 4;
const OWNER: &[u8] = b"GNU\0";
const BUILD_ID: u32 = 3;

/// No segment of notes is larger, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The build of a program, in hexadecimal: the id that its linker made of its content, or a hash of the file where it has none.
///
/// # Errors
/// The file cannot be read.
pub fn id(program: &Path) -> io::Result<String> {
    let mut file = File::open(program)?;
    match linked(&mut file) {
        Ok(Some(id)) => Ok(id),
        // No program of this machine, or a damaged one: it has a content all the same.
        Ok(None) | Err(_) => hash(&mut file),
    }
}

/// The id in the notes of an ELF file of 64 bits, in the byte order of this machine.
fn linked(file: &mut File) -> io::Result<Option<String>> {
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    if head[..5] != *b"\x7fELF\x02" {
        return Ok(None);
    }
    let (table, size, count) = (long(&head, 32), short(&head, 54), short(&head, 56));
    for n in 0..u64::from(count) {
        let mut segment = [0; 56];
        file.seek(SeekFrom::Start(table.saturating_add(n * u64::from(size))))?;
        file.read_exact(&mut segment)?;
        if word(&segment, 0) != NOTES {
            continue;
        }
        let mut notes = Vec::new();
        file.seek(SeekFrom::Start(long(&segment, 8)))?;
        file.take(long(&segment, 32).min(LARGEST)).read_to_end(&mut notes)?;
        if let Some(id) = in_notes(&notes) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Each note has the lengths of its name and its content, its kind, then both, filled up to four bytes.
fn in_notes(mut notes: &[u8]) -> Option<String> {
    while notes.len() >= 12 {
        let (name, content, kind) = (word(notes, 0) as usize, word(notes, 4) as usize, word(notes, 8));
        let begin = 12 + name.next_multiple_of(4);
        let end = begin.checked_add(content)?;
        if kind == BUILD_ID && notes.get(12..12 + name)? == OWNER {
            return notes.get(begin..end).filter(|id| !id.is_empty()).map(hexadecimal);
        }
        notes = notes.get(end.next_multiple_of(4)..)?;
    }
    None
}

/// FNV-1a of the whole file.
fn hash(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let (mut hash, mut buffer) = (0xcbf2_9ce4_8422_2325_u64, vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{hash:016x}")),
            n => {
                hash = buffer[..n]
                    .iter()
                    .fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_content() {
        let dir = tempfile::tempdir().expect("a directory");
        let program = std::env::current_exe().expect("this program");
        let own = id(&program).expect("a build");
        assert_eq!(id(Path::new("/proc/self/exe")).expect("a build"), own);
        let copy = dir.path().join("copy");
        std::fs::copy(&program, &copy).expect("copied");
        assert_eq!(id(&copy).expect("a build"), own);
        for (text, other) in [("", "one"), ("one", "two"), ("\x7fELF\x02", "\x7fELF\x02 and more")] {
            std::fs::write(&copy, text).expect("written");
            let first = id(&copy).expect("a build");
            std::fs::write(&copy, other).expect("written");
            assert_ne!(first, id(&copy).expect("a build"), "{text} {other}");
        }
        id(&dir.path().join("absent")).expect_err("nothing is there");
    }

    #[test]
    fn the_id_is_found_among_other_notes() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let lengths = [name.len() as u32, content.len() as u32, kind].map(u32::to_ne_bytes).concat();
            let filled = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            };
            [lengths, filled(name), filled(content)].concat()
        };
        let notes = [note(b"GNU\0", 1, b"12345"), note(b"Go\0", 3, b"no"), note(b"GNU\0", 3, &[0xab, 1, 2])];
        assert_eq!(in_notes(&notes.concat()).as_deref(), Some("ab0102"));
        assert_eq!(in_notes(&notes[..2].concat()), None);
        assert_eq!(in_notes(&notes.concat()[..30]), None, "cut");
        assert_eq!(in_notes(&[0xff; 64]), None, "no notes");
    }
}
