//! Where newer versions of Mainstay's own program come from, and what proves them.

use std::path::{Path, PathBuf};

use release::{Arch, FetchError, Fingerprint, Network, PublicKey};
use serde::{Deserialize, Serialize};
use settings::Wanted;
use url::Url;

use crate::error::{Error, Exit};
use crate::place::layout::FILE_LIMIT;

/// A version in the file `latest` is not longer, in bytes.
const LATEST_LIMIT: u64 = 256;

/// Where a program comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramSource {
    /// A file; its signature lies beside it, with `.sig` after its name.
    File(PathBuf),
    /// An address; its signature in the same way.
    Address(Url),
    /// The program before the last update, which is kept.
    Kept,
}

impl std::fmt::Display for ProgramSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Address(url) => write!(f, "{url}"),
            Self::Kept => f.write_str("the program before the last update"),
        }
    }
}

/// The key that signs the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramKey {
    /// Which key it must be.
    pub fingerprint: Fingerprint,
    /// The file with the public key.
    pub file: PathBuf,
}

impl ProgramKey {
    /// The public key.
    ///
    /// # Errors
    /// The file cannot be read, or holds another key.
    pub(crate) fn read(&self) -> Result<PublicKey, Error> {
        let Self { fingerprint, file } = self;
        let text = host::disk::read_named(file, FILE_LIMIT);
        let text = text.map_err(|error| Error::path("read", file, &error))?;
        PublicKey::read(&text, *fingerprint)
            .map_err(|error| Error::new(Exit::Settings, format!("{}: {error}", file.display())))
    }
}

/// Why a program is not taken. Nothing has been changed.
pub(crate) fn refused(error: &FetchError) -> Error {
    let exit = match error {
        FetchError::Refused { .. } => Exit::Refused,
        _ => Exit::NotReady,
    };
    Error::new(exit, format!("{error}; nothing has been changed"))
}

/// The key that mainstay.toml names.
///
/// # Errors
/// It names none.
pub(crate) fn key(wanted: &Wanted) -> Result<ProgramKey, Error> {
    let (fingerprint, file) = (wanted.get("self_update.fingerprint"), wanted.get("self_update.signing_key"));
    let (Some(fingerprint), Some(file)) = (fingerprint, file) else {
        let what =
            "nobody's key is trusted to sign Mainstay's own program: its makers have not published one yet";
        return Err(Error::new(Exit::Settings, what).hint(
            "name the key of whoever builds your Mainstay in mainstay.toml: [self_update] signing_key = \"FILE\" and fingerprint = \"...\"",
        ));
    };
    let fingerprint = fingerprint.parse().map_err(|error: release::NotAFingerprint| {
        Error::new(Exit::Settings, format!("`self_update.fingerprint`: {error}"))
    })?;
    Ok(ProgramKey { fingerprint, file: file.into() })
}

/// What somebody named on the command line: a file, or an address.
///
/// # Errors
/// It is the address of something else.
pub(crate) fn named(text: &str) -> Result<ProgramSource, Error> {
    if !text.contains("://") {
        let path = std::path::absolute(text).map_err(|error| Error::path("find", Path::new(text), &error))?;
        return Ok(ProgramSource::File(path));
    }
    address(text).map(ProgramSource::Address)
}

fn address(text: &str) -> Result<Url, Error> {
    let url = text.parse::<Url>().ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    url.filter(|url| url.username().is_empty() && url.password().is_none()).ok_or_else(|| {
        Error::new(Exit::Usage, "that is no address of a program")
            .hint("allowed: a path, or an http:// or https:// address without user and password")
    })
}

/// The program of a version at the source that mainstay.toml names: SOURCE/VERSION/mainstay-linux-ARCH; `None` = of the version that
/// SOURCE/latest names.
///
/// # Errors
/// No source is named, or the newest version is not to be had there.
pub(crate) async fn published(
    wanted: &Wanted,
    version: Option<&str>,
    network: &Network,
) -> Result<(String, ProgramSource), Error> {
    let source = wanted.get("self_update.source").ok_or_else(|| {
        Error::new(Exit::Usage, "no place is named where newer versions of Mainstay are: there is no site of its makers yet").hint(
            "`mainstay self-update --from FILE` takes a program that you brought; or name a place in mainstay.toml: [self_update] source = \
             \"https://...\"",
        )
    })?;
    let version = version.map(asked).transpose()?;
    let version = version.as_deref();
    let arch = Arch::here().map(|arch| arch.to_string());
    let arch = arch.ok_or_else(|| Error::not_ready("there is no Mainstay for this kind of machine"))?;
    let name = format!("mainstay-linux-{arch}");
    if !source.contains("://") {
        let dir = Path::new(source);
        let version = match version {
            Some(version) => version.to_owned(),
            None => {
                let file = dir.join("latest");
                let text = host::disk::read_named(&file, LATEST_LIMIT);
                let text = text.map_err(|error| Error::path("read", &file, &error))?;
                checked(&String::from_utf8_lossy(&text), source)?
            }
        };
        return Ok((version.clone(), ProgramSource::File(dir.join(version).join(name))));
    }
    let base = address(source)?;
    let below = |words: &[&str]| {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(words);
        }
        url
    };
    let version = match version {
        Some(version) => version.to_owned(),
        None => {
            let text = release::fetch_text(&below(&["latest"]), LATEST_LIMIT, network).await;
            checked(&text.map_err(|error| Error::not_ready(error.to_string()))?, source)?
        }
    };
    Ok((version.clone(), ProgramSource::Address(below(&[&version, &name]))))
}

/// A version that somebody asked for.
fn asked(text: &str) -> Result<String, Error> {
    let version = text.parse::<version::Version>();
    version
        .map(|version| version.to_string())
        .map_err(|error| Error::new(Exit::Usage, format!("`--to {}`: {error}", text.escape_debug())))
}

/// A version, and nothing that could lead elsewhere.
fn checked(text: &str, source: &str) -> Result<String, Error> {
    let version = text.trim().parse::<version::Version>();
    let version = version.map_err(|error| Error::not_ready(format!("{source}: its `latest`: {error}")))?;
    Ok(version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&str, &str)]) -> Wanted {
        let with =
            |wanted: Wanted, (key, value): &(&str, &str)| wanted.with_in_file(key, value).expect("valid");
        pairs.iter().fold(Wanted::default(), with)
    }

    #[tokio::test]
    async fn a_version_leads_to_one_file_of_the_source() {
        let network = Network::new(&[].into(), release::Patience::default()).expect("a network");
        let arch = Arch::here().expect("a machine").to_string();
        let site = wanted(&[("self_update.source", "https://example.com/mainstay/")]);
        let found = published(&site, Some("0.2.0"), &network).await.expect("found");
        assert_eq!(found.1.to_string(), format!("https://example.com/mainstay/0.2.0/mainstay-linux-{arch}"));
        let dir = tempfile::tempdir().expect("a directory");
        let text = dir.path().to_str().expect("a name");
        let here = wanted(&[("self_update.source", text)]);
        for (latest, expected) in [("0.3.0\n", Some("0.3.0")), ("../../etc", None), ("", None)] {
            std::fs::write(dir.path().join("latest"), latest).expect("written");
            let found = published(&here, None, &network).await.ok();
            assert_eq!(found.map(|(version, _)| version).as_deref(), expected, "{latest}");
        }
        let astray = published(&here, Some("../0.3.0"), &network).await.expect_err("no version");
        assert_eq!(astray.exit, Exit::Usage);
        let nowhere = published(&Wanted::default(), None, &network).await.expect_err("no source");
        assert_eq!(nowhere.exit, Exit::Usage);
    }

    #[test]
    fn without_a_key_no_program_is_taken() {
        let refused = key(&wanted(&[("self_update.signing_key", "/etc/key.asc")])).expect_err("refused");
        assert_eq!(refused.exit, Exit::Settings);
        assert!(refused.hint.is_some_and(|hint| hint.contains("fingerprint")));
        named("ftp://example.com/mainstay").expect_err("no address");
        named("https://me:secret@example.com/mainstay").expect_err("a login");
        assert_eq!(named("/tmp/mainstay").expect("a file"), ProgramSource::File("/tmp/mainstay".into()));
    }
}
