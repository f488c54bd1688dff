//! What our container image promises to the deployment that runs in it: paths, the variable that marks a container, the user.
//!
//! Promise: constants and nothing else. This crate has no dependencies, so everybody may use it.
//!
//! Why a crate: `container-image` writes these values into the image, `deploy` relies on them inside the container, and `oci` creates the
//! user. If they stood in `container-image`, `deploy` would have to build the image writer and the registry client.
//!
//! Rejected: passing the values to `container-image` as arguments. They are not the caller's choice: an image with other values does not
//! start.

/// Set to `1` in the image: a command that runs there works on the container's own deployment.
pub const VARIABLE: &str = "MAINSTAY_CONTAINER";

/// The directory of the release. docker-mattermost has it in the same place.
pub const HOME: &str = "/opt/mattermost";

/// The volume: everything that must survive the container. docker-mattermost keeps uploads in the same place.
pub const VOLUME: &str = "/opt/mattermost/data";

/// The second volume, which nothing needs but backups: snapshots in [`VOLUME`] would be lost with it.
pub const BACKUPS: &str = "/backups";

/// The directory with one link, named after the release, to [`HOME`].
pub const RELEASES: &str = "/opt/mainstay/releases";

/// The `mainstay` program.
pub const PROGRAM: &str = "/usr/bin/mainstay";

/// The user and the group that the deployment runs as. Every Mattermost image uses this name.
pub const USER: &str = "mattermost";

/// User id of [`USER`].
pub const UID: u32 = 2000;

/// Group id of [`USER`].
pub const GID: u32 = 2000;
