//! Who pushes: what `docker login` has kept for a registry, in docker's config.json or with a helper that it names.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci::Credentials;
use serde::Deserialize;

use crate::error::{Error, Kind};

/// Docker's config.json is not longer, nor what a helper answers, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Under which name `docker login` without a registry keeps its account.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The name that helpers give where the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Docker's config.json, as far as it is about accounts. Without `Debug`: there are secrets in it.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Accounts {
    auths: BTreeMap<String, Account>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Account {
    /// `user:password` in Base64.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The account for `registry` (`ghcr.io`, `127.0.0.1:5000`, `docker.io`) that `docker login` has kept; `None` = it has kept none.
/// `variables` say where: `DOCKER_CONFIG`, otherwise `HOME`.
///
/// # Errors
/// The file or its helper cannot be read; what it keeps is an identity token, which only docker itself can use.
pub fn login_for(registry: &str, variables: &BTreeMap<String, String>) -> Result<Option<Credentials>, Error> {
    let Some(path) = config_file(variables) else { return Ok(None) };
    let text = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::path("read", path, &error)),
        Ok(file) => {
            let mut text = String::new();
            file.take(LONGEST)
                .read_to_string(&mut text)
                .map_err(|error| Error::path("read", &path, &error))?;
            text
        }
    };
    kept(registry, &text, &path)
}

fn config_file(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    let given = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let dir = given("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(Path::new(given("HOME")?).join(".docker")))?;
    Some(dir.join("config.json"))
}

fn kept(registry: &str, text: &str, path: &Path) -> Result<Option<Credentials>, Error> {
    // The parser's own words could repeat a secret.
    let accounts: Accounts = serde_json::from_str(text).map_err(|error| {
        let place = format!("{}:{}:{}", path.display(), error.line(), error.column());
        Error::new(Kind::Settings, format!("{place}: this is not docker's configuration"))
            .hint("mend it, run `docker login` again, or give `--username` and `--password-file`")
    })?;
    let key = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let helper = accounts.cred_helpers.get(registry).or(accounts.creds_store.as_ref());
    if let Some(helper) = helper
        && let Some(found) = ask(helper, key)?
    {
        return Ok(Some(found));
    }
    let account = accounts.auths.iter().find(|(name, _)| host(name) == host(key));
    match account.map(|(_, account)| account) {
        Some(Account { identitytoken: Some(_), .. }) => Err(identity_token(registry)),
        Some(Account { auth: Some(auth), .. }) => decoded(auth).map(Some).ok_or_else(|| {
            Error::new(Kind::Settings, format!("{}: the account for {registry} is damaged", path.display()))
                .hint(format!(
                    "run `docker login {registry}` again, or give `--username` and `--password-file`"
                ))
        }),
        _ => Ok(None),
    }
}

/// The host of a key: older dockers wrote addresses.
fn host(key: &str) -> &str {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
    bare.split('/').next().unwrap_or_default()
}

fn decoded(auth: &str) -> Option<Credentials> {
    let pair = String::from_utf8(BASE64_STANDARD.decode(auth).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').into() })
}

fn identity_token(registry: &str) -> Error {
    Error::not_ready(format!(
        "`docker login` keeps an identity token for {registry}, which only docker can use"
    ))
    .hint("give `--username NAME --password-file FILE`, with a password or an access token")
}

/// Asks `docker-credential-HELPER`; `None` where it knows no such account.
fn ask(helper: &str, key: &str) -> Result<Option<Credentials>, Error> {
    // It becomes part of a program's name.
    if helper.is_empty() || helper.contains(['/', '\0']) {
        return Err(Error::new(
            Kind::Settings,
            format!("docker's configuration names the helper {helper:?}"),
        ));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| {
        Error::not_ready(format!("`{program}`, which docker's configuration names, {why}"))
            .hint("mend it, or give `--username` and `--password-file`")
    };
    let child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child =
        child.map_err(|error| failed(format!("cannot be run: {}", crate::error::reason(&error))))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its question is judged by its answer.
        let _ = stdin.write_all(key.as_bytes());
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = stdout.take(LONGEST).read_to_end(&mut said);
    }
    let status = child.wait().map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    if !status.success() {
        // The protocol's words for "there is none"; anything else is trouble.
        let none = String::from_utf8_lossy(&said).contains("credentials not found");
        return if none { Ok(None) } else { Err(failed(format!("ended with {status}"))) };
    }
    let answer: Answer =
        serde_json::from_slice(&said).map_err(|_| failed("answered what is no account".to_owned()))?;
    match answer {
        Answer { username, .. } if username == TOKEN_USER => Err(identity_token(host(key))),
        Answer { username, secret } => Ok(Some(Credentials { user: username, password: secret.into() })),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn found(registry: &str, text: &str) -> Result<Option<(String, String)>, Error> {
        let kept = kept(registry, text, Path::new("config.json"))?;
        Ok(kept.map(|kept| (kept.user, kept.password.expose_secret().to_owned())))
    }

    #[test]
    fn an_account_is_found_by_its_host() {
        // ann:s:3cret
        let auth = r#"{"auth":"YW5uOnM6M2NyZXQ="}"#;
        let ann = Some(("ann".to_owned(), "s:3cret".to_owned()));
        for (registry, key) in [
            ("ghcr.io", "ghcr.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("old.example", "https://old.example/v1/"),
            ("docker.io", DOCKER_HUB),
        ] {
            let text = format!(r#"{{"auths":{{"{key}":{auth}}},"psFormat":"x"}}"#);
            assert_eq!(found(registry, &text).expect("readable"), ann, "{registry}");
            assert_eq!(found("other.example", &text).expect("readable"), None);
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_secret() {
        for text in [
            r#"{"auths":{"h.io":{"auth":"YW5u"}}}"#,
            r#"{"auths":{"h.io":{"auth":"YW5uOnM6M2NyZXQ=","identitytoken":"t0ken"}}}"#,
            r#"{"auths":{"h.io":{"auth":{"t0ken":1}}}}"#,
            r#"{"auths":"t0ken"}"#,
            "t0ken",
            r#"{"credsStore":"../t0ken"}"#,
            r#"{"credHelpers":{"h.io":"no-such-helper-anywhere"}}"#,
        ] {
            let error = found("h.io", text).expect_err(text);
            let shown = format!("{} {:?} {:?}", error.what, error.hint, error.detail);
            assert!(!shown.contains("YW5u") && (!shown.contains("t0ken") || text.contains("../")), "{shown}");
        }
    }
}
