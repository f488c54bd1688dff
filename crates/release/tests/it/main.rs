//! Releases: packed, unpacked, and archives that should not be.
#![allow(clippy::unwrap_used)]

/// What needs root or GnuPG: `cargo xtask test --quick` skips it.
mod full {
    mod disk;
    mod gnupg;
}
mod fetch;
mod hostile;
mod journey;
mod tarball;
mod whole;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What confines servers, as the binary would provide it: this executable, as the test `confine`.
pub(crate) fn confining() -> host::Shim {
    let args = ["confine", "--exact", "--nocapture", "--quiet", "--test-threads=1"];
    host::Shim { program: "/proc/self/exe".into(), args: args.map(OsString::from).to_vec() }
}

#[test]
fn confine() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some(at) = args.iter().position(|arg| arg == "--") else {
        return assert_eq!(confining().args[0], "confine");
    };
    let limit = Duration::from_secs(args[at - 1].to_str().unwrap().parse().unwrap());
    host::confine::enter(Path::new(&args[at - 3]), Path::new(&args[at - 2]), limit, &args[at + 1..]).unwrap();
}

/// A server that says what `mattermost version` of the built-in server says.
pub(crate) fn builtin_binary(dir: &Path) -> PathBuf {
    let id = release::builtin();
    let script = format!(
        "#!/bin/sh\nprintf 'Version: 11.6.0\\nBuild Number: {}\\nBuild Enterprise Ready: false\\nEdition: builtin\\n'\nexit 0\n",
        id.version.build.unwrap()
    );
    write_program(&dir.join("mainstay"), script.as_bytes())
}

pub(crate) fn write_program(path: &Path, text: &[u8]) -> PathBuf {
    fs::File::create(path).unwrap().write_all(text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_path_buf()
}

/// Names of all files, sorted; directories end in `/`.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let slash = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().into_string().unwrap())
        })
        .collect();
    names.sort();
    names
}
