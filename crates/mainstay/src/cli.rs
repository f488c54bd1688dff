//! The command line, as data.

mod admin;
mod apps;
mod backup;
mod database;
mod history;
mod logs;
mod release;
mod restore;
mod security;
mod self_update;
mod upgrade;
mod verify;

mod image;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::apps::{
    AccountNames, AppLogs, Apps, AwsAccount, BundleSource, Call, Cloud, DeployApp, DeployApps, Functions,
    InstallApp, ListApps, Provision, RollbackApp, Run, Serve, Server, SwitchApp, UndeployApp, UninstallApp,
    Where,
};
pub(crate) use self::apps::{
    Convert as AppsConvert, Init as AppsInit, MakeBundle as AppsBundle, Terraform as AppsTerraform,
    TerraformData as AppsTerraformData, Validate as AppsValidate,
};
pub(crate) use admin::{Admin, Named, Password};
pub(crate) use backup::{
    Backup, BackupCheck, BackupCreate, BackupDrill, BackupKey, BackupPrune, BackupRepair, BackupShow,
};
pub(crate) use database::{Database, MoveDatabase};
pub(crate) use history::History;
pub(crate) use logs::{Logs, Part};
pub(crate) use release::{
    Release, ReleaseFetch, ReleasePath, ReleasePrune, ReleaseRefresh, ReleaseVerify, Source,
};
pub(crate) use restore::Restore;
pub(crate) use security::{Security, SecurityUpdate, SecurityWatch};
pub(crate) use self_update::{Recover, SelfUpdate};
pub(crate) use upgrade::{Rollback, Upgrade};
pub(crate) use verify::Verify;

pub(crate) use image::{
    Export, ExportCompose, IMAGE_DIR, Image, ImageBuild, ImageCompression, ImageFormat, ImagePush,
};

/// Installs, verifies and runs a Mattermost deployment.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version = crate::VERSION, max_term_width = 100)]
#[command(
    after_help = "Start with `mainstay up`. Exit codes: 0 done, 2 usage, 3 settings, 4 the machine is not ready, 5 not \
                        verified, 6 failed and undone, 7 needs you, 8 refused, 9 busy."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The deployment's directory [default: /var/lib/mainstay for root, otherwise ~/.local/share/mainstay]
    #[arg(long, global = true, env = "MAINSTAY_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print data as JSON on stdout, a document a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Also print cause chains and what happens inside
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// How a changing command is run.
#[derive(Debug, Clone, Args)]
pub(crate) struct Change {
    /// Print what would be done and do nothing
    #[arg(long)]
    pub plan: bool,
    /// Do not ask, and repair what can be repaired without a loss of data: a damaged journal is moved aside, and a run that another
    /// version of Mainstay began and this one cannot read is given up
    #[arg(long)]
    pub yes: bool,
    /// Why, for the history and for whoever finds the deployment busy
    #[arg(long, value_name = "TEXT", default_value = "asked for on the command line")]
    pub why: String,
    /// Fail at a step: STEP:before, STEP:after, STEP:undo
    #[arg(long, hide = true, value_name = "STEP:MOMENT")]
    pub inject_failure: Vec<String>,
    /// Die of SIGKILL at a step
    #[arg(long, hide = true, value_name = "STEP:MOMENT")]
    pub inject_kill: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Operation(Operation),
    /// Open a shell in the deployment as the server's user, with the server's commands on the path; or psql on its database
    Shell(Shell),
    /// Releases
    #[command(subcommand)]
    Release(Release),
    /// Mattermost Apps: check, bundle, run and deploy them
    #[command(subcommand)]
    Apps(Apps),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page for each command
    Man {
        /// Write the pages of all commands into this directory, as mainstay-COMMAND.1
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Print the versions of Mainstay and of its built-in server
    Version,
    /// Run the deployment's parts (started by `up`)
    #[command(hide = true)]
    Agent {
        /// Go on with what the program before this one, in the same process, has handed over
        #[arg(long)]
        handed_over: bool,
    },
    /// Run a container: what an image's ENTRYPOINT is
    Entrypoint(Entrypoint),
    /// Leave the session and become a program that goes on when its starter ends
    #[command(hide = true)]
    LeaveSession {
        /// The program and its arguments
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Become a program that dies with its parent
    #[command(hide = true)]
    HoldTo {
        /// A file that must hold something: without it the program is not started
        #[arg(long, value_name = "FILE")]
        needs: Option<PathBuf>,
        /// Only once this file is there
        #[arg(long, value_name = "FILE")]
        once: Option<PathBuf>,
        /// The process to die with
        parent: u32,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Become a program of a stranger, which has few rights and dies with its parent
    #[command(hide = true)]
    Guest {
        /// What it may do, as JSON
        rights: String,
        /// The process to die with
        parent: u32,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Run a program that may reach nothing, and report how it ended
    #[command(hide = true)]
    Confine {
        /// Its directory
        work: PathBuf,
        /// The file for the report
        report: PathBuf,
        /// How long it may take, in seconds
        seconds: u64,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Print a generated page
    #[command(hide = true)]
    Reference {
        /// Which
        page: Page,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// `database` opens psql on the deployment's PostgreSQL: the managed one as its superuser
    #[arg(value_name = "database")]
    pub what: Option<Inside>,
    /// Arguments for psql, as in `-- -c 'select 1'`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
}

/// What can be opened besides the deployment's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Inside {
    /// Its database
    Database,
}

/// What is asked of a deployment, and takes its time.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Install or converge, start, verify; the second `up` changes nothing
    #[command(visible_aliases = ["install", "start"])]
    Up(Up),
    /// Say how the deployment is
    Status(Status),
    /// Show the log of a part
    #[command(alias = "log")]
    Logs(Logs),
    /// Stop everything, keep everything; with --yes also where another operation has begun and its process is stopped
    #[command(visible_alias = "stop")]
    Down(Down),
    /// Restart a part as it was, then test the deployment
    Restart(Restart),
    /// Finish or take back an interrupted operation, and nothing else (the agent begins it where people wait for one that was killed)
    #[command(hide = true)]
    Recover(Recover),
    /// Bring the deployment to a newer release; until the new server is proven, requests wait, and whatever goes wrong is undone
    #[command(visible_alias = "update")]
    Upgrade(Upgrade),
    /// Go back to the release before an upgrade, with the database, settings and plugins that it had
    Rollback(Rollback),
    /// Put another version of Mainstay's own program in place; the agent becomes it while everything runs
    SelfUpdate(SelfUpdate),
    /// Security fixes: which are missing and by when, and updates that begin by themselves
    #[command(subcommand)]
    Security(Security),
    /// List every run with who, when, why and how it ended; or one run with its steps
    History(History),
    /// Make a deployment of a snapshot: here, in an empty directory, or on a new machine; or write a part of one into a directory
    Restore(Restore),
    /// Remove the deployment
    Uninstall(Uninstall),
    /// Accounts of administrators, over the server's local channel: no password is needed
    #[command(subcommand)]
    Admin(Admin),
    /// Run the acceptance test, against this deployment or any Mattermost
    Verify(Verify),
    /// The server's settings: where each comes from, what is wrong, what config.json it makes
    #[command(subcommand)]
    Settings(Settings),
    /// Build and push container images, without Docker
    #[command(subcommand)]
    Image(Image),
    /// Write the deployment as a file for another tool
    #[command(subcommand)]
    Export(Export),
    /// Where the data is
    #[command(subcommand)]
    Database(Database),
    /// Backups: snapshots of database, files and settings in an encrypted repository
    #[command(subcommand)]
    Backup(Backup),
}

impl Operation {
    /// Whether it needs a deployment which it may read. `status` says itself what it cannot see.
    pub(crate) fn is_of_deployment(&self) -> bool {
        match self {
            Self::Verify(verify) => verify.url.is_none(),
            Self::Backup(backup) => backup.is_of_deployment(),
            Self::Restore(restore) => restore.into.is_none(),
            Self::Status(_) | Self::Image(_) | Self::Export(_) => false,
            _ => true,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// End with 0 only if it is up, verified and not being changed: what a container's health check asks. With `watch = true` in
    /// `[backup]` also only if the last backup, check and drill succeeded, and in `[updates]` only if no security fix is over-due
    #[arg(long)]
    pub check: bool,
    /// With `--check`: an app that does not work does not count; whoever would start Mattermost anew for it asks so
    #[arg(long, requires = "check")]
    pub without_apps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The release line: builtin, team, entry or enterprise
    #[arg(long)]
    pub edition: Option<String>,
    /// The version of that release line; of an official edition also esr, latest, or a line such as 11.7 [default: esr]
    #[arg(long = "version", value_name = "V")]
    pub release_version: Option<String>,
    /// Install from this tarball [default: the cache, or the makers' site]
    #[arg(long, value_name = "FILE")]
    pub release: Option<PathBuf>,
    /// Where to answer; :PORT or PORT is every address of the machine [default: 127.0.0.1:8065]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<host::Listen>,
    /// The address people type [default: http://localhost and the port]
    #[arg(long, value_name = "URL")]
    pub site_url: Option<String>,
    /// The system user that the server runs as (root only) [default: one of its own, mainstay-NAME after the directory]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Where data or settings of a deployment are gone that was used: move what is left to DIR/set-aside and begin with an empty Mattermost
    #[arg(long)]
    pub start_empty: bool,
    /// Go on with a Mattermost that was installed by other means: its config.json, whose settings, database, salts and files are taken over
    #[arg(long, value_name = "CONFIG", conflicts_with = "start_empty")]
    pub take_over: Option<PathBuf>,
    /// Who runs the database: `managed` is a PostgreSQL in the deployment's own directory that Mainstay runs
    /// [default: managed for other editions than builtin where no database is named]
    #[arg(long, value_name = "WORD")]
    pub database: Option<String>,
    /// Where PostgreSQL is needed and missing, install it from the distribution (apt-get or dnf)
    #[arg(long)]
    pub install_packages: bool,
    /// Do not start it when the machine starts, and remember that as `boot = false` in mainstay.toml
    #[arg(long, conflicts_with = "boot")]
    pub no_boot: bool,
    /// Start it when the machine starts, where that was refused or switched off [default where systemd runs the machine]
    #[arg(long)]
    pub boot: bool,
    /// What the unit runs after it has started the agent
    #[arg(long, hide = true, conflicts_with_all = ["boot", "no_boot", "foreground"])]
    pub at_boot: bool,
    /// Stay in the foreground until stopped, for containers and for other programs that supervise it
    #[arg(long)]
    pub foreground: bool,
    /// How long to wait for a database server that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..))]
    pub wait: u64,
    /// Create user and database if they are missing, as the administrator whose address FILE holds ("-" reads it from stdin)
    /// [default: MAINSTAY_DATABASE_ADMIN, or the file that MAINSTAY_DATABASE_ADMIN_FILE names]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub create_database: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// server, edge, agent, app:ID, or database where Mainstay runs it; requests wait at the edge while the server restarts
    #[arg(value_name = "PART", default_value = "server")]
    pub part: String,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// Keep configuration, secrets, database, files and backups
    #[arg(long)]
    pub keep_data: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// List every setting of the table, with its value and where that comes from
    List(For),
    /// Say all about one setting: value, layers, place in config.json, variables, defaults, meaning
    Explain {
        /// A variable (MATTERMOST_NAME), a key (TeamSettings.SiteName) or an override (MM_TEAMSETTINGS_SITENAME)
        name: String,
        #[command(flatten)]
        version: For,
    },
    /// Find every mistake in mainstay.toml and the environment
    Check(For),
    /// Print the config.json that the settings make, secrets masked
    Render(For),
    /// Print the JSON Schema of mainstay.toml, for editors
    Schema(For),
    /// Say in which keys config.json differs from what is declared, and who owns each
    Diff,
    /// Send a real message through the mail server, and show the dialogue
    TestMail {
        /// Who gets it
        address: String,
    },
    /// Ask the GitLab that people sign in with, without signing in
    TestGitlab,
    /// Look at the load balancer in front, through the site URL
    TestHttps,
    /// Secrets that are generated once
    #[command(subcommand)]
    Secrets(Secrets),
}

/// For which version of the server.
#[derive(Debug, Clone, Args)]
pub(crate) struct For {
    /// The server's version [default: the installed one, or the built-in server's]
    #[arg(long = "for", value_name = "VERSION")]
    pub version: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Replace secrets by new ones, and say what stops working
    Rotate {
        /// Their names in secrets.toml
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Entrypoint {
    #[command(flatten)]
    pub change: Change,
    /// app:start, app:migrate, app:help, or a command with its arguments, such as `mattermost version`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "WORD",
        default_value = "app:start"
    )]
    pub words: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Page {
    /// Every command and flag
    Commands,
    /// Every setting
    Settings,
    /// Every exit code
    ExitCodes,
    /// Every bound of the built-in server
    Bounds,
}
