//! What the author of an app does with it, without AWS and without Mattermost.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::bundle::BundleSource;

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A manifest (.json), a bundle (.zip), a directory that holds manifest.json, s3://BUCKET/KEY, https://..., or
    /// github:OWNER/REPO[@TAG][:ASSET]
    #[arg(value_name = "BUNDLE")]
    pub bundle: String,
    #[command(flatten)]
    pub source: BundleSource,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The language: go, node, python or rust
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Where to write it: a directory that is empty or does not exist [default: hello-app]
    #[arg(value_name = "DIR", default_value = "hello-app", hide_default_value = true)]
    pub app: PathBuf,
    /// The app's id [default: the directory's name]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MakeBundle {
    /// The directory of the app
    #[arg(value_name = "DIR", default_value = ".")]
    pub app: PathBuf,
    /// The file to write [default: ID_VERSION.zip in the current directory]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A manifest (.json) or a bundle (.zip), from everywhere that `validate` takes one from
    #[arg(value_name = "MANIFEST|BUNDLE")]
    pub bundle: String,
    #[command(flatten)]
    pub source: BundleSource,
    /// Write the result into a file: a bundle for a bundle, otherwise a manifest [default: the manifest, on stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The address about the app, which old formats did not demand
    #[arg(long, value_name = "URL")]
    pub homepage_url: Option<String>,
    /// The name that people see, which old formats did not demand [default: the app's id]
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TerraformData {
    /// A bundle (.zip) or the directory of an app, from everywhere that `validate` takes one from
    #[arg(value_name = "BUNDLE")]
    pub bundle: String,
    #[command(flatten)]
    pub source: BundleSource,
}

/// The names of Mattermost's tool.
#[derive(Debug, Subcommand)]
pub(crate) enum Terraform {
    /// The same as `apps generate-terraform-data`
    GenerateData(TerraformData),
}
