//! The account that `docker login` saved for a registry: in docker's config.json, or with a credential helper that the file names.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use finding::Exit;
use host::tool::{End, Tool, ToolError};
use oci::Credentials;
use serde::Deserialize;

use crate::error::Error;

/// How much of docker's config.json is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// How much of a helper's answer is kept, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How long a helper may take: it may ask for a passphrase.
const HELPER_LIMIT: Duration = Duration::from_secs(300);

/// The key that `docker login` uses when no registry is named.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The user name that helpers return when the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The accounts in docker's config.json. No `Debug`, because it holds secrets.
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

/// A helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The account that `docker login` saved for `registry` (`ghcr.io`, `127.0.0.1:5000`, `docker.io`); `None` = there is none.
/// `variables` say where the file is: `DOCKER_CONFIG`, otherwise `HOME`.
///
/// # Errors
/// The file cannot be read, or its helper fails; the saved account is an identity token, which only docker itself can use.
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
    saved(registry, &text, &path)
}

fn config_file(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    let given = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let dir = given("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(Path::new(given("HOME")?).join(".docker")))?;
    Some(dir.join("config.json"))
}

fn saved(registry: &str, text: &str, path: &Path) -> Result<Option<Credentials>, Error> {
    // The parser's message could repeat a secret.
    let accounts: Accounts = serde_json::from_str(text).map_err(|error| {
        let place = format!("{}:{}:{}", path.display(), error.line(), error.column());
        Error::new(Exit::Settings, format!("{place}: this is not a valid docker configuration"))
            .hint("correct the file, run `docker login` again, or give `--username` and `--password-file`")
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
            Error::new(Exit::Settings, format!("{}: the account for {registry} is damaged", path.display()))
                .hint(finding::hint!(
                    "run `docker login {}` again, or give `--username` and `--password-file`",
                    registry
                ))
        }),
        _ => Ok(None),
    }
}

/// The host in a key: old versions of docker wrote URLs.
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
        "`docker login` saved an identity token for {registry}, and only docker can use it"
    ))
    .hint("give `--username NAME --password-file FILE`, with a password or an access token")
}

/// Asks `docker-credential-HELPER`; `None` = it has no account for this registry.
fn ask(helper: &str, key: &str) -> Result<Option<Credentials>, Error> {
    // The name becomes part of a program's file name.
    if helper.is_empty() || helper.contains(['/', '\0']) {
        return Err(Error::new(
            Exit::Settings,
            format!(
                "docker's configuration names the credential helper {helper:?}, which is not a file name"
            ),
        ));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| {
        Error::not_ready(format!("the credential helper `{program}` in docker's configuration {why}"))
            .hint("repair it, or give `--username` and `--password-file`")
    };
    let asked = Tool::new(&program, HELPER_LIMIT)
        .arg("get")
        .inherit_environment()
        .keep(LONGEST_ANSWER)
        .input(key.into())
        .run_blocking();
    let output = match asked {
        Ok(output) => output,
        // The protocol's message for "no such account"; anything else is an error.
        Err(error) if error.output.stdout.contains("credentials not found") => return Ok(None),
        Err(ToolError { end: End::NotStarted { source, .. }, .. }) => {
            return Err(failed(format!("cannot be run: {}", finding::disk::reason(&source))));
        }
        // Without its output, which may contain the secret.
        Err(error) => return Err(failed(error.end.to_string())),
    };
    let answer: Answer = serde_json::from_str(&output.stdout)
        .map_err(|_| failed("gave an answer that is not an account".to_owned()))?;
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
        let account = saved(registry, text, Path::new("config.json"))?;
        Ok(account.map(|account| (account.user, account.password.expose_secret().to_owned())))
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
    fn errors_do_not_repeat_secrets() {
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
            let shown = format!("{error:?}");
            assert!(!shown.contains("YW5u") && (!shown.contains("t0ken") || text.contains("../")), "{shown}");
        }
    }
}
