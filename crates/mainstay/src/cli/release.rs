//! `mainstay release`, as data.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use release::{Edition, Store};

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Say which releases are unpacked here, and which is active
    List,
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
