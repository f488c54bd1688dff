//! The arguments of `mainstay database`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Database {
    /// Say which database it is, who says so, and how it is
    Status,
    /// Print the SQL that creates user and database, for the administrator of the database's server
    Sql,
    /// Move the data from SQLite, MySQL or MariaDB to PostgreSQL: every row counted and hashed on both sides, the old database untouched
    Move(MoveDatabase),
    /// Bring the PostgreSQL that Mainstay runs to another major version: a second cluster is filled, compared and used; the old one is kept
    Upgrade {
        /// The major version, such as 17, which must be installed [default: the newest one on this machine]
        #[arg(long, value_name = "MAJOR", allow_negative_numbers = true)]
        to: Option<u32>,
        /// Make the cluster anew even if it is of that version already: it is smaller afterwards, without dead rows
        #[arg(long)]
        rebuild: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Delete the databases that a move or an upgrade of PostgreSQL has kept
    Prune {
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MoveDatabase {
    /// `managed` (a PostgreSQL that Mainstay runs), or a file with the address of a database; "-" reads the address from stdin
    /// [default: the database that mainstay.toml or the environment names]
    #[arg(long, value_name = "WHERE")]
    pub to: Option<String>,
    /// Cut texts that are too long for their columns, remove NUL characters, and make NULL empty, zero or false where it may not be; each
    /// such row is named
    #[arg(long)]
    pub repair: bool,
    /// Leave this table, or this column as TABLE.COLUMN, behind; may be given several times
    #[arg(long, value_name = "NAME")]
    pub leave_out: Vec<String>,
    /// Create user and database if they are missing, as the administrator whose address FILE holds ("-" reads it from stdin)
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub create_database: Option<Option<PathBuf>>,
    /// Install PostgreSQL from the distribution where `--to managed` needs it and it is missing
    #[arg(long)]
    pub install_packages: bool,
    /// How long to wait for a database server that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..))]
    pub wait: u64,
    #[command(flatten)]
    pub change: Change,
}
