//! What is in an image, and how it is built.
//!
//! Three layers, so that unchanged parts are stored and pulled once: users, certificates and name lookup; the release at [`HOME`], owned
//! by root, so that no server can change its own program; `mainstay`, which is process 1, and the volume.

use std::path::{Path, PathBuf};
use std::time::Duration;

use container_contract::{BACKUPS, HOME, PROGRAM, RELEASES, VARIABLE, VOLUME};
use host::Shim;
use oci::{
    Architecture, Compression, Entry, Healthcheck, ImageSpec, Layer, Layout, MATTERMOST, Meter, Owner,
    Protocol, Reference, scaffold, tree, write_layout,
};
use release::{Origin, Programs, ReleaseId};

use crate::error::Error;
use crate::name::{default_name, familiar};
use crate::output::Output;
use crate::{context, program};

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
    /// Where the release comes from.
    pub release: Origin,
    /// The static `mainstay` program: see [`static_mainstay`](crate::static_mainstay).
    pub mainstay: PathBuf,
    /// The PEM file of certificates that programs in the image trust; `None` = the one of this machine.
    pub certificates: Option<PathBuf>,
    /// Its name; `None` = named after the release.
    pub name: Option<Reference>,
    /// How much time to spend on making the layers smaller.
    pub compression: Compression,
}

/// What the build is doing, for a progress bar.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Unpacks the release and asks for its version.
    Unpacking,
    /// Compresses the layers: the bytes done so far, and the total.
    Packing(Meter, u64),
    /// Writes the image in the requested format, or loads it into Docker.
    Delivering,
}

/// An image that was built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The digest of its manifest; in a context, the digest of the root file system.
    pub digest: String,
    /// The release in it.
    pub release: ReleaseId,
    /// The size of its compressed layers, in bytes.
    pub bytes: u64,
    /// Where it is.
    pub output: Output,
}

/// Builds an image in `scratch` and moves it to its place. Blocks. To cancel, drop the owner of `scratch` and end the process.
///
/// # Errors
/// The image could not start; a file cannot be read or written; the output exists already.
pub fn build(
    recipe: &Recipe,
    scratch: &Path,
    output: &Output,
    report: &dyn Fn(Stage),
) -> Result<Built, Error> {
    report(Stage::Unpacking);
    let unpacked = scratch.join("release");
    std::fs::create_dir(&unpacked).map_err(|error| Error::path("make", &unpacked, &error))?;
    let programs = Programs { mainstay: &recipe.mainstay, confining: &Shim::confining(), told: None };
    let release = release::unpack_for_copy(&recipe.release, programs, &unpacked)?;
    program::check_server(&release.binary())?;

    let id = release.id().clone();
    let name = match &recipe.name {
        Some(name) => name.clone(),
        None => default_name(&id)?,
    };
    let layers = layers(recipe, release.root(), &id)?;
    let meter = Meter::default();
    let total = layers.iter().map(Layer::bytes).sum::<Result<u64, _>>()?;
    report(Stage::Packing(meter.clone(), total));
    let (digest, bytes) = if let Output::Context { dir, base } = output {
        let made = scratch.join("context");
        let written =
            context::write((&spec(&id), base.as_deref()), &layers, recipe.compression, &made, &meter)?;
        report(Stage::Delivering);
        std::fs::rename(made, dir).map_err(|error| Error::path("write", dir, &error))?;
        written
    } else {
        let layout = write_layout(&spec(&id), &layers, &name, &scratch.join("layout"), &meter)?;
        // Makes room for the next stage, which may write the image a second time.
        host::disk::remove_tree(&unpacked)?;
        report(Stage::Delivering);
        output.deliver(&layout, scratch)?;
        (layout.digest(), layout.bytes())
    };
    let name = familiar(&name);
    Ok(Built { name, digest: digest.to_string(), release: id, bytes, output: output.clone() })
}

/// Opens an image layout that was built earlier.
///
/// # Errors
/// The directory is not an image layout, or was changed.
pub fn open(dir: &Path) -> Result<Layout, Error> {
    Ok(Layout::open(dir)?)
}

fn layers(recipe: &Recipe, release: &Path, id: &ReleaseId) -> Result<[Layer; 3], Error> {
    let certificates = certificates(recipe.certificates.as_deref())?;
    let mut server = tree(HOME, release, Owner::ROOT)?;
    server.push(Entry::symlink(format!("{RELEASES}/{id}"), HOME));
    if recipe.release == Origin::Builtin {
        // The server is `mainstay` itself: store it once.
        let binary = format!("{HOME}/bin/mattermost");
        server.retain(|entry| entry.path != binary);
        server.push(Entry::symlink(binary, PROGRAM));
    }
    // The one directory that is on the path whatever the base's path is: `docker exec NAME mainstay ...` works on any base.
    server.push(Entry::symlink(format!("{HOME}/bin/mainstay"), PROGRAM));
    let program = [
        Entry::file(PROGRAM, &recipe.mainstay, 0o755, Owner::ROOT),
        // A new volume starts as a copy of this directory, with its owner.
        Entry::directory(VOLUME, 0o750, MATTERMOST),
        Entry::directory(BACKUPS, 0o750, MATTERMOST),
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

/// What the image is, for whoever finds it in a registry.
const DESCRIPTION: &str = "A Mattermost server with Mainstay, which configures, starts, verifies and upgrades it; docker-mattermost's variables and volume";

/// How the image is run. It starts as root, gives the volume to the Mattermost user, and continues as that user.
fn spec(release: &ReleaseId) -> ImageSpec {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    ImageSpec {
        architecture: Architecture::NATIVE,
        entrypoint: words(&[PROGRAM, "entrypoint"]),
        cmd: words(&["app:start"]),
        env: pairs(&[(VARIABLE, "1"), ("PATH", &format!("{HOME}/bin:{}", context::USUAL_PATH))]),
        exposed_ports: [(80, Protocol::Tcp)].into(),
        volumes: [VOLUME.to_owned()].into(),
        user: Owner::ROOT,
        workdir: HOME.to_owned(),
        labels: pairs(&[
            ("org.opencontainers.image.title", "Mainstay for Mattermost"),
            ("org.opencontainers.image.version", &release.version.to_string()),
            ("org.opencontainers.image.description", DESCRIPTION),
            ("org.opencontainers.image.ref.name", &release.to_string()),
            ("mainstay.release", &release.to_string()),
            ("mainstay.version", env!("CARGO_PKG_VERSION")),
        ]),
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(Healthcheck {
            command: words(&[PROGRAM, "status", "--check", "--without-apps"]),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            start_period: Duration::from_secs(180),
            retries: 3,
        }),
        created: 0,
    }
}
