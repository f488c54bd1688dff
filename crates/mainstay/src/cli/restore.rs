//! The command line of `restore`.

use std::path::PathBuf;

use clap::Args;

use super::Change;

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The snapshot: the beginning of its id, `latest`, or a moment such as 2026-11-27T14:30: the newest that was taken by then
    #[arg(value_name = "SNAPSHOT", default_value = "latest")]
    pub snapshot: String,
    /// The repository, where it is not the deployment's own: a directory, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "REPOSITORY")]
    pub repository: Option<String>,
    /// The file with the repository's key [default: DIR/backup.key]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Write a part of the snapshot into `--into` and touch no deployment: `database`, `files`, `channel NAME`, or the name, the id or the
    /// path of a file
    #[arg(long, value_name = "PART", num_args = 1..=2, requires = "into")]
    pub only: Vec<String>,
    /// The directory for `--only`
    #[arg(long, value_name = "DIR", requires = "only")]
    pub into: Option<PathBuf>,
    /// Where there is no deployment yet: where to answer [default: as in the snapshot]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "A new deployment")]
    pub listen: Option<host::Listen>,
    /// The address people type [default: as in the snapshot]
    #[arg(long, value_name = "URL", help_heading = "A new deployment")]
    pub site_url: Option<String>,
    /// The system user that the server runs as (root only) [default: as in the snapshot]
    #[arg(long, value_name = "NAME", help_heading = "A new deployment")]
    pub user: Option<String>,
    /// Who runs the database: `managed` is a PostgreSQL that Mainstay runs [default: as in the snapshot]
    #[arg(long, value_name = "WORD", help_heading = "A new deployment")]
    pub database: Option<String>,
    /// Install from this tarball [default: the cache, or the makers' site]
    #[arg(long, value_name = "FILE", help_heading = "A new deployment")]
    pub release: Option<PathBuf>,
    /// Where PostgreSQL is needed and missing, install it from the distribution (apt-get or dnf)
    #[arg(long, help_heading = "A new deployment")]
    pub install_packages: bool,
    /// Do not start it when the machine starts
    #[arg(long, help_heading = "A new deployment")]
    pub no_boot: bool,
    /// Create user and database if they are missing, as the administrator whose address FILE holds
    #[arg(long, value_name = "FILE", num_args = 0..=1, help_heading = "A new deployment")]
    pub create_database: Option<Option<PathBuf>>,
    /// A copy that lets nothing out of the machine: what a drill restores
    #[arg(long, hide = true)]
    pub scratch: bool,
    /// The edition of the tarball, where a rehearsal changes it
    #[arg(long, hide = true, requires = "scratch")]
    pub edition: Option<::release::Edition>,
    /// What a rehearsed release may remove
    #[arg(long, hide = true, requires = "scratch")]
    pub may_lose: Vec<String>,
    #[command(flatten)]
    pub change: Change,
}
