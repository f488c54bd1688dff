//! Where a built image goes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::tool::{End, NO_LIMIT, Tool, ToolError};
use oci::Layout;

use crate::error::Error;

/// Where a built image goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A directory: an OCI image layout, which can be pushed.
    Layout(PathBuf),
    /// A file that `docker load`, `podman load` and OCI tools read.
    Archive(PathBuf),
    /// A directory for `docker build`: a Dockerfile and the root file system that it adds.
    Context {
        /// The directory.
        dir: PathBuf,
        /// The image to build on; `None` = nothing.
        base: Option<String>,
    },
    /// The Docker engine that this machine's `docker` command uses.
    Docker,
}

impl Output {
    /// The directory to build in, on the same disk as the output; `temporary` when no file is kept.
    pub fn workplace(&self, temporary: &Path) -> PathBuf {
        match self {
            Self::Layout(path) | Self::Context { dir: path, .. } | Self::Archive(path) => {
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
            Self::Layout(path) | Self::Context { dir: path, .. } => {
                let empty = fs::read_dir(path).is_ok_and(|mut found| found.next().is_none());
                if fs::symlink_metadata(path).is_ok() && !empty { Err(taken(path)) } else { Ok(()) }
            }
            Self::Archive(path) if fs::symlink_metadata(path).is_ok() => Err(taken(path)),
            Self::Archive(_) => Ok(()),
            Self::Docker => {
                let version = docker(LIMIT).args(["version", "--format", "{{.Server.Version}}"]);
                version.run_blocking().map(drop).map_err(|error| failed(&error))
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
            Self::Context { .. } => Ok(()),
        }
    }
}

/// Runs `docker load` with the archive on its standard input, so that the archive takes no disk space.
fn load(layout: &Layout) -> Result<(), Error> {
    let mut written = Ok(());
    docker(NO_LIMIT)
        .args(["load", "--quiet"])
        .feed(|stdin| {
            written = layout.write_archive(stdin).map(drop);
            Ok(())
        })
        .run_blocking()
        // When docker stops reading, its own message is the cause.
        .map_err(|error| failed(&error))?;
    Ok(written?)
}

/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// The `docker` command, which reads its context and its account from the user's environment.
fn docker<'a>(limit: Duration) -> Tool<'a> {
    Tool::new("docker", limit).inherit_environment()
}

fn failed(error: &ToolError) -> Error {
    match &error.end {
        End::NotStarted { source, .. } => no_client(source),
        End::TooLong(limit) => refused(&format!("it did not answer within {} s", limit.as_secs())),
        _ => refused(error.last_line().unwrap_or("it gives no reason")),
    }
}

fn no_client(error: &io::Error) -> Error {
    Error::not_ready(format!("cannot run `docker`: {}", finding::disk::reason(error))).hint(
        "install the `docker` command, or write a file with `--output FILE.tar` and load it on the machine with Docker: `docker load --input FILE.tar`",
    )
}

fn refused(why: &str) -> Error {
    Error::not_ready(format!("Docker did not accept the image: {why}")).hint(
        "`docker info` must work for this user with the current DOCKER_HOST or context; or write a file with `--output FILE.tar`",
    )
}
