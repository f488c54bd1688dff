//! Where a built image goes.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oci::Layout;

use crate::error::{Error, reason};

/// Where a built image goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A directory: an OCI image layout, which can be pushed.
    Layout(PathBuf),
    /// A file that `docker load`, `podman load` and OCI tools read.
    Archive(PathBuf),
    /// A directory for `docker build`: a Dockerfile and the root file system that it adds.
    Context(PathBuf),
    /// The Docker engine that this machine's `docker` command uses.
    Docker,
}

impl Output {
    /// The directory to build in, on the same disk as the output; `temporary` when no file is kept.
    pub fn workplace(&self, temporary: &Path) -> PathBuf {
        match self {
            Self::Layout(path) | Self::Context(path) | Self::Archive(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                parent.unwrap_or(Path::new(".")).to_owned()
            }
            Self::Docker => temporary.to_owned(),
        }
    }

    /// Checks before the build that the image can be delivered after it.
    ///
    /// # Errors
    /// The output exists already; there is no `docker` command, or its engine does not answer.
    pub fn check(&self) -> Result<(), Error> {
        let taken = |path: &Path| {
            Error::not_ready(format!("{} exists already", path.display()))
                .hint("remove it, or choose another place with `--output`")
        };
        match self {
            Self::Layout(path) | Self::Context(path) => {
                let empty = fs::read_dir(path).is_ok_and(|mut found| found.next().is_none());
                if fs::symlink_metadata(path).is_ok() && !empty { Err(taken(path)) } else { Ok(()) }
            }
            Self::Archive(path) if fs::symlink_metadata(path).is_ok() => Err(taken(path)),
            Self::Archive(_) => Ok(()),
            Self::Docker => {
                let answer =
                    Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
                let answer = answer.map_err(|error| no_client(&error))?;
                if answer.status.success() { Ok(()) } else { Err(refused(&answer.stderr)) }
            }
        }
    }

    /// Moves a layout that was built in `scratch` to its place.
    pub(super) fn deliver(&self, layout: &Layout, scratch: &Path) -> Result<(), Error> {
        match self {
            Self::Layout(path) => {
                let made = scratch.join("layout");
                fs::rename(made, path).map_err(|error| Error::path("write", path, &error))
            }
            Self::Archive(path) => {
                let failed = |error: io::Error| Error::path("write", path, &error);
                let file = tempfile::NamedTempFile::new_in(scratch).map_err(failed)?;
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                rustix::fs::fchmod(file.as_file(), mode).map_err(|error| failed(error.into()))?;
                layout.write_archive(io::BufWriter::with_capacity(256 * 1024, file.as_file()))?;
                file.persist_noclobber(path).map(drop).map_err(|error| failed(error.error))
            }
            Self::Docker => load(layout),
            // `context` has written it.
            Self::Context(_) => Ok(()),
        }
    }
}

/// Runs `docker load` with the archive on its standard input, so that the archive takes no disk space.
fn load(layout: &Layout) -> Result<(), Error> {
    let docker = Command::new("docker")
        .args(["load", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut docker = docker.map_err(|error| no_client(&error))?;
    let (stdin, stderr) = (docker.stdin.take(), docker.stderr.take());
    let complaints = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stderr.map(|stderr| stderr.take(LONGEST).read_to_end(&mut said));
        said
    });
    let written = match stdin {
        // Dropping it at the end tells docker that the archive is complete.
        Some(stdin) => layout.write_archive(stdin).map(drop),
        None => Ok(()),
    };
    let status = docker.wait().map_err(|error| Error::path("wait for", "docker", &error))?;
    let said = complaints.join().unwrap_or_default();
    // When docker stops reading, its own message is the cause.
    if !status.success() {
        return Err(refused(&said));
    }
    Ok(written?)
}

/// How much of docker's error output is read, in bytes.
const LONGEST: u64 = 16 * 1024;

fn no_client(error: &io::Error) -> Error {
    Error::not_ready(format!("cannot run `docker`: {}", reason(error))).hint(
        "install the `docker` command, or write a file with `--output FILE.tar` and load it on the machine with Docker: `docker load --input FILE.tar`",
    )
}

fn refused(said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it gives no reason");
    Error::not_ready(format!("Docker did not accept the image: {}", last.trim())).hint(
        "`docker info` must work for this user with the current DOCKER_HOST or context; or write a file with `--output FILE.tar`",
    )
}
