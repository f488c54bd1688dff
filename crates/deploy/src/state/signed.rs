//! The signature beside a tarball that `--release` names: where there is one, it must be right before anything of the tarball runs.

use std::path::{Path, PathBuf};

use ::release::{Cache, Catalogue, FetchError, key_at_hand, prove};
use finding::hint;
use settings::Wanted;

use crate::error::{Error, Exit};
use crate::state::published::sources;

/// The most bytes of a signature.
const LIMIT: u64 = 64 << 10;

/// Proves the tarball where its signature lies beside it. Says what is to be known where it could not be proven.
///
/// # Errors
/// The signature is not one of this file by the pinned key; the settings of the key are wrong.
pub(super) fn check(tarball: &Path, wanted: &Wanted, cache: &Cache) -> Result<Option<String>, Error> {
    let mut beside = tarball.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    if !tarball.is_file() || !beside.exists() {
        return Ok(None);
    }
    let (sources, catalogue) = (sources(wanted)?, Catalogue::known(cache));
    let fingerprint = sources.fingerprint.unwrap_or(catalogue.key.fingerprint);
    let dir = tarball.parent().unwrap_or(Path::new("."));
    let key = match key_at_hand(fingerprint, sources.key_file.as_deref(), cache, dir) {
        Ok(key) => key,
        Err(FetchError::NoKey { .. }) if sources.key_file.is_none() => {
            return Ok(Some(format!(
                "{} was not checked, because the key is not on this machine: `mainstay release verify {}` fetches it",
                beside.display(),
                finding::quoted(&tarball.display().to_string())
            )));
        }
        Err(error) => return Err(Error::not_ready(error.to_string())),
    };
    let signature = host::disk::read_guarded(&beside, LIMIT)?;
    let name = tarball.file_name().unwrap_or_default().to_string_lossy();
    let published = catalogue.sha256_of_file(&name).filter(|_| sources.fingerprint.is_none());
    match prove(tarball, &signature.bytes, &key, published) {
        Ok(_) => Ok(None),
        Err(why) => Err(Error::new(
            Exit::Refused,
            format!("{} is not what {} signs: {why}", tarball.display(), beside.display()),
        )
        .hint(hint!(
            "do not install what is not proven. Bring the release again, with its signature; where you signed it yourself, name your key with \
             `fingerprint` in `[release]` of mainstay.toml; see what is wrong with `mainstay release verify {}`; nothing has been changed",
            tarball.display()
        ))),
    }
}
