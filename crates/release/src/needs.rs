//! What a release needs of a machine, by version: known before anything of it is fetched.
use crate::arch::Arch;
use crate::edition::{Edition, ReleaseId};

type Numbers = (u32, u32, u32);

/// First version, and the oldest C library that it and later versions run on. Source: the changelog of 12.0. Nothing is published
/// for earlier versions: the server's own words count there.
const GLIBC: [(Numbers, (u32, u32)); 1] = [((12, 0, 0), (2, 34))];

/// What is needed and not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The kind of machine.
    #[error("releases of Mattermost are built for amd64 and arm64, and this machine is {here}")]
    Arch {
        /// What it is.
        here: &'static str,
    },
    /// The C library.
    #[error("{release} needs glibc {least}, and this machine has {here}")]
    Glibc {
        /// The release.
        release: ReleaseId,
        /// The oldest that it runs on.
        least: String,
        /// What is there.
        here: String,
    },
}

impl Unmet {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Arch { .. } => {
                "install it on such a machine; the built-in server (`--edition builtin`) runs here".to_owned()
            }
            Self::Glibc { .. } => "Debian 12, Ubuntu 22.04, RHEL 9 and later systems have it; on this one choose an earlier release, \
                                   such as `--version 11.7`, or a container image"
                .to_owned(),
        }
    }
}

/// What a machine lacks for a release. `glibc`: its version, `None` where there is none.
///
/// # Errors
/// It lacks something.
pub fn check(release: &ReleaseId, arch: Option<Arch>, glibc: Option<(u32, u32)>) -> Result<(), Unmet> {
    if release.edition == Edition::Builtin {
        return Ok(());
    }
    if arch.is_none() {
        return Err(Unmet::Arch { here: std::env::consts::ARCH });
    }
    let least = GLIBC.iter().rev().find(|(since, _)| release.version.numbers() >= *since);
    match least {
        Some((_, least)) if glibc.is_none_or(|here| here < *least) => Err(Unmet::Glibc {
            release: release.clone(),
            least: in_words(*least),
            here: glibc.map_or("another C library".to_owned(), in_words),
        }),
        _ => Ok(()),
    }
}

fn in_words((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_at_its_edges() {
        let lacks = |release: &str, arch, glibc| {
            check(&release.parse().unwrap(), arch, glibc).err().map(|unmet| unmet.to_string())
        };
        let amd = Some(Arch::Amd64);
        assert_eq!(lacks("11.11.0-team", amd, Some((2, 31))), None);
        assert_eq!(lacks("11.11.0-team", amd, None), None);
        assert_eq!(lacks("12.0.2-team", amd, Some((2, 34))), None);
        assert_eq!(lacks("12.0.2-enterprise", Some(Arch::Arm64), Some((3, 0))), None);
        let old = lacks("12.0.2-team", amd, Some((2, 31))).unwrap();
        assert_eq!(old, "12.0.2-team needs glibc 2.34, and this machine has 2.31");
        assert!(lacks("12.0.2-team", amd, None).unwrap().contains("another C library"));
        assert!(lacks("11.7.15-team", None, None).unwrap().contains("amd64 and arm64"));
        assert_eq!(lacks("11.6.0+0.1.0-builtin", None, None), None);
    }
}
