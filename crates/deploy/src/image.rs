//! A release and Mainstay as a container image: what is in it, and how it is built. An image is not a deployment: nothing of one is read
//! or changed here, and an image in the making is no plan, because its place appears when it is whole.
//!
//! Three layers, so that what stays the same is stored and pulled once: users, certificates and name lookup; the release at [`HOME`],
//! owned by root, so that no server can change its own program; `mainstay`, which is PID 1, and the volume.

mod context;
mod credentials;
mod output;
mod program;
mod push;
mod scratch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci::{
    Architecture, Compression, Entry, Healthcheck, ImageSpec, Layer, Layout, MATTERMOST, Meter, Owner,
    Protocol, Reference, scaffold, tree, write_layout,
};
use release::{Edition, ReleaseId, Source};

use crate::error::Error;
use crate::place::container::VARIABLE;
use crate::place::layout::{IMAGE_RELEASES, VOLUME};

pub use credentials::login_for;
pub use output::Output;
pub use program::static_mainstay;
pub use push::{Push, push};
pub use scratch::Scratch;

/// Where the release lies in an image; docker-mattermost has it there too.
pub const HOME: &str = "/opt/mattermost";
/// Mainstay itself.
pub const PROGRAM: &str = "/usr/bin/mainstay";

/// Where distributions keep the certificates of public authorities.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The release's tarball; `None` = the built-in server.
    pub release: Option<PathBuf>,
    /// The static program that will be [`PROGRAM`]: see [`static_mainstay`].
    pub mainstay: PathBuf,
    /// The PEM file of certificates that programs in the image believe; `None` = this machine's.
    pub certificates: Option<PathBuf>,
    /// What it will be called; `None` = after the release.
    pub name: Option<Reference>,
    /// How much time goes into smaller layers.
    pub compression: Compression,
}

/// What is being done, for a progress bar.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The release is unpacked, and asked who it is.
    Unpacking,
    /// The layers are compressed: bytes done, and how many there are.
    Packing(Meter, u64),
    /// The image is written out as it was asked for, or loaded into Docker.
    Delivering,
}

/// An image that was built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// Its digest: that of its manifest, or of the root file system in a context.
    pub digest: String,
    /// The release in it.
    pub release: ReleaseId,
    /// Bytes of its layers, compressed.
    pub bytes: u64,
    /// Where it is.
    pub output: Output,
}

/// Builds an image. Blocks; the work can be broken off by dropping `scratch`'s owner and leaving the process.
///
/// # Errors
/// The recipe makes no image that could start; a file cannot be read or written; the output is taken.
pub fn build(recipe: &Recipe, scratch: &Path, output: &Output, told: &dyn Fn(Stage)) -> Result<Built, Error> {
    told(Stage::Unpacking);
    let unpacked = scratch.join("release");
    std::fs::create_dir(&unpacked).map_err(|error| Error::path("make", &unpacked, &error))?;
    let source = match &recipe.release {
        Some(tarball) => Source::Tarball(tarball.clone()),
        None => Source::Builtin { binary: recipe.mainstay.clone() },
    };
    let release = release::unpack_for_copy(source, &unpacked)?;
    program::check_server(&release.binary())?;

    let id = release.id().clone();
    let name = match &recipe.name {
        Some(name) => name.clone(),
        None => default_name(&id)?,
    };
    let layers = layers(recipe, release.root(), &id)?;
    let meter = Meter::default();
    let total = layers.iter().map(Layer::bytes).sum::<Result<u64, _>>()?;
    told(Stage::Packing(meter.clone(), total));
    let (digest, bytes) = if let Output::Context(dir) = output {
        let made = scratch.join("context");
        let written = context::write(&spec(&id), &layers, recipe.compression, &made, &meter)?;
        told(Stage::Delivering);
        std::fs::rename(made, dir).map_err(|error| Error::path("write", dir, &error))?;
        written
    } else {
        let layout = write_layout(&spec(&id), &layers, &name, &scratch.join("layout"), &meter)?;
        // Room for the next stage, which may write the image a second time.
        host::disk::remove_tree(&unpacked)?;
        told(Stage::Delivering);
        output.deliver(&layout, scratch)?;
        (layout.digest(), layout.bytes())
    };
    let name = familiar(&name);
    Ok(Built { name, digest: digest.to_string(), release: id, bytes, output: output.clone() })
}

/// `mattermost:11.7.15-team`. A tag has no `+`: `_` stands for it, as in Helm's charts.
///
/// # Errors
/// The release's name makes no tag.
pub fn default_name(release: &ReleaseId) -> Result<Reference, Error> {
    Ok(format!("mattermost:{}", release.to_string().replace('+', "_")).parse::<Reference>()?)
}

/// A name as people and Docker's own lists write it: without what is completed by itself.
pub fn familiar(name: &Reference) -> String {
    let full = name.to_string();
    let short = full.strip_prefix("docker.io/").unwrap_or(&full);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

/// Opens an image layout that was built before.
///
/// # Errors
/// The directory is none, or was changed.
pub fn open(dir: &Path) -> Result<Layout, Error> {
    Ok(Layout::open(dir)?)
}

fn layers(recipe: &Recipe, release: &Path, id: &ReleaseId) -> Result<[Layer; 3], Error> {
    let certificates = certificates(recipe.certificates.as_deref())?;
    let mut server = tree(HOME, release, Owner::ROOT)?;
    server.push(Entry::symlink(format!("{IMAGE_RELEASES}/{id}"), HOME));
    if id.edition == Edition::Builtin && recipe.release.is_none() {
        // It is the same program: once is enough.
        let binary = format!("{HOME}/bin/mattermost");
        server.retain(|entry| entry.path != binary);
        server.push(Entry::symlink(binary, PROGRAM));
    }
    let program = [
        Entry::file(PROGRAM, &recipe.mainstay, 0o755, Owner::ROOT),
        // A new volume begins as a copy of this: with its owner.
        Entry::directory(VOLUME, 0o750, MATTERMOST),
    ];
    let base = scaffold(Some(&certificates))?;
    let layers = [Layer::new(base)?, Layer::new(server)?, Layer::new(program)?];
    Ok(layers.map(|layer| layer.compression(recipe.compression)))
}

fn certificates(given: Option<&Path>) -> Result<PathBuf, Error> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => BUNDLES.iter().map(PathBuf::from).find(|bundle| bundle.is_file()).ok_or_else(|| {
            Error::not_ready("this machine has no certificates of public authorities, which an image needs")
                .hint("install the package ca-certificates, or name a PEM file with `--certificates FILE`")
        }),
    }
}

/// How the image is run. It begins as root, to make the volume its user's, and goes on as that user.
fn spec(release: &ReleaseId) -> ImageSpec {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    ImageSpec {
        architecture: Architecture::NATIVE,
        entrypoint: words(&[PROGRAM, "entrypoint"]),
        cmd: words(&["app:start"]),
        env: pairs(&[(VARIABLE, "1"), ("PATH", "/opt/mattermost/bin:/usr/bin")]),
        exposed_ports: [(80, Protocol::Tcp)].into(),
        volumes: [VOLUME.to_owned()].into(),
        user: Owner::ROOT,
        workdir: HOME.to_owned(),
        labels: pairs(&[
            ("org.opencontainers.image.title", "Mainstay for Mattermost"),
            ("org.opencontainers.image.version", &release.version.to_string()),
            ("org.opencontainers.image.url", env!("CARGO_PKG_REPOSITORY")),
            ("mainstay.release", &release.to_string()),
            ("mainstay.version", env!("CARGO_PKG_VERSION")),
        ]),
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(Healthcheck {
            command: words(&[PROGRAM, "status", "--check"]),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            start_period: Duration::from_secs(180),
            retries: 3,
        }),
        created: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_after_its_release() {
        for (release, name) in [
            ("11.7.15-team", "mattermost:11.7.15-team"),
            ("11.6.0+0.1.0-builtin", "mattermost:11.6.0_0.1.0-builtin"),
        ] {
            let release: ReleaseId = release.parse().expect("a release");
            assert_eq!(familiar(&default_name(&release).expect("a tag")), name);
        }
        let far: Reference = "ghcr.io/team/chat:1".parse().expect("a name");
        assert_eq!(familiar(&far), "ghcr.io/team/chat:1");
    }
}
