//! A bundle that somebody named, brought to this machine.

use apps::source::{self, Fetched, Wanted};
use apps::{Bundle, Error, Manifest};
use apps_aws::{Flags, Objects, Settings};

use crate::cli::BundleSource;
use crate::commands::variables;

/// Brings a bundle here: from a file, a directory, S3, a URL or a release on GitHub. `flags` say where S3 is.
pub(super) async fn bring(named: &str, how: &BundleSource, flags: &Flags) -> Result<Fetched, Error> {
    let variables = variables();
    let wanted = Wanted::new(how.sha256.as_deref(), |name| variables.get(name).cloned())?;
    let from = source::Source::read(named)?;
    let objects = match &from {
        source::Source::S3 { .. } => Settings::read(flags, &variables)?,
        // Wrong variables of AWS matter to nobody who asks for nothing there.
        _ => Settings::read(&Flags::default(), &std::collections::BTreeMap::new())?,
    };
    source::fetch(&from, &wanted, &Objects::new(objects), &std::env::temp_dir()).await
}

/// The manifest of a bundle, or of a file that is one.
pub(super) async fn manifest(named: &str, how: &BundleSource) -> Result<Manifest, Error> {
    let fetched = bring(named, how, &Flags::default()).await?;
    let path = &fetched.path;
    let manifest = if super::is_manifest(path) {
        apps::read_file(path, apps::MANIFEST_LIMIT).and_then(|bytes| Ok(Manifest::read(path, &bytes)?.0))
    } else {
        Bundle::open(path).map(|bundle| bundle.manifest)
    };
    manifest.map_err(|error| fetched.explain(error))
}
