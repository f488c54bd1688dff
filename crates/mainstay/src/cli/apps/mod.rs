//! The arguments of `apps`: a file for each group of commands.

mod author;
mod aws;
mod bundle;
mod deployer;
mod local;
mod mattermost;

use clap::Subcommand;

pub(crate) use author::{Convert, Init, MakeBundle, Terraform, TerraformData, Validate};
pub(crate) use aws::{
    AccountNames, AwsAccount, Cloud, DeployApp, ListApps, Provision, RollbackApp, UndeployApp, Where,
};
pub(crate) use bundle::BundleSource;
pub(crate) use deployer::DeployApps;
pub(crate) use local::{AppLogs, Call, Functions, Run, Serve};
pub(crate) use mattermost::{InstallApp, Server, SwitchApp, UninstallApp};

#[derive(Debug, Subcommand)]
pub(crate) enum Apps {
    /// Check a manifest or a bundle: every mistake at once
    Validate(Validate),
    /// Deploy a bundle to AWS (its functions to Lambda, its static files and manifest to S3), or to this machine
    Deploy(Box<DeployApp>),
    /// The earlier name of `deploy`
    #[command(subcommand, hide = true)]
    Provision(Provision),
    /// List what is deployed to the bucket, by any tool, or to this machine
    List(ListApps),
    /// Take the last deployment of an app back
    Rollback(RollbackApp),
    /// Remove an app from AWS (functions, static files, manifest and its entries in the invoke policy), or from this machine
    Undeploy(UndeployApp),
    /// The AWS account: prepare, check and clean it
    #[command(subcommand)]
    Aws(Box<AwsAccount>),
    /// Begin an app: small, complete, and bundled as it is
    Init(Init),
    /// Make a bundle of an app's directory; the same files always give the same bytes. Builds nothing: NAME.zip, NAME.jar or what the
    /// directory NAME holds becomes the function NAME
    Bundle(MakeBundle),
    /// Write a manifest of the Apps plugin 0.1 to 0.7 in the current format
    Convert(Convert),
    /// Print the names of a bundle's functions and objects as JSON, for Terraform
    GenerateTerraformData(TerraformData),
    /// The names of Mattermost's tool for Terraform
    #[command(subcommand, hide = true)]
    Terraform(Terraform),
    /// Run an app's functions here, without AWS: calls are answered on loopback until it is stopped
    Run(Run),
    /// Serve an app by HTTP: manifest, static files, and calls that carry Mattermost's token
    Serve(Box<Serve>),
    /// Call an app that runs here, or a bundle
    Call(Call),
    /// Show what the functions of an app that runs here have printed, call by call
    Logs(AppLogs),
    /// Deploy every new bundle of a bucket to AWS, once or again and again
    Deployer(DeployApps),
    /// Install an app in a Mattermost that has the Apps plugin
    Install(InstallApp),
    /// Enable an app that is installed
    Enable(SwitchApp),
    /// Disable an app that is installed; nothing of it is lost
    Disable(SwitchApp),
    /// Remove an app from a Mattermost, with what it stored there
    Uninstall(UninstallApp),
}
