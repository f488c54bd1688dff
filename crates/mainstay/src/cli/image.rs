//! The arguments of `image` and `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Build an image with a release, a static Mainstay and certificates; the same sources always give the same bytes
    Build(ImageBuild),
    /// Push an image to a registry
    Push(ImagePush),
}

#[derive(Debug, Args)]
pub(crate) struct ImageBuild {
    /// The release's tarball [default: the built-in server]
    #[arg(long, value_name = "FILE")]
    pub release: Option<PathBuf>,
    /// The static Mainstay for the image [default: this one if it is static, otherwise mainstay-static in the same directory]
    #[arg(long, value_name = "FILE")]
    pub mainstay: Option<PathBuf>,
    /// PEM file of the certificate authorities to trust [default: this machine's]
    #[arg(long, value_name = "FILE")]
    pub certificates: Option<PathBuf>,
    /// The image's name [default: mattermost:RELEASE]
    #[arg(short, long, value_name = "NAME:TAG")]
    pub tag: Option<String>,
    /// Where to write it [default: mattermost-image]
    #[arg(short, long, value_name = "DIR|FILE.tar", conflicts_with = "load")]
    pub output: Option<PathBuf>,
    /// What to write [default: docker for a name that ends with .tar, otherwise layout]
    #[arg(long, value_enum, conflicts_with = "load")]
    pub format: Option<ImageFormat>,
    /// With `--format context`: build on this image, which has a shell or the programs of a database, and not on an empty one
    #[arg(long, value_name = "IMAGE", requires = "format", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub base: Option<String>,
    /// Load the image into Docker, like `docker load`, and write no file
    #[arg(long)]
    pub load: bool,
    /// How much time to spend on making the layers smaller
    #[arg(long, value_enum, default_value_t = ImageCompression::Balanced)]
    pub compression: ImageCompression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormat {
    /// A directory in the OCI image layout, which `image push` reads
    Layout,
    /// An archive, which `docker load` and `podman load` read
    Docker,
    /// A directory for `docker build`, with a Dockerfile and the root file system that it adds
    Context,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ImageCompression {
    /// gzip level 1: for images that stay on this machine
    Fast,
    /// gzip level 6, the usual one
    Balanced,
    /// gzip level 9: for images that are pulled often
    Small,
}

#[derive(Debug, Args)]
pub(crate) struct ImagePush {
    /// The name in the registry: [HOST[:PORT]/]PATH[:TAG]
    #[arg(value_name = "NAME:TAG")]
    pub to: String,
    /// The image: a directory that `image build` wrote
    #[arg(long, value_name = "DIR", default_value = crate::cli::IMAGE_DIR)]
    pub from: PathBuf,
    /// The account that pushes [default: the one that `docker login` saved]
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// A file with the password or access token ("-" reads it from stdin)
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Use plain HTTP for a registry on another machine; others on the network can then read password and image
    #[arg(long)]
    pub plain_http: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Write a file for Docker Compose (server, database, volumes) and env-files with generated secrets
    Compose(ExportCompose),
    /// Print the unit with which systemd starts the deployment at boot; `mainstay up` writes it where systemd runs the machine
    Systemd,
    /// Print a service for OpenRC
    Openrc,
    /// Print a service for runit
    Runit,
    /// Print a line for cron, which starts the deployment at boot
    Cron,
}

#[derive(Debug, Args)]
pub(crate) struct ExportCompose {
    /// The compose file; existing files are never overwritten
    #[arg(short, long, value_name = "FILE", default_value = "docker-compose.yml")]
    pub output: PathBuf,
    /// The server's image [default: the name that `image build` gives it]
    #[arg(long, value_name = "NAME:TAG")]
    pub image: Option<String>,
    /// The database's image
    #[arg(long, value_name = "NAME:TAG", default_value = container_image::compose::DATABASE_IMAGE)]
    pub database_image: String,
    /// Where people reach the server; :PORT or PORT means every address of the machine [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub publish: Option<host::Listen>,
}

/// The default directory of `image build` and `image push`.
pub(crate) const IMAGE_DIR: &str = "mattermost-image";
