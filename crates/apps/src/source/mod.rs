//! Where a bundle comes from: a file, a directory, an object of S3, a URL, an asset of a GitHub release.
//!
//! A download is bounded in bytes and in time, its SHA-256 is computed on the way, and it lies in a directory of its own that
//! is removed with [`Fetched`].

mod download;
mod github;

use std::fmt;
use std::path::{Path, PathBuf};

use finding::{Exit, Finding};
use secrecy::SecretString;
use url::Url;

use crate::Error;
use crate::file::unread;
pub use github::Asset;

/// The largest bundle, in bytes: what a bundle may hold is far below it.
pub const LARGEST: u64 = 1 << 30;

/// Where a bundle comes from, as somebody typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or a directory of this machine.
    Path(PathBuf),
    /// An object of S3: `s3://bucket/key`.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// A URL: `https://...`. `http://` needs a checksum.
    Url(Url),
    /// An asset of a GitHub release: `github:owner/repo[@tag][:asset]`.
    GitHub(Asset),
}

/// The forms that a source may have.
const FORMS: &str =
    "allowed: a file, a directory, s3://BUCKET/KEY, https://..., github:OWNER/REPO[@TAG][:ASSET]";

impl Source {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// It has none of the forms.
    pub fn read(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| Err(Error::new(Exit::Usage, what).hint(FORMS));
        if text.is_empty() {
            return wrong("the bundle's name is empty".to_owned());
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && !key.ends_with('/') => {
                    Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
                }
                _ => wrong(format!("`{text}` names no object; it must look like s3://BUCKET/KEY")),
            };
        }
        if let Some(rest) = text.strip_prefix("github:") {
            return match Asset::read(rest) {
                Some(asset) => Ok(Self::GitHub(asset)),
                None => wrong(format!(
                    "`{text}` names no release; it must look like github:OWNER/REPO, github:OWNER/REPO@TAG or \
                     github:OWNER/REPO@TAG:ASSET"
                )),
            };
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let Ok(url) = Url::parse(text) else { return wrong(format!("`{}` is not a URL", shown(text))) };
            if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
                return wrong(format!("a bundle cannot come from `{scheme}://`"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(Error::new(
                    Exit::Usage,
                    format!("the URL {} has a user name or a password in it", shown_url(&url)),
                )
                .hint("everybody on the machine sees a command's arguments; download the file yourself, and name it"));
            }
            return Ok(Self::Url(url));
        }
        Ok(Self::Path(text.into()))
    }
}

/// As it may be shown: a URL's query may be a signature, so it is left out.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Url(url) => f.write_str(&shown_url(url)),
            Self::GitHub(asset) => write!(f, "github:{asset}"),
        }
    }
}

/// A URL without what may be secret.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    let had_query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    // Both only fail where a URL can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if had_query { format!("{url}?...") } else { url.to_string() }
}

/// What cannot be read as a URL, without what may be secret.
fn shown(text: &str) -> &str {
    let end = text.find(['?', '#', '@']).unwrap_or(text.len());
    &text[..end]
}

/// How a bundle is fetched.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The SHA-256 that it must have, in lowercase hexadecimal.
    pub sha256: Option<String>,
    /// The most bytes.
    pub most: u64,
    /// Where GitHub's REST interface is.
    pub github: Url,
    /// For releases of private repositories. It is sent to [`Self::github`] and nowhere else.
    pub github_token: Option<SecretString>,
}

/// GitHub's own REST interface.
pub const GITHUB: &str = "https://api.github.com";

impl Wanted {
    /// The defaults, with `GITHUB_API_URL` and `GITHUB_TOKEN` of this environment.
    ///
    /// # Errors
    /// The checksum is none, or the URL is none.
    pub fn new(sha256: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let github = variable("GITHUB_API_URL").filter(|url| !url.is_empty());
        let github = github.unwrap_or_else(|| GITHUB.to_owned());
        let github = Url::parse(&github).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(github) = github.filter(Url::has_host) else {
            return Err(Error::new(Exit::Settings, "GITHUB_API_URL is not a URL")
                .hint(format!("it is {GITHUB} where nothing else is said")));
        };
        let token = variable("GITHUB_TOKEN").filter(|token| !token.trim().is_empty());
        Ok(Self {
            sha256: sha256.map(checksum).transpose()?,
            most: LARGEST,
            github,
            github_token: token.map(|token| token.trim().to_owned().into()),
        })
    }
}

/// A SHA-256 in hexadecimal, also with `sha256:` in front.
fn checksum(text: &str) -> Result<String, Error> {
    let hex = text.trim().strip_prefix("sha256:").unwrap_or(text.trim()).to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    Err(Error::new(Exit::Usage, format!("`{}` is not a SHA-256", text.escape_debug()))
        .hint("it has 64 hexadecimal digits, as `sha256sum FILE` prints them"))
}

/// Reads objects of S3. This crate knows no AWS: the one that does implements it.
pub trait ReadObject {
    /// Writes an object into a new file, and refuses one with more bytes than `most`.
    fn read_object(
        &self,
        bucket: &str,
        key: &str,
        into: &Path,
        most: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A bundle on this machine.
#[derive(Debug)]
pub struct Fetched {
    /// The file or the directory.
    pub path: PathBuf,
    /// Where it came from, as it may be shown.
    pub from: String,
    /// Its SHA-256 where it is a file that was downloaded or checked.
    pub sha256: Option<String>,
    /// Removed at the end.
    _scratch: Option<tempfile::TempDir>,
}

impl Fetched {
    /// An error about the file, which names where it came from.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        error.naming(&self.path, &self.from)
    }

    /// Findings about the file, which name where it came from.
    #[must_use]
    pub fn named(&self, findings: &[Finding]) -> Vec<Finding> {
        let path = self.path.display().to_string();
        findings.iter().map(|finding| crate::error::named(finding.clone(), &path, &self.from)).collect()
    }
}

/// Brings a bundle to this machine. `scratch` is the directory below which downloads lie.
///
/// # Errors
/// It is not there, is too large, has another checksum, or the way to it fails.
pub async fn fetch(
    source: &Source,
    wanted: &Wanted,
    objects: &impl ReadObject,
    scratch: &Path,
) -> Result<Fetched, Error> {
    if let Source::Path(path) = source {
        return on_this_machine(path, wanted);
    }
    let dir = tempfile::Builder::new().prefix("mainstay-bundle-").tempdir_in(scratch).map_err(|error| {
        Error::new(Exit::NotReady, format!("cannot make a directory in {}: {error}", scratch.display()))
    })?;
    let path = dir.path().join(file_name(source));
    let mut expected = wanted.sha256.clone();
    match source {
        Source::Path(_) => {}
        Source::S3 { bucket, key } => objects.read_object(bucket, key, &path, wanted.most).await?,
        Source::Url(url) => download::url(url, wanted, &path).await?,
        Source::GitHub(asset) => {
            let digest = github::download(asset, wanted, &path).await?;
            expected = expected.or(digest);
        }
    }
    let sha256 = sha256_of(&path)?;
    match_checksum(&source.to_string(), &sha256, expected.as_deref())?;
    Ok(Fetched { path, from: source.to_string(), sha256: Some(sha256), _scratch: Some(dir) })
}

fn on_this_machine(path: &Path, wanted: &Wanted) -> Result<Fetched, Error> {
    let from = path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(|error| {
        let hint = if error.kind() == std::io::ErrorKind::NotFound { FORMS } else { "check its permissions" };
        unread(path, &error).hint(hint)
    })?;
    let sha256 = match &wanted.sha256 {
        Some(_) if metadata.is_dir() => {
            return Err(Error::new(Exit::Usage, format!("{from} is a directory, which has no SHA-256"))
                .hint("make a bundle of it with `mainstay apps bundle`, or leave `--sha256` out"));
        }
        Some(expected) => {
            let sha256 = sha256_of(path)?;
            match_checksum(&from, &sha256, Some(expected))?;
            Some(sha256)
        }
        None => None,
    };
    Ok(Fetched { path: path.to_owned(), from, sha256, _scratch: None })
}

fn match_checksum(from: &str, sha256: &str, expected: Option<&str>) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != sha256 => {
            Err(Error::new(Exit::Refused, format!("{from} has the SHA-256 {sha256}, not {expected}")).hint(
                "it is another file than the one that was meant: look where it comes from before you use it",
            ))
        }
        _ => Ok(()),
    }
}

/// The name that the file gets: messages about what is in it name it.
fn file_name(source: &Source) -> String {
    let last = match source {
        Source::Path(_) => "",
        Source::S3 { key, .. } => key.rsplit('/').next().unwrap_or_default(),
        Source::Url(url) => url.path().rsplit('/').next().unwrap_or_default(),
        Source::GitHub(asset) => asset.name.as_deref().unwrap_or_default(),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let name: String = last.chars().filter(|letter| plain(*letter)).take(100).collect();
    if name.trim_matches('.').is_empty() { "bundle.zip".to_owned() } else { name }
}

/// The SHA-256 of a file, in lowercase hexadecimal.
fn sha256_of(path: &Path) -> Result<String, Error> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| unread(path, &error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    Ok(crate::names::hex(context.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_shown() {
        for text in [
            "app.zip",
            "./dir",
            "s3://bucket/path/to/app.zip",
            "https://example.org/app.zip",
            "github:owner/repo",
            "github:owner/repo@v1.0.0",
            "github:owner/repo@v1.0.0:app.zip",
            "github:owner/repo:app.zip",
        ] {
            assert_eq!(Source::read(text).expect(text).to_string(), text);
        }
        assert_eq!(
            Source::read("s3://b/k/a.zip").expect("an object"),
            Source::S3 { bucket: "b".to_owned(), key: "k/a.zip".to_owned() }
        );
    }

    #[test]
    fn what_has_no_form_is_refused_with_the_forms() {
        for text in [
            "",
            "s3://bucket",
            "s3://bucket/",
            "s3:///key",
            "ftp://x/y",
            "https://",
            "github:owner",
            "github:owner/repo@",
            "github:owner/repo:",
            "github:a/b/c",
            "github:owner/..",
        ] {
            let error = Source::read(text).expect_err(text);
            assert_eq!((error.exit, error.hint.as_deref()), (Exit::Usage, Some(FORMS)), "{text}");
        }
    }

    #[test]
    fn a_secret_in_a_url_is_not_shown() {
        let signed = Source::read("https://example.org/a.zip?X-Amz-Signature=hush").expect("a signed URL");
        assert_eq!(signed.to_string(), "https://example.org/a.zip?...");
        let error = Source::read("https://me:hush@example.org/a.zip").expect_err("a password");
        assert!(
            !error.what.contains("hush") && error.what.contains("https://example.org/a.zip"),
            "{}",
            error.what
        );
        let error = Source::read("https://me:hu sh@:bad/a.zip").expect_err("no URL");
        assert!(!error.what.contains("hu sh@"), "{}", error.what);
    }

    #[test]
    fn a_checksum_is_64_digits() {
        let none = |_: &str| None;
        let hex = "AB".repeat(32);
        assert_eq!(Wanted::new(Some(&hex), none).expect("valid").sha256, Some("ab".repeat(32)));
        assert_eq!(
            Wanted::new(Some(&format!("sha256:{hex}")), none).expect("valid").sha256,
            Some("ab".repeat(32))
        );
        for text in ["", "ab", &"g".repeat(64)] {
            assert_eq!(Wanted::new(Some(text), none).expect_err("refused").exit, Exit::Usage);
        }
        let bad = |name: &str| (name == "GITHUB_API_URL").then(|| "example.org".to_owned());
        assert_eq!(Wanted::new(None, bad).expect_err("refused").exit, Exit::Settings);
    }

    #[test]
    fn a_downloaded_file_keeps_a_name_that_is_safe() {
        let named = |text: &str| file_name(&Source::read(text).expect(text));
        assert_eq!(named("https://example.org/x/app-1.0.zip?a=b"), "app-1.0.zip");
        assert_eq!(named("https://example.org/"), "bundle.zip");
        assert_eq!(named("s3://b/a/.."), "bundle.zip");
        assert_eq!(named("s3://b/a b.zip"), "ab.zip");
    }
}
