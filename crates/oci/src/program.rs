//! Whether a program can start in an image, which may have no dynamic loader and no shell.
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

use crate::entry::Content;
use crate::error::OciError;
use crate::stack::Stack;

/// A processor architecture, by the name that images use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

impl Architecture {
    /// The architecture of this machine.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 };

    /// Its name in an image: `amd64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What the kernel reads from the first bytes of an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The processor; `None` for a script, and for processors other than [`Architecture`] lists.
    pub architecture: Option<Architecture>,
    /// The dynamic loader or script interpreter that must be in the image; `None` for a static program.
    pub interpreter: Option<String>,
}

impl Program {
    /// Reads the executable at `path` on this machine. Fails for a file that is neither ELF nor a script.
    pub fn read(path: &Path) -> Result<Self, OciError> {
        let failed = |e| OciError::disk("read", path, e);
        let file = File::open(path).map_err(failed)?;
        head(file).map_err(failed)?.ok_or_else(|| OciError::Program {
            path: path.display().to_string(),
            why: "it is neither an ELF program nor a script".to_owned(),
        })
    }
}

/// Refuses an image whose first process cannot start. A name without a leading slash is not checked: the runtime
/// looks it up in `PATH`.
pub(crate) fn check(name: &str, architecture: Architecture, stack: &Stack<'_>) -> Result<(), OciError> {
    if !name.starts_with('/') {
        return Ok(());
    }
    let refuse = |why: String| Err(OciError::Program { path: name.to_owned(), why });
    let Some(entry) = stack.follow(name) else {
        return refuse("no layer has it".to_owned());
    };
    if entry.mode & 0o111 == 0 {
        return refuse(format!("its mode is {:o}: nobody may execute it", entry.mode));
    }
    let program = match &entry.content {
        Content::File(source) => Program::read(source)?,
        Content::Bytes(bytes) => match head(Cursor::new(bytes)) {
            Ok(Some(program)) => program,
            _ => return refuse("it is neither an ELF program nor a script".to_owned()),
        },
        Content::Directory | Content::Symlink(_) => return refuse("it is a directory".to_owned()),
    };
    if let Some(found) = program.architecture
        && found != architecture
    {
        return refuse(format!("it is built for {}, the image for {}", found.name(), architecture.name()));
    }
    match program.interpreter {
        Some(interpreter) if stack.follow(&interpreter).is_none() => refuse(format!(
            "it needs {interpreter}, which no layer has; link it statically, or add that file and its libraries"
        )),
        _ => Ok(()),
    }
}

// Sizes and values of the ELF header and the program headers.
const ELF_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const MACHINE_AMD64: u16 = 62;
const MACHINE_ARM64: u16 = 183;
const PT_INTERP: u32 = 3;
/// Longer than any path the kernel takes.
const LONGEST_PATH: u64 = 4096;

/// `None` for a file that is not an executable.
fn head(mut file: impl Read + Seek) -> io::Result<Option<Program>> {
    let mut head = Vec::with_capacity(256);
    file.by_ref().take(256).read_to_end(&mut head)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = String::from_utf8_lossy(line.split(|c| *c == b'\n').next().unwrap_or_default());
        let interpreter = line.split_whitespace().next().map(str::to_owned);
        return Ok(interpreter.map(|path| Program { architecture: None, interpreter: Some(path) }));
    }
    // 64 bits, little-endian, as both architectures are.
    if head.len() < ELF_HEADER || !head.starts_with(b"\x7fELF\x02\x01") {
        return Ok(None);
    }
    let architecture = match u16_at(&head, 18) {
        MACHINE_AMD64 => Some(Architecture::Amd64),
        MACHINE_ARM64 => Some(Architecture::Arm64),
        _ => None,
    };
    let (table, size, count) = (u64_at(&head, 32), u16_at(&head, 54), u16_at(&head, 56));
    let mut header = [0; PROGRAM_HEADER];
    for index in 0..u64::from(count) {
        file.seek(SeekFrom::Start(table.saturating_add(index * u64::from(size))))?;
        file.read_exact(&mut header)?;
        if u32_at(&header, 0) == PT_INTERP {
            let mut path = Vec::new();
            file.seek(SeekFrom::Start(u64_at(&header, 8)))?;
            file.take(u64_at(&header, 32).min(LONGEST_PATH)).read_to_end(&mut path)?;
            let path = String::from_utf8_lossy(&path).trim_end_matches('\0').to_owned();
            return Ok(Some(Program { architecture, interpreter: Some(path) }));
        }
    }
    Ok(Some(Program { architecture, interpreter: None }))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_needs_its_interpreter() {
        let program = head(Cursor::new(b"#! /bin/sh -e\nexit\n")).unwrap().unwrap();
        assert_eq!(program.interpreter.as_deref(), Some("/bin/sh"));
    }

    #[test]
    fn this_test_program_needs_a_dynamic_loader() {
        let program = Program::read(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(program.architecture, Some(Architecture::NATIVE));
        assert!(program.interpreter.unwrap().contains("ld-"));
    }

    #[test]
    fn damaged_elf_headers_do_not_panic() {
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap()[..600].to_vec();
        for end in 0..elf.len() {
            if let Ok(Some(program)) = head(Cursor::new(&elf[..end])) {
                assert!(end >= ELF_HEADER, "{program:?}");
            }
        }
        let mut far = elf;
        far[32..40].fill(0xff);
        assert!(head(Cursor::new(far)).is_err());
    }
}
