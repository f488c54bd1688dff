//! `mainstay release`, as data.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use release::{Edition, Store};

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Say which releases are unpacked here, which is active, which are in the cache, and which can be had
    List,
    /// Bring a release into the cache, and prove it: by the signature of its makers, and by its SHA-256 where that is known
    Fetch(ReleaseFetch),
    /// Prove a release that was brought here, or every release in a directory; asks no site where the key is at hand
    Verify(ReleaseVerify),
    /// Delete unpacked releases that are neither active nor needed to go back
    Prune(ReleasePrune),
    /// Ask which releases there are by now, and keep the answer
    Refresh(ReleaseRefresh),
    /// Say which release lines Mattermost publishes, and until when each is supported
    Lines,
    /// Say how to get from one release to another: which releases must run in between, what the database needs, what changes
    Path(ReleasePath),
    /// Write the built-in server as a tarball in the official layout
    PackBuiltin {
        /// Where to [default: mattermost-VERSION-builtin-linux-ARCH.tar.gz in the current directory]
        #[arg(value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseFetch {
    /// Which: esr, latest, a line such as 11.7, or a version
    #[arg(value_name = "RELEASE", default_value = "esr")]
    pub release: String,
    /// The edition: team, entry or enterprise
    #[arg(long, default_value = "team", value_name = "EDITION")]
    pub edition: Edition,
    /// Also put it into this directory, for a machine without a network: the release, its signature, the key, Mainstay itself, and a
    /// README that says what to do there
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// The kind of machine that it is for: amd64 or arm64 [default: this one's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<release::Arch>,
    #[command(flatten)]
    pub source: Source,
    /// Print what would be done and do nothing
    #[arg(long)]
    pub plan: bool,
}

/// Where releases come from, and who signs them.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// A site with the same directories as Mattermost's own; may be given several times [default: release.mirror in mainstay.toml, or
    /// the makers' site]
    #[arg(long, value_name = "URL")]
    pub mirror: Vec<url::Url>,
    /// The file with the public key that signs [default: release.signing_key in mainstay.toml, or the one that is published]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The fingerprint of that key, where it is your own [default: release.fingerprint in mainstay.toml, or that of the makers]
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<release::Fingerprint>,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseVerify {
    /// A tarball with its signature beside it (FILE.sig), or a directory of such
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    #[command(flatten)]
    pub source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct ReleasePrune {
    /// How many to keep beside the active one; the one that was active before is always kept
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub keep: usize,
    /// Also empty the cache of fetched releases, but for those that are kept here
    #[arg(long)]
    pub cache: bool,
    /// Also delete what upgrades have kept for `mainstay rollback`: there is no way back after that
    #[arg(long)]
    pub give_up_rollback: bool,
    #[command(flatten)]
    pub change: super::Change,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseRefresh {
    /// The page with the checksums [default: the version archive of Mattermost's documentation]
    #[arg(long, value_name = "URL")]
    pub archive: Option<url::Url>,
    /// The release data in the form of endoflife.date [default: its own]
    #[arg(long, value_name = "URL")]
    pub lifecycle: Option<url::Url>,
    /// Print what would be kept, and keep nothing
    #[arg(long)]
    pub plan: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReleasePath {
    /// The release that wrote the data: a version such as 5.37.10, or a name such as 11.6.0+0.1.0-builtin
    pub from: String,
    /// Where to: esr, latest, a line such as 11.7, or a version
    #[arg(default_value = "esr")]
    pub to: String,
    /// The edition to go to: team, entry, enterprise
    #[arg(long, default_value = "team", value_name = "EDITION")]
    pub edition: Edition,
    /// Where the data is: postgres-13, mysql-5.7, mariadb, sqlite [default: the oldest PostgreSQL that FROM starts on]
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<Stored>,
    /// Stop at each extended support release: the way from each to the next is what Mattermost tests
    #[arg(long)]
    pub every_esr: bool,
    /// The config.json that says which notes apply [default: the deployment's own, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where data is, on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored(pub Store);

impl FromStr for Stored {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || "write postgres-MAJOR, such as postgres-14; mysql-5.7; mariadb; or sqlite".to_owned();
        let (engine, version) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self(match (engine, version) {
            ("sqlite", "") => Store::Sqlite,
            ("mariadb", _) => Store::Mariadb,
            // 9.6 is of the major version 9.
            ("postgres" | "postgresql", version) => {
                let major = version.split('.').next().and_then(|major| major.parse().ok());
                Store::Postgres(major.ok_or_else(refused)?)
            }
            ("mysql", version) => {
                let (major, minor) = version.split_once('.').ok_or_else(refused)?;
                let number = |text: &str| text.parse().map_err(|_| refused());
                Store::Mysql(number(major)?, number(minor.split('.').next().unwrap_or_default())?)
            }
            _ => return Err(refused()),
        }))
    }
}
