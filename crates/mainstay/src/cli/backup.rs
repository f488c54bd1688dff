//! `mainstay backup`, as data.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Make a snapshot of database, files and settings, while the server runs
    Create(BackupCreate),
    /// List the snapshots, oldest first
    List(Repository),
    /// Say what is in a snapshot
    Show(BackupShow),
    /// Prove that what is in the repository can be restored, and that the newest snapshot has every file that the database knows
    Check(BackupCheck),
    /// Prove a snapshot: restore it into a scratch deployment on this machine, start it, test it, compare it, and remove it
    Drill(BackupDrill),
    /// Remove the snapshots that no rule keeps, and free the space of what no snapshot needs
    Prune(BackupPrune),
    /// Make a repository that has lost parts fit for new snapshots, and name the snapshots that have lost data
    Repair(BackupRepair),
    /// The key of the backups: without it nobody restores
    #[command(subcommand)]
    Key(BackupKey),
}

impl Backup {
    /// Whether it is about the deployment, and not about a repository that is named.
    pub(crate) fn is_of_deployment(&self) -> bool {
        match self {
            Self::Create(_) | Self::Drill(_) | Self::Prune(_) | Self::Repair(_) | Self::Key(_) => true,
            Self::List(named)
            | Self::Show(BackupShow { named, .. })
            | Self::Check(BackupCheck { named, .. }) => named.repository.is_none(),
        }
    }
}

/// Which repository.
#[derive(Debug, Clone, Args)]
pub(crate) struct Repository {
    /// The repository, a directory or s3://BUCKET/PREFIX [default: the deployment's own, as `[backup]` in mainstay.toml says]
    #[arg(long, value_name = "PLACE")]
    pub repository: Option<String>,
    /// The file with its key [default: backup.key in the deployment's directory]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl From<Repository> for deploy::Elsewhere {
    fn from(Repository { repository, key_file }: Repository) -> Self {
        // A path is one of where the command was typed.
        let whole = |text: String| match text.contains("://") {
            true => text,
            false => std::path::absolute(&text)
                .map_or_else(|_| text.clone(), |path| path.to_string_lossy().into_owned()),
        };
        Self { repository: repository.map(whole), key_file }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupCreate {
    /// Also keep the files of the release, so that a restore needs no download
    #[arg(long)]
    pub with_release: bool,
    /// Take over the lock of the repository that another host left
    #[arg(long)]
    pub take_over_lock: bool,
    /// A copy of the key is elsewhere, although it was not made with `backup key export`
    #[arg(long)]
    pub i_have_the_key: bool,
    /// Begin an empty repository where the one that was used is gone
    #[arg(long)]
    pub new_repository: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct BackupShow {
    /// The first digits of its id, or `latest`
    #[arg(value_name = "SNAPSHOT", default_value = "latest")]
    pub snapshot: String,
    /// Also list every file
    #[arg(long)]
    pub files: bool,
    #[command(flatten)]
    pub named: Repository,
}

#[derive(Debug, Args)]
pub(crate) struct BackupCheck {
    /// Read so many of 100 packs in full, chosen by chance; 100 misses no flipped bit. Indexes and snapshots are always read
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub read_data: u8,
    /// Compare the files of the newest snapshot with the deployment's database, also for a repository that is named
    #[arg(long, conflicts_with = "no_files")]
    pub files: bool,
    /// Do not compare them
    #[arg(long)]
    pub no_files: bool,
    #[command(flatten)]
    pub named: Repository,
}

#[derive(Debug, Args)]
pub(crate) struct BackupDrill {
    /// The snapshot: the beginning of its id, `latest`, or a moment such as 2026-11-27T14:30: the newest that was taken by then
    #[arg(long, value_name = "SNAPSHOT", default_value = "latest")]
    pub snapshot: String,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct BackupPrune {
    /// Keep so many of the newest [default: `keep_last` of `[backup]` in mainstay.toml]
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u16>,
    /// Keep the newest of so many days [default: `keep_daily`]
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u16>,
    /// Keep the newest of so many weeks [default: `keep_weekly`]
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u16>,
    /// Keep the newest of so many months [default: `keep_monthly`]
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u16>,
    /// Keep the newest of so many years [default: `keep_yearly`]
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<u16>,
    /// Free at once what somebody may still be reading: for a full disk, when nobody else uses the repository
    #[arg(long)]
    pub at_once: bool,
    /// Take over the lock of the repository that another host left
    #[arg(long)]
    pub take_over_lock: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct BackupRepair {
    /// Read every pack, to find those whose content has changed, too
    #[arg(long)]
    pub read_all: bool,
    /// Also remove the snapshots that have lost data, with what is left of them
    #[arg(long)]
    pub forget: bool,
    /// Take over the lock of the repository that another host left
    #[arg(long)]
    pub take_over_lock: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupKey {
    /// Make the key, where there is none
    Create {
        #[command(flatten)]
        change: Change,
    },
    /// Print the key, or write it to a file, to be kept where this machine's disk is not
    Export {
        /// The file, which must not exist; it is made for its owner alone
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}
