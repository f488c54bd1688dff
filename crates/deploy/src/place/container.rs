//! A deployment in a container: docker-mattermost's volume and `VERSION`, the image's release, and who it runs as.
//!
//! The image decides the release, so replacing the container is the upgrade. Whether the volume may go to that release is
//! decided here, before anything is touched.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use container_contract::{GID, UID, VARIABLE, VOLUME};
use release::{Path as Way, ReleaseId, Stop};
use settings::Wanted;
use version::Version;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// What a volume that docker-mattermost 2.x used is taken for: it kept no `VERSION` yet.
const BEFORE_VERSION_FILES: Version = Version::new(2, 0, 0);

/// A `VERSION` is not longer, in bytes.
const VERSION_LIMIT: u64 = 256;

/// Whether these variables are a container's.
pub fn is_container(variables: &BTreeMap<String, String>) -> bool {
    variables.get(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// User and group id to run as: USERMAP_UID and USERMAP_GID, otherwise Mattermost's own.
///
/// # Errors
/// One of them is no id.
pub fn run_as(variables: &BTreeMap<String, String>) -> Result<(u32, u32), Error> {
    let id = |name: &str, default: u32| match variables.get(name).filter(|value| !value.is_empty()) {
        None => Ok(default),
        // The kernel's own "none".
        Some(text) => text.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(|| {
            Error::new(
                Exit::Settings,
                format!("environment: `{name}` is `{text}`; allowed: a number from 0 to {}", u32::MAX - 1),
            )
        }),
    };
    Ok((id("USERMAP_UID", UID)?, id("USERMAP_GID", GID)?))
}

/// The release in the image.
///
/// # Errors
/// There is none; `mainstay.toml` wants another.
pub(crate) fn image_release(layout: &Layout, wanted: &Wanted) -> Result<ReleaseId, Error> {
    let found = release::installed(&layout.releases())?.pop().ok_or_else(|| {
        Error::not_ready(format!("there is no release in {}", layout.releases().display()))
            .hint("this is no image of Mainstay's; make one with `mainstay image build`")
    })?;
    let (edition, version) = (found.edition.to_string(), found.version.to_string());
    for (key, has) in [("edition", edition), ("version", version)] {
        if let Some(wants) = wanted.get(key).filter(|wants| *wants != has) {
            let file = layout.wanted();
            return Err(Error::new(
                Exit::Refused,
                format!("{}: `{key}` is `{wants}`, and this image holds {found}", file.display()),
            )
            .hint(format!("take `{key}` out of the file: in a container the image decides")));
        }
    }
    Ok(found)
}

/// What `VERSION` must become, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionChange {
    /// What it says, if it is there.
    pub before: Option<String>,
}

/// Decides whether the volume may be used by a release; `None` = its `VERSION` says so already.
///
/// # Errors
/// It must not: with the way out.
pub(crate) fn volume_change(layout: &Layout, to: &ReleaseId) -> Result<Option<VersionChange>, Error> {
    let Some(path) = layout.volume_version() else { return Ok(None) };
    let text = match host::disk::read_guarded(&path, VERSION_LIMIT) {
        Ok(content) => Some(String::from_utf8_lossy(&content.bytes).into_owned()),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let said = match &text {
        Some(text) => Some(text.trim().parse::<Version>().map_err(|_| {
            Error::new(
                Exit::Refused,
                format!("{} is `{}`, which is no version", path.display(), text.trim().escape_debug()),
            )
            .hint("write the version of the server that last used this volume into it, as in 9.11.3")
        })?),
        None => None,
    };
    let used = match said.clone() {
        Some(version) => Some(version),
        None if layout.root().exists() => release::current(&layout.current()).map(|current| current.version),
        None => holds_uploads()?.then_some(BEFORE_VERSION_FILES),
    };
    if let Some(used) = &used {
        allow(used, &to.version, said.is_none().then_some(path.as_path()))?;
    }
    Ok((said.as_ref() != Some(&to.version)).then_some(VersionChange { before: text }))
}

/// Which Mattermost used a container's volume, in words; `None` where none did, and outside a container.
///
/// # Errors
/// The volume cannot be read.
pub(crate) fn volume_used(layout: &Layout) -> Result<Option<String>, Error> {
    let Some(path) = layout.volume_version() else { return Ok(None) };
    match host::disk::read_guarded(&path, VERSION_LIMIT) {
        Ok(content) => Ok(Some(String::from_utf8_lossy(&content.bytes).trim().escape_debug().to_string())),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
            Ok((!layout.root().exists() && holds_uploads()?).then(|| "of docker-mattermost".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// A volume that the Mattermost `last` used, and no database is named: a start would be an empty one.
pub(crate) fn without_database(layout: &Layout, last: &str) -> Error {
    Error::new(
        Exit::Refused,
        format!(
            "{} was used by Mattermost {last}, and its database is not named: people would find an empty Mattermost",
            layout.data().display()
        ),
    )
    .hint(format!(
        "name the database with DB_HOST, DB_NAME, DB_USER and DB_PASS, or MM_SQLSETTINGS_DATASOURCE. To begin with an empty \
         Mattermost instead, {}: that moves the files to {} and deletes nothing",
        layout.place().start_empty(),
        layout.set_aside().display()
    ))
}

/// Whether anybody's files are in the volume.
fn holds_uploads() -> Result<bool, Error> {
    let entries = match std::fs::read_dir(VOLUME) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(|error| Error::path("read", VOLUME, &error))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| Error::path("read", VOLUME, &error))?.file_name();
        if may_be_uploads(&name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a server may have made this. A new file system brings `lost+found`; hidden names are those of file managers,
/// snapshots and version control (`.gitkeep`, `.snapshot`, `.DS_Store`): no server begins one with a dot.
pub(crate) fn may_be_uploads(name: &OsStr) -> bool {
    name != "lost+found" && !name.as_bytes().starts_with(b".")
}

/// The capabilities that root lacks for what it does before it gives root up. `volume_is_right`: nothing has to be given away.
pub(crate) fn lacking_capabilities(volume_is_right: bool) -> Vec<&'static str> {
    let identity = ["SETUID", "SETGID"];
    // To change owners, to look into directories of others, and to change the mode of what is another's by then.
    let files = ["CHOWN", "DAC_OVERRIDE", "FOWNER"];
    let needed = identity.iter().chain(files.iter().filter(|_| !volume_is_right));
    host::identity::lacking(needed.copied())
}

/// Refuses to begin as root with too few rights.
///
/// # Errors
/// All of those that are lacking, named.
pub(crate) fn has_capabilities(volume_is_right: bool, (uid, gid): (u32, u32)) -> Result<(), Error> {
    let lacking = lacking_capabilities(volume_is_right);
    if lacking.is_empty() {
        return Ok(());
    }
    let add: Vec<String> = lacking.iter().map(|name| format!("--cap-add {name}")).collect();
    let files =
        if volume_is_right { "" } else { "gives the volume to the user that everything runs as, and " };
    Err(Error::not_ready(format!(
        "this container runs as root without the capabilities {}: it {files}becomes user {uid}:{gid}",
        lacking.join(", ")
    ))
    .hint(format!(
        "add them to the `docker run` line: {}; or start it with `--user {uid}:{gid}` and a volume that belongs to that user",
        add.join(" ")
    )))
}

/// The rule, on data alone. `assumed` is where the version would be written, when it is only taken for granted.
fn allow(used: &Version, to: &Version, assumed: Option<&Path>) -> Result<(), Error> {
    let line = |stop: &Stop| format!("{}.{}", stop.version.major, stop.version.minor);
    let (what, way) = match release::path(used, to) {
        Way::Same | Way::Open => return Ok(()),
        Way::Older => (
            format!("this image holds the older {to}, and a downgrade is refused"),
            format!(
                "start an image with {used} or a later one; to go back, restore the database and the volume from a backup \
                 made before {used} was started"
            ),
        ),
        Way::Instead(stop) => (
            format!(
                "{to} cannot be started on what it wrote; {} is the first that {}",
                stop.version, stop.why
            ),
            format!("start an image with {} or a later one", stop.version),
        ),
        Way::Stops(stops) => (
            format!(
                "on the way to {to} there are versions that must not be skipped: {}",
                stops
                    .iter()
                    .map(|stop| format!("{} {}", line(stop), stop.why))
                    .collect::<Vec<_>>()
                    .join("; ")
            ),
            format!(
                "back up, then start images with the newest releases of {} in turn on this volume and its database, each \
                 until it is up, and then this one",
                stops.iter().map(line).collect::<Vec<_>>().join(", ")
            ),
        ),
    };
    let (what, way) = match assumed {
        None => (format!("{VOLUME} was last used by server {used}: {what}"), way),
        Some(path) => (
            format!("{VOLUME} holds files and no VERSION, as with docker-mattermost {used}: {what}"),
            format!(
                "{way}. If a later server used it, write that version into {}, as in `9.11.3`",
                path.display()
            ),
        ),
    };
    Err(Error::new(Exit::Refused, what).hint(way))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(used: &str, to: &str) -> Result<(), Error> {
        allow(&used.parse().expect("a version"), &to.parse().expect("a version"), None)
    }

    #[test]
    fn the_way_out_of_each_refusal_is_named() {
        for (used, to) in [("11.6.0", "11.6.0"), ("11.6.0+0.1.0", "11.6.0+0.2.0"), ("9.5.14", "11.7.15")] {
            allowed(used, to).expect("allowed");
        }
        for (used, to, what, way) in [
            ("11.7.0", "11.6.0", "a downgrade is refused", "11.7.0 or a later one"),
            ("2.0.0", "11.6.0", "must not be skipped", "3.1, 5.31, 5.37, 7.1 in turn"),
            ("10.11.23", "11.6.0", "cannot be started", "11.7.3 or a later one"),
        ] {
            let refused = allowed(used, to).expect_err("refused");
            assert_eq!(refused.exit, Exit::Refused);
            assert!(refused.what.contains(what), "{}", refused.what);
            let hint = refused.hint.expect("a way out");
            assert!(hint.contains(way), "{hint}");
        }
    }

    #[test]
    fn hidden_files_are_no_uploads() {
        for name in [".gitkeep", ".DS_Store", ".snapshot", "lost+found"] {
            assert!(!may_be_uploads(OsStr::new(name)), "{name}");
        }
        for name in ["20250101", "teams", "users", "brand"] {
            assert!(may_be_uploads(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn who_it_runs_as() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(run_as(&map(&[])).expect("valid"), (2000, 2000));
        assert_eq!(
            run_as(&map(&[("USERMAP_UID", "1000"), ("USERMAP_GID", "")])).expect("valid"),
            (1000, 2000)
        );
        for wrong in ["-1", "root", "4294967295", "99999999999"] {
            let refused = run_as(&map(&[("USERMAP_GID", wrong)])).expect_err("refused");
            assert_eq!(refused.exit, Exit::Settings);
            assert!(refused.what.contains("USERMAP_GID"), "{}", refused.what);
        }
    }
}
