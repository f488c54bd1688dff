//! Where a deployment lives: its directory, on a machine or in a container.

pub(crate) mod commands;
pub mod container;
pub(crate) mod ground;
pub(crate) mod holder;
pub(crate) mod layout;
pub(crate) mod local_socket;
pub(crate) mod machine;
pub(crate) mod package_manager;
pub(crate) mod postgres;

use std::path::Path;
use std::time::Duration;

use finding::{Hint, hint};
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

    /// Whether Mainstay can run a database of its own here. A container runs one program and its image has no PostgreSQL: there the
    /// database is another container.
    pub(crate) fn runs_database(self) -> bool {
        self == Self::Machine
    }

    /// Whether what lies in the root file system is lost sooner or later: a container is replaced, a machine is not.
    pub(crate) fn loses_its_root(self) -> bool {
        self == Self::Container
    }

    /// Whether the server may run without a site URL: people type the address of the host, which nothing here knows.
    pub(crate) fn may_lack_site_url(self) -> bool {
        self == Self::Container
    }

    /// What is said where the server runs as root: `wanted` is the user that mainstay.toml names. `is_root` tells it of a name, and of this
    /// process for `None`.
    fn root_warning(self, wanted: Option<&str>, is_root: impl Fn(Option<&str>) -> bool) -> Option<String> {
        let danger = "whoever breaks into the server has the rights of root";
        match self {
            Self::Machine => wanted.filter(|name| is_root(Some(name))).map(|name| {
                format!(
                    "the server runs as root, because `user` in mainstay.toml is `{name}`: {danger}; leave `user` out, and it gets a \
                     user of its own"
                )
            }),
            Self::Container => is_root(None).then(|| {
                format!(
                    "everything in this container runs as root, because USERMAP_UID is 0: {danger} in this container and on its \
                     volume; leave USERMAP_UID out for user 2000, or name the volume's owner with it"
                )
            }),
        }
    }

    /// The same for what is really so here.
    pub fn runs_as_root(self, wanted: Option<&str>) -> Option<String> {
        self.root_warning(wanted, |name| {
            let user = match name {
                Some(name) => host::User::named(name),
                None => host::User::current(),
            };
            user.is_ok_and(|user| user.is_root())
        })
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

    /// How a release that is missing comes back, in words.
    pub(crate) fn bring_release_back(self) -> &'static str {
        match self {
            Self::Machine => {
                "put it back, or run `mainstay up`, which unpacks it again; for another edition than `builtin` name the tarball with \
                 `--release FILE`"
            }
            Self::Container => "it is in the image: pull or build the image again, and replace the container",
        }
    }

    /// How a damaged release in `root` is replaced, in words.
    pub(crate) fn unpack_again(self, root: &Path) -> Hint {
        match self {
            Self::Machine => hint!(
                "remove it with `rm -r {}`, then run `mainstay up`, which unpacks it again; for another edition than `builtin` \
                 name the tarball with `--release FILE`",
                root.display()
            ),
            Self::Container => {
                "it is in the image: pull or build the image again, and replace the container".into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_runs_as_root_is_told() {
        let root = |name: Option<&str>| name.is_none_or(|name| name == "root");
        let container = Place::Container.root_warning(None, root).expect("it is told");
        assert!(container.contains("USERMAP_UID"), "{container}");
        assert_eq!(Place::Container.root_warning(None, |_| false), None);
        // On a machine the agent is root, and the server is not.
        assert_eq!(Place::Machine.root_warning(None, root), None);
        assert_eq!(Place::Machine.root_warning(Some("mattermost"), root), None);
        assert!(Place::Machine.root_warning(Some("root"), root).is_some_and(|told| told.contains("`user`")));
    }
}
