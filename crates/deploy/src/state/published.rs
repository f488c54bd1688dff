//! A release that Mattermost's makers publish: which one is wanted, and where it comes from.

use std::path::PathBuf;

use release::{Arch, Cache, Catalogue, Channel, Edition, Origin, ReleaseId, Sources, Wish};
use settings::Wanted;

use super::desired::Desired;
use crate::error::{Error, Exit};
use crate::world::World;

/// The channel where no version is named: the release that is mended the longest.
const USUAL: Channel = Channel::Extended;

/// The release of an official edition that file and command line name: a version, or the one that a channel leads to today.
///
/// # Errors
/// The catalogue knows no such line.
pub(super) fn named(desired: &Desired, cache: &Cache) -> Result<ReleaseId, Error> {
    let channel = match &desired.version {
        Some(text) => text.parse().map_err(|error| Error::new(Exit::Usage, format!("`version`: {error}")))?,
        None => USUAL,
    };
    offered(&channel, desired.edition, cache)
}

/// The release that a channel leads to today. Its edition is that of the tarball.
///
/// # Errors
/// The catalogue knows no such line; the edition does not have it.
pub fn offered(channel: &Channel, edition: Edition, cache: &Cache) -> Result<ReleaseId, Error> {
    let catalogue = Catalogue::known(cache);
    let offer = catalogue.find(channel, edition, jiff::Zoned::now().date()).ok_or_else(|| {
        Error::new(Exit::Usage, "no such release line is known").hint(format!(
            "`mainstay release lines` has those of {}; `mainstay release refresh` asks for newer ones; or say the whole version",
            catalogue.date
        ))
    })?;
    if edition == Edition::Entry && offer.version < version::Version::new(11, 0, 0) {
        let what = format!("there is no Entry edition before 11.0, and {} is asked for", offer.version);
        return Err(Error::new(Exit::Usage, what).hint("choose `--edition team` or `--edition enterprise`"));
    }
    Ok(ReleaseId { version: offer.version, edition: edition.build() })
}

/// Where `release` comes from: as somebody says, or, where it has to be fetched, from the cache or its makers.
///
/// # Errors
/// It cannot run on this machine.
pub(crate) fn origin(
    world: &World,
    said: Option<&Origin>,
    wanted: &Wanted,
    (release, installed): (&ReleaseId, &[ReleaseId]),
) -> Result<Option<Origin>, Error> {
    if said.is_some() || release.edition == Edition::Builtin || installed.contains(release) {
        return Ok(said.cloned());
    }
    let arch = Arch::here();
    release::check_machine(release, arch, host::glibc())
        .map_err(|unmet| Error::not_ready(unmet.to_string()).hint(unmet.hint()))?;
    let Some(arch) = arch else { return Ok(None) };
    let cache = Cache::at(&world.cache);
    let wish = Wish::of(release, arch, &Catalogue::known(&cache), &sources(wanted)?);
    Ok(wish.map(|wish| Origin::Published { wish, cache: world.cache.clone() }))
}

/// What `mainstay.toml` says of where releases come from.
///
/// # Errors
/// One of the keys has a mistake: `settings` has said which before.
pub fn sources(wanted: &Wanted) -> Result<Sources, Error> {
    let wrong = |key: &str, why: String| Error::new(Exit::Settings, format!("`release.{key}`: {why}"));
    let mirrors = wanted.get("release.mirror").unwrap_or_default();
    let mirrors = mirrors.split(',').map(str::trim).filter(|site| !site.is_empty());
    let mirrors = mirrors.map(|site| site.parse().map_err(|error| wrong("mirror", format!("{error}"))));
    let fingerprint = wanted.get("release.fingerprint").map(str::parse);
    Ok(Sources {
        mirrors: mirrors.collect::<Result<_, _>>()?,
        fingerprint: fingerprint.transpose().map_err(|error| wrong("fingerprint", format!("{error}")))?,
        key_file: wanted.get("release.signing_key").map(PathBuf::from),
    })
}

/// What is to be known of the key that proved a fetched release.
pub(crate) fn warning(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Published { wish, cache } => release::key_warning(wish, &Cache::at(cache)),
        _ => None,
    }
}
