//! A deployment as a file for Docker Compose: the server, its database, their volumes and secrets, as in docker-mattermost's quick start,
//! with everything that `mainstay.toml` and the environment say.
//!
//! The file works with Compose 1.29 and 2.x: `version: "3.8"`, and nothing that only one of them supports. Secrets are in env-files next to
//! it that only their owner may read. They must not change once the server has run, so no file is ever overwritten.

mod carried;
mod env_file;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use container_contract::{BACKUPS, VOLUME};
use finding::Exit;
use release::ReleaseId;
use secrecy::{ExposeSecret as _, SecretString};
use settings::{Resolved, Secrets};

use crate::error::Error;
use crate::name::{default_name, familiar};
use carried::Variable;

/// The database's image: the newest major version that keeps its data in the same place as all before it.
pub const DATABASE_IMAGE: &str = "postgres:17";

/// Where the server's port is published: only on this machine, at the port in docker-mattermost's documentation.
pub const PUBLISH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The name of the database and of its user.
const MATTERMOST: &str = "mattermost";
/// The database's service, which is also its host name.
const DATABASE: &str = "database";
const SERVER_SECRETS: &str = "mattermost.env";
const DATABASE_SECRETS: &str = "database.env";

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The server's image; `None` = the name that `image build` gives to this deployment's release.
    pub image: Option<oci::Reference>,
    /// The database's image.
    pub database_image: String,
    /// Where people reach the server.
    pub publish: SocketAddr,
    /// The compose file. The env-files are written to its directory.
    pub file: PathBuf,
}

/// The deployment that the file is made from.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// Its release.
    pub release: &'a ReleaseId,
    /// Its settings, from every source.
    pub settings: &'a Resolved,
    /// The environment that the settings were read from.
    pub environment: &'a BTreeMap<String, String>,
    /// Its secrets; `None` = it has none yet, and new ones are generated.
    pub secrets: Option<&'a Secrets>,
    /// The site URL to use when the settings have none.
    pub default_site_url: &'a str,
}

/// A file to write. `Debug` does not show the text, because it may hold secrets.
#[derive(Clone)]
pub struct Document {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub text: SecretString,
    /// Whether only its owner may read it.
    pub private: bool,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("path", &self.path).field("private", &self.private).finish()
    }
}

/// The files for Compose; the compose file itself is the last one.
///
/// # Errors
/// A secret has characters that an env-file cannot hold.
pub fn documents(deployment: &Deployment<'_>, request: &Request) -> Result<Vec<Document>, Error> {
    let resolved = deployment.settings;
    let image = match &request.image {
        Some(image) => familiar(image),
        None => familiar(&default_name(deployment.release)?),
    };
    let mut variables = carried::variables(resolved, deployment.environment);
    if resolved.value("ServiceSettings", "SiteURL").is_none() {
        variables.push(Variable::plain("MATTERMOST_SITE_URL", deployment.default_site_url));
    }
    let external = resolved.value("SqlSettings", "DataSource").is_some();
    let password: SecretString = settings::random_password();
    if !external {
        for (name, value) in [
            ("DB_ADAPTER", "postgres"),
            ("DB_HOST", DATABASE),
            ("DB_NAME", MATTERMOST),
            ("DB_USER", MATTERMOST),
        ] {
            variables.push(Variable::plain(name, value));
        }
        variables.push(Variable::secret("DB_PASS", password.expose_secret()));
    }
    let generated;
    let secrets = match deployment.secrets {
        Some(secrets) => secrets,
        None => {
            generated = Secrets::generate(MATTERMOST);
            &generated
        }
    };
    for (row, salt) in secrets.salts() {
        if !variables.iter().any(|variable| variable.name == row.name) {
            variables.push(Variable::secret(row.name, salt.expose_secret()));
        }
    }
    variables.sort_by(|one, other| one.name.cmp(&other.name));

    let (secret, open): (Vec<_>, Vec<_>) = variables.into_iter().partition(|variable| variable.secret);
    let dir = request.file.parent().unwrap_or(Path::new(""));
    let private = |name: &str, lines: String| Document {
        path: dir.join(name),
        text: format!("# Generated once. Keep this file with your backups, and do not change it.\n{lines}")
            .into(),
        private: true,
    };
    let mut documents = vec![private(SERVER_SECRETS, env_file::lines(&secret)?)];
    if !external {
        let line = env_file::lines(&[Variable::secret("POSTGRES_PASSWORD", password.expose_secret())])?;
        documents.push(private(DATABASE_SECRETS, line));
    }
    let text = compose_file(&image, request, &open, !external);
    documents.push(Document { path: request.file.clone(), text: text.into(), private: false });
    Ok(documents)
}

/// Writes all of them, or none. An existing file is never overwritten.
///
/// # Errors
/// One of them exists already; the disk is full or read-only.
pub fn write(documents: &[Document]) -> Result<(), Error> {
    if let Some(taken) = documents.iter().find(|document| document.path.symlink_metadata().is_ok()) {
        return Err(Error::new(Exit::Refused, format!("{} exists already", taken.path.display())).hint(
            "its secrets must not change once the server has run: edit the compose file by hand, or write new files to another directory with \
             `--output DIR/docker-compose.yml`",
        ));
    }
    for (index, document) in documents.iter().enumerate() {
        if let Err(error) = write_new(document) {
            for written in &documents[..index] {
                // The first error is the one to report.
                let _ = std::fs::remove_file(&written.path);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn write_new(document: &Document) -> Result<(), Error> {
    let path = &document.path;
    let failed = |error: std::io::Error| Error::path("write", path, &error);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(document.text.expose_secret().as_bytes()).map_err(failed)?;
    if !document.private {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::fchmod(file.as_file(), mode).map_err(|error| failed(error.into()))?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map(drop).map_err(|error| failed(error.error))
}

/// A text as a double-quoted YAML scalar, with `$` escaped because Compose replaces variables in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

/// The volume for backups.
const SNAPSHOTS: &str = "backups";

fn compose_file(image: &str, request: &Request, open: &[Variable], with_database: bool) -> String {
    let environment: String = open
        .iter()
        .map(|variable| format!("\n      {}: {}", variable.name, quoted(&variable.text)))
        .collect();
    let environment = match environment.as_str() {
        "" => String::new(),
        lines => format!("\n    environment:{lines}"),
    };
    let needs = if with_database { format!("\n    depends_on:\n      - {DATABASE}") } else { String::new() };
    let (service, volume) = if with_database {
        (
            format!(
                r#"
  {DATABASE}:
    image: {image}
    restart: unless-stopped
    environment:
      POSTGRES_DB: "{MATTERMOST}"
      POSTGRES_USER: "{MATTERMOST}"
    env_file:
      - {DATABASE_SECRETS}
    volumes:
      - "{DATABASE}:/var/lib/postgresql/data"
    healthcheck:
      test: ["CMD", "pg_isready", "--username", "{MATTERMOST}", "--dbname", "{MATTERMOST}"]
      interval: 10s
      timeout: 5s
      retries: 5
    stop_grace_period: 1m
"#,
                image = quoted(&request.database_image)
            ),
            format!("\n  {DATABASE}:"),
        )
    } else {
        (String::new(), String::new())
    };
    format!(
        r#"# Mattermost, made by `mainstay export compose`. Start it with `docker-compose up --detach`.
# The secrets are in the env-files next to it: keep them with your backups.
version: "3.8"

services:
  {MATTERMOST}:
    image: {image}
    restart: unless-stopped{needs}
    ports:
      - "{publish}"{environment}
    env_file:
      - {SERVER_SECRETS}
    volumes:
      - "{MATTERMOST}:{VOLUME}"
      - "{SNAPSHOTS}:{BACKUPS}"
    stop_grace_period: 30s
{service}
volumes:
  {MATTERMOST}:
  {SNAPSHOTS}:{volume}
"#,
        image = quoted(image),
        publish = published(request.publish),
    )
}
/// The server's port 80 as Compose publishes it; without an address on every one, of both families.
fn published(at: SocketAddr) -> String {
    if at.is_ipv6() && at.ip().is_unspecified() { format!("{}:80", at.port()) } else { format!("{at}:80") }
}
