//! A deployment as a file for Docker Compose: the server, its database, their volumes and secrets, as docker-mattermost's quick start has
//! them, with everything that `mainstay.toml` and the environment say.
//!
//! What is written is right for Compose 1.29 and 2.x: `version: "3.8"`, and nothing that only one of them knows. Secrets are in files
//! beside it that only their owner reads; they are given once, so that nothing is ever overwritten.

mod carried;
mod env_file;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use settings::Secrets;

use crate::error::{Error, Kind};
use crate::image;
use crate::place::layout::VOLUME;
use crate::place::machine::host_name;
use crate::state::desired::default_site_url;
use crate::state::settled::settings_of;
use crate::world::World;
use carried::Variable;

/// The image of the database: the newest line whose volume is where all before it have it.
pub const DATABASE_IMAGE: &str = "postgres:17";

/// Where the server's port is published: this machine alone, at docker-mattermost's documented port.
pub const PUBLISH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The database's name and its user's.
const MATTERMOST: &str = "mattermost";
/// The database's service, which is its host name as well.
const DATABASE: &str = "database";
const SERVER_SECRETS: &str = "mattermost.env";
const DATABASE_SECRETS: &str = "database.env";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The server's image; `None` = as `image build` calls it for this deployment's release.
    pub image: Option<oci::Reference>,
    /// The database's image.
    pub database_image: String,
    /// Where people reach the server.
    pub publish: SocketAddr,
}

/// A file to write. `Debug` shows no text: it may hold secrets.
#[derive(Clone)]
pub struct Document {
    /// Its name, in the directory of the compose file.
    pub path: PathBuf,
    /// What is in it.
    pub text: SecretString,
    /// Whether its owner alone may read it.
    pub private: bool,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("path", &self.path).field("private", &self.private).finish()
    }
}

/// The files of a deployment for Compose, `file` being the main one.
///
/// # Errors
/// A setting is wrong, or is a secret that an env-file cannot hold.
pub fn documents(world: &World, request: &Request, file: &Path) -> Result<Vec<Document>, Error> {
    let release = crate::present_release(&world.layout);
    let resolved = settings_of(world, &crate::wanted_file(&world.layout)?, &release.version)?;
    let image = match &request.image {
        Some(image) => image::familiar(image),
        None => image::familiar(&image::default_name(&release)?),
    };
    let mut variables = carried::variables(&resolved, &world.variables);
    if resolved.value("ServiceSettings", "SiteURL").is_none() {
        let url = default_site_url(request.publish, &host_name());
        variables.push(Variable::plain("MATTERMOST_SITE_URL", &url));
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
    let known =
        if world.layout.secrets().exists() { world.secrets()? } else { Secrets::generate(MATTERMOST) };
    for (row, salt) in known.salts() {
        if !variables.iter().any(|variable| variable.name == row.name) {
            variables.push(Variable::secret(row.name, salt.expose_secret()));
        }
    }
    variables.sort_by(|one, other| one.name.cmp(&other.name));

    let (secret, open): (Vec<_>, Vec<_>) = variables.into_iter().partition(|variable| variable.secret);
    let dir = file.parent().unwrap_or(Path::new(""));
    let private = |name: &str, lines: String| Document {
        path: dir.join(name),
        text: format!("# Given once: keep this file with your backups, and change nothing in it.\n{lines}")
            .into(),
        private: true,
    };
    let mut documents = vec![private(SERVER_SECRETS, env_file::lines(&secret)?)];
    if !external {
        let line = env_file::lines(&[Variable::secret("POSTGRES_PASSWORD", password.expose_secret())])?;
        documents.push(private(DATABASE_SECRETS, line));
    }
    let text = compose_file(&image, request, &open, !external);
    documents.push(Document { path: file.to_owned(), text: text.into(), private: false });
    Ok(documents)
}

/// Writes them all, or none: nothing that is there is written over.
///
/// # Errors
/// One of them is there already; the disk refuses.
pub fn write(documents: &[Document]) -> Result<(), Error> {
    if let Some(taken) = documents.iter().find(|document| document.path.symlink_metadata().is_ok()) {
        return Err(Error::new(Kind::Refused, format!("{} is there already", taken.path.display())).hint(
            "its secrets must not change once the server has run: edit the compose file by hand, or write a new set to another directory with \
             `--output DIR/docker-compose.yml`",
        ));
    }
    for (index, document) in documents.iter().enumerate() {
        if let Err(error) = write_new(document) {
            for written in &documents[..index] {
                // The cause is worth more than what cannot be removed either.
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

/// A text as YAML and Compose read it back: a double-quoted scalar, in which Compose itself replaces `$`.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

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
# The secrets are in the env-files beside this one: keep them with your backups.
version: "3.8"

services:
  {MATTERMOST}:
    image: {image}
    restart: unless-stopped{needs}
    ports:
      - "{publish}:80"{environment}
    env_file:
      - {SERVER_SECRETS}
    volumes:
      - "{MATTERMOST}:{VOLUME}"
    stop_grace_period: 30s
{service}
volumes:
  {MATTERMOST}:{volume}
"#,
        image = quoted(image),
        publish = request.publish,
    )
}
