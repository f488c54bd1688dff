//! Apps on AWS.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::bundle::BundleSource;
use super::local::Address;
use crate::cli::Change;

/// Where AWS is. Every value may come from a variable instead; `--plan` says from which.
#[derive(Debug, Args)]
pub(crate) struct Cloud {
    /// The region [default: MM_APPS_AWS_REGION, AWS_REGION, or the profile's]
    #[arg(long)]
    pub region: Option<String>,
    /// The bucket of all apps [default: MM_APPS_S3_BUCKET, or mattermost-apps-bucket]
    #[arg(long)]
    pub bucket: Option<String>,
    /// A profile of AWS's own files, in place of keys from variables
    #[arg(long)]
    pub profile: Option<String>,
    /// Another address of AWS's services
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Continue a run that was killed on another machine, without waiting until its time is over
    #[arg(long)]
    pub take_over: bool,
}

/// Where an app is deployed: to AWS Lambda and S3, or to this machine, where the agent of the deployment runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Where {
    Aws,
    Local,
}

#[derive(Debug, Args)]
pub(crate) struct DeployApp {
    /// The bundle: a .zip file, its directory, s3://BUCKET/KEY, https://..., github:OWNER/REPO[@TAG][:ASSET]
    #[arg(value_name = "BUNDLE")]
    pub bundle: String,
    #[command(flatten)]
    pub source: BundleSource,
    /// Where to
    #[arg(long, value_name = "WHERE", default_value = "aws")]
    pub to: Where,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    pub address: Address,
    #[command(flatten)]
    pub change: Change,
    /// Seconds that a call may take [default: as it is; 30 for a new function]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<i32>,
    /// Memory of a function [default: as it is; 128 for a new function, 512 for a new app on this machine]
    #[arg(long, value_name = "MB")]
    pub memory: Option<i32>,
    /// x86_64 or arm64 [default: as it is; x86_64 for a new function]
    #[arg(long)]
    pub architecture: Option<String>,
    /// A variable that functions get beside those that they have; others stay. A secret belongs into `--env-file`
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// A file with a NAME=VALUE in each line ("-" reads stdin)
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// A variable that functions lose
    #[arg(long, value_name = "NAME")]
    pub unset_env: Vec<String>,
    /// The role that functions run as [default: as it is; mattermost-apps-execute-lambda-role]
    #[arg(long, alias = "execute-role", value_name = "NAME")]
    pub role: Option<String>,
    /// The policy that lets Mattermost call functions [default: mattermost-apps-invoke-policy]
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Take over functions and files that another tool deployed for this app
    #[arg(long)]
    pub adopt: bool,
    /// Do not call `/ping` and, on AWS, read a static file at the end
    #[arg(long)]
    pub skip_verify: bool,
    /// Every deployment updates: accepted for scripts that were written for appsctl
    #[arg(long, hide = true)]
    pub update: bool,
}

/// The earlier name of `deploy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Provision {
    /// The same as `mainstay apps deploy`
    App(Box<DeployApp>),
}

#[derive(Debug, Args)]
pub(crate) struct UndeployApp {
    /// The app's id
    pub id: String,
    /// One version [default: all]
    pub version: Option<String>,
    /// From where
    #[arg(long, value_name = "WHERE", default_value = "aws")]
    pub to: Where,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackApp {
    /// The app's id
    pub id: String,
    /// Where
    #[arg(long, value_name = "WHERE", default_value = "aws")]
    pub to: Where,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    pub change: Change,
}

/// What things of the account are called.
#[derive(Debug, Args)]
pub(crate) struct AccountNames {
    /// The user that Mattermost calls functions as [default: mattermost-apps-invoke]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Its group [default: mattermost-apps-invoke-group]
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// The policy of the group [default: mattermost-apps-invoke-policy]
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// The role that functions run as [default: mattermost-apps-execute-lambda-role]
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AwsAccount {
    /// Make what is missing: the bucket, and the user, group, policy and role
    Init {
        #[command(flatten)]
        cloud: Cloud,
        #[command(flatten)]
        names: AccountNames,
        /// Print every call that would change something, and do nothing
        #[arg(long)]
        plan: bool,
        /// Make an access key for the user, too; its secret is shown once, or written to `--key-file`
        #[arg(long)]
        create_access_key: bool,
        /// A file for the access key, which only its owner may read; it must not exist, or be empty
        #[arg(long, value_name = "FILE", requires = "create_access_key")]
        key_file: Option<PathBuf>,
        /// What is missing is always made: accepted for scripts that were written for appsctl
        #[arg(long, hide = true)]
        create: bool,
    },
    /// Check the account, and with an ID that app's functions and files
    Test {
        /// An app that is deployed
        id: Option<String>,
        #[command(flatten)]
        cloud: Cloud,
        #[command(flatten)]
        names: AccountNames,
    },
    /// Remove what `init` made; apps must be undeployed before
    Clean {
        #[command(flatten)]
        cloud: Cloud,
        #[command(flatten)]
        names: AccountNames,
        /// Remove things of these names as well that another tool made
        #[arg(long)]
        untagged: bool,
        /// Print every call that would change something, and do nothing
        #[arg(long)]
        plan: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListApps {
    /// Where
    #[arg(long, value_name = "WHERE", default_value = "aws")]
    pub to: Where,
    #[command(flatten)]
    pub cloud: Cloud,
}
