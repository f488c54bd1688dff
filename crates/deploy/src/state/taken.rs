//! A Mattermost that was installed by other means, and with which a deployment goes on: its config.json, and where its files are.

use std::path::{Path, PathBuf};

use dsn::DataSource;
use serde_json::Value;

use crate::error::{Error, Exit};
use crate::state::config_file;

/// What the config.json that `--take-over` names says. Without `Debug`: it holds secrets.
#[derive(Clone)]
pub(crate) struct Taken {
    /// The file, absolute.
    pub path: PathBuf,
    /// What it says.
    pub config: Value,
    /// The file that is its database, where it has one and no server.
    pub database: Option<PathBuf>,
    /// The files that people uploaded, where they are on this machine and not in the deployment's own directory.
    pub files: Option<Files>,
}

/// A directory with the files that people uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// Where it is.
    pub from: PathBuf,
    /// What is at its top.
    pub names: Vec<String>,
}

impl Taken {
    /// `own` is the directory where the deployment keeps files.
    ///
    /// # Errors
    /// The file cannot be read, or is no config.json.
    pub(crate) fn read(path: &Path, own: &Path) -> Result<Self, Error> {
        let absolute = std::path::absolute(path).map_err(|error| Error::path("find", path, &error))?;
        let config = config_file::read(&absolute)?;
        if !config["SqlSettings"].is_object() {
            return Err(Error::new(
                Exit::Usage,
                format!(
                    "`--take-over {}`: it has no `SqlSettings`, so it is no Mattermost's config.json",
                    path.display()
                ),
            )
            .hint("name the config.json of the Mattermost, as in /opt/mattermost/config/config.json"));
        }
        let files = files(&absolute, &config).filter(|from| !is_same(from, own));
        let files = files.map(|from| Ok::<_, Error>(Files { names: names_in(&from)?, from })).transpose()?;
        let database = database(&absolute, &config);
        Ok(Self { path: absolute, config, database, files })
    }

    /// The site URL that it was used at.
    pub(crate) fn site_url(&self) -> Option<&str> {
        self.config["ServiceSettings"]["SiteURL"].as_str().filter(|url| !url.is_empty())
    }
}

/// The file in which a Mattermost keeps its tables, where it is there.
fn database(path: &Path, config: &Value) -> Option<PathBuf> {
    let sql = &config["SqlSettings"];
    if sql["DriverName"] != "sqlite" {
        return None;
    }
    let source = sql["DataSource"].as_str()?;
    let file = match source.parse() {
        Ok(DataSource::Sqlite(file)) => file,
        _ => source.into(),
    };
    Some(path.parent()?.parent()?.join(file)).filter(|file| file.is_file())
}

/// Where the files of a Mattermost are on this machine; `None` = they are in a store elsewhere, or there is no such directory.
///
/// A relative path is relative to the installation's directory, in which `config` is.
fn files(path: &Path, config: &Value) -> Option<PathBuf> {
    let files = &config["FileSettings"];
    if files["DriverName"].as_str().is_some_and(|driver| !driver.is_empty() && driver != "local") {
        return None;
    }
    let directory = files["Directory"].as_str().filter(|dir| !dir.is_empty()).unwrap_or("./data/");
    let installation = path.parent()?.parent()?;
    // Without the dots that the default has.
    let path: PathBuf = installation.join(directory).components().collect();
    path.is_dir().then_some(path)
}

fn is_same(one: &Path, other: &Path) -> bool {
    std::fs::canonicalize(one).is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn names_in(dir: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: std::io::Error| Error::path("read", dir, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn its_files_are_found_where_the_old_server_looked_for_them() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("data")).expect("made");
        let files = |settings: Value| {
            files(&dir.path().join("config/config.json"), &json!({ "FileSettings": settings }))
        };
        let data = Some(dir.path().join("data"));
        assert_eq!(files(json!({"DriverName": "local", "Directory": "./data/"})), data);
        assert_eq!(files(json!({})), data);
        assert_eq!(files(json!({"Directory": dir.path().join("data")})), data);
        assert_eq!(files(json!({"Directory": "/no/such/directory"})), None);
        assert_eq!(files(json!({"DriverName": "amazons3", "Directory": "./data/"})), None);
    }

    #[test]
    fn another_json_file_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("package.json");
        std::fs::write(&path, "{}").expect("written");
        let refused = Taken::read(&path, dir.path()).map(drop).expect_err("no config.json");
        assert!(refused.exit == Exit::Usage && refused.what.contains("SqlSettings"), "{refused}");
    }
}
