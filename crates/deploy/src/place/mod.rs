//! Where a deployment lives: its directory, on a machine or in a container.

pub(crate) mod commands;
pub mod container;
pub(crate) mod ground;
pub(crate) mod holder;
pub(crate) mod layout;
pub(crate) mod local_socket;
pub(crate) mod machine;

use std::path::Path;
use std::time::Duration;

use settings::Defaults;

/// Where a deployment lives. Everything that differs between the two is answered here; no other code asks which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A directory of a machine.
    Machine,
    /// A container, with its one volume and the release in its image.
    Container,
}

impl Place {
    /// Whether the image decides which release runs, so that replacing the container is the upgrade.
    pub fn image_decides_release(self) -> bool {
        self == Self::Container
    }

    /// Whether what was decided once is kept in `mainstay.toml`. In a container, image and environment decide anew at each start.
    pub(crate) fn keeps_decisions(self) -> bool {
        self == Self::Machine
    }

    /// Whether programs run from the deployment's own directory, and not from an image.
    pub(crate) fn runs_from_directory(self) -> bool {
        self == Self::Machine
    }

    /// The write bits by which strangers could change a directory. In a container everything runs as one user, and orchestrators
    /// open volumes to its group (Kubernetes' `fsGroup`).
    pub(crate) fn strangers_write(self) -> u32 {
        match self {
            Self::Machine => 0o022,
            Self::Container => 0o002,
        }
    }

    /// Whether the server may run without a site URL: people type the address of the host, which nothing here knows.
    pub(crate) fn may_lack_site_url(self) -> bool {
        self == Self::Container
    }

    /// The command that sets the administrator's password, where people look for it in a log and not in a file.
    pub fn password_command(self) -> Option<&'static str> {
        (self == Self::Container).then_some("docker exec CONTAINER mainstay admin reset-password")
    }

    /// The defaults at the bottom: a container may take over one of docker-mattermost's.
    pub(crate) fn defaults(self) -> Defaults {
        match self {
            Self::Machine => Defaults::Release,
            Self::Container => Defaults::DockerMattermost,
        }
    }

    /// How somebody asks for an empty deployment where one was used, in words.
    pub(crate) fn start_empty(self) -> &'static str {
        match self {
            Self::Machine => "run `mainstay up --start-empty`",
            Self::Container => {
                "start the image once with the command `mainstay up --start-empty --foreground`"
            }
        }
    }

    /// How a damaged release in `root` is replaced, in words.
    pub(crate) fn unpack_again(self, root: &Path) -> String {
        match self {
            Self::Machine => format!(
                "remove it with `rm -r {}`, then run `mainstay up`, which unpacks it again; for another edition than `builtin` \
                 name the tarball with `--release FILE`",
                root.display()
            ),
            Self::Container => {
                "it is in the image: pull or build the image again, and replace the container".to_owned()
            }
        }
    }

    /// How long open requests may take to finish when everything is stopped; `None` = the edge's own limit.
    ///
    /// An engine kills a container ten seconds after it told it to stop, so requests and server share less.
    pub(crate) fn drain(self) -> Option<Duration> {
        (self == Self::Container).then_some(Duration::from_secs(3))
    }

    /// How long the server may take to stop after that; `None` = the supervisor's own limit.
    pub(crate) fn grace(self) -> Option<Duration> {
        (self == Self::Container).then_some(Duration::from_secs(5))
    }
}
