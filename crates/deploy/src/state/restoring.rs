//! A snapshot that a deployment is made of again: what is known of it before anything is changed.

use std::io::{self, Write};
use std::path::Path;

use backup::{Manifest, Repository};
use release::ReleaseId;
use serde_json::{Map, Value};
use settings::{Memory, Wanted};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::backups::access::{Elsewhere, told};
use crate::state::backups::set::{DATABASE, DEPLOYMENT, FILES};
use crate::state::identity::Identity;
use crate::state::location::SECTION;

/// The manifest's name.
pub(crate) const MANIFEST: &str = "mainstay.json";

/// The SQLite file of the built-in server, by its name in [`DATABASE`].
pub(crate) const SQLITE: &str = "mattermost.db";

/// The folders of a snapshot that become directories of a deployment, whether the snapshot has them or not, and what these are called.
pub(crate) const DIRECTORIES: [(&str, &str); 4] = [
    (FILES, "data"),
    (CONFIG, "config"),
    ("deployment/plugins", "plugins"),
    ("deployment/client-plugins", "client-plugins"),
];

/// The folder of config.json.
pub(crate) const CONFIG: &str = "deployment/config";

/// The folder of the apps that run on this machine.
pub(crate) const APPS: &str = "deployment/apps";

/// The folder of releases.
pub(crate) const RELEASES: &str = "deployment/releases";

/// A snapshot, looked at. Without `Debug`: its config.json holds secrets.
#[derive(Clone)]
pub(crate) struct Restoring {
    /// Where it is.
    pub from: Elsewhere,
    /// Its id, in full.
    pub snapshot: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The release that wrote it.
    pub release: ReleaseId,
    /// The folders that are fetched.
    pub folders: Vec<String>,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of the dump.
    pub dump: u64,
    /// The mainstay.toml that is placed, where there is none.
    pub wanted: Option<Placed>,
    /// The config.json that the deployment's own is made of.
    pub config: Option<Value>,
    /// What was remembered of it.
    pub memory: Option<Memory>,
    /// Whether the uploaded files are exchanged: it has them, or a database that lies among them.
    pub files: bool,
    /// Whether it has apps that run on this machine, and this one has none.
    pub apps: bool,
    /// Those of [`DIRECTORIES`] that it has anything of.
    pub directories: Vec<(&'static str, &'static str)>,
    /// Whether the release itself is in it.
    pub release_tree: bool,
    /// Whether the snapshot has a secrets.toml.
    pub secrets: bool,
    /// Where the snapshot and the present mainstay.toml differ, in words.
    pub differences: Vec<String>,
    /// What is there now.
    pub replaces: Replaces,
    /// Whether the deployment that the snapshot was taken of goes on beside the restored one.
    pub is_copy: bool,
    /// Whether it is removed again when it has been tested.
    pub passing: bool,
    /// The directory below `set-aside` for what is there now.
    pub into: String,
}

/// Which files of a deployment are there, that those of a snapshot replace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Replaces {
    /// `secrets.toml`.
    pub secrets: bool,
    /// `config.json`.
    pub config: bool,
    /// `declared.json`.
    pub memory: bool,
}

impl Replaces {
    fn of(layout: &Layout) -> Self {
        let is_there = |path: std::path::PathBuf| path.symlink_metadata().is_ok();
        Self {
            secrets: is_there(layout.secrets()),
            config: is_there(layout.config()),
            memory: is_there(layout.declared()),
        }
    }
}

/// A mainstay.toml for a deployment that has none.
#[derive(Clone)]
pub(crate) struct Placed {
    /// What it says.
    pub wanted: Wanted,
    /// Its text, where it is not the snapshot's own: it has no secrets.
    pub text: Option<String>,
}

/// A copy that nobody works with: on loopback, without mail, and with nothing else that leaves the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scratch;

/// What a scratch deployment switches off, besides what its own directory decides: no message leaves the machine, no job of the real
/// deployment runs a second time, no store of it is touched.
const SWITCHED_OFF: [(&str, &str, &str); 19] = [
    ("EmailSettings", "SendEmailNotifications", "false"),
    ("EmailSettings", "SMTPServer", "\"\""),
    ("EmailSettings", "SendPushNotifications", "false"),
    ("EmailSettings", "EnableEmailBatching", "false"),
    ("EmailSettings", "RequireEmailVerification", "false"),
    ("ServiceSettings", "EnableOutgoingWebhooks", "false"),
    ("ServiceSettings", "EnableCommands", "false"),
    ("ServiceSettings", "EnableLinkPreviews", "false"),
    ("ServiceSettings", "EnableSecurityFixAlert", "false"),
    ("LogSettings", "EnableDiagnostics", "false"),
    ("PluginSettings", "Enable", "false"),
    ("JobSettings", "RunScheduler", "false"),
    ("JobSettings", "RunJobs", "false"),
    ("ClusterSettings", "Enable", "false"),
    ("MetricsSettings", "Enable", "false"),
    ("LdapSettings", "EnableSync", "false"),
    ("ElasticsearchSettings", "EnableIndexing", "false"),
    ("ElasticsearchSettings", "EnableSearching", "false"),
    ("FileSettings", "DriverName", "\"local\""),
];

impl Restoring {
    /// Looks at a snapshot. It reads a few small files of it, and blocks.
    ///
    /// # Errors
    /// There is no such snapshot; it is not one of ours; the repository is damaged; what is in it cannot be read.
    pub(crate) fn look(
        layout: &Layout,
        repository: &Repository,
        (from, snapshot): (&Elsewhere, &str),
        scratch: Option<Scratch>,
        present: Option<&(Wanted, Option<Value>)>,
    ) -> Result<Self, Error> {
        let found = repository.snapshot(snapshot).map_err(told)?;
        if found.damaged {
            let what = format!(
                "snapshot {} has lost data, as `backup repair` found, and is not restored as a whole",
                short(&found.id)
            );
            return Err(Error::new(Exit::Refused, what).hint(
                "`mainstay backup list` names the others; `mainstay restore --only files --into DIR` with its id writes what is left of it",
            ));
        }
        let manifest = repository.manifest(&found.id).map_err(told)?;
        let release: ReleaseId = manifest.release.id.parse().map_err(|_| {
            let id = &manifest.release.id;
            Error::new(Exit::NotVerified, format!("snapshot {} names no release: `{id}`", short(&found.id)))
        })?;
        let files = repository.files(&found.id, "").map_err(told)?;
        let folder = |name: &str| name.split_once('/').map(|(folder, _)| folder.to_owned());
        let is_fetched = |name: &String| [DATABASE, DEPLOYMENT, FILES].contains(&name.as_str());
        let mut folders: Vec<String> =
            files.iter().filter_map(|(name, _)| folder(name)).filter(is_fetched).collect();
        folders.dedup();
        folders.sort();
        folders.dedup();
        let of = |wanted: &dyn Fn(&str) -> bool| -> u64 {
            let sizes = files.iter().filter(|(name, _)| folder(name).is_some_and(|name| wanted(&name)));
            sizes.map(|(_, size)| size).sum()
        };
        let bytes = of(&|name| folders.iter().any(|folder| folder == name));
        let has = |name: &str| files.iter().any(|(file, _)| file == &format!("{DEPLOYMENT}/{name}"));
        let has_below = |folder: &str| {
            let below = format!("{folder}/");
            files.iter().any(|(file, _)| file.starts_with(&below))
        };
        let text = |name: &str| -> Result<Option<String>, Error> {
            if !has(name) {
                return Ok(None);
            }
            small(repository, &found.id, &format!("{DEPLOYMENT}/{name}")).map(Some)
        };
        let wrong = |name: &str, problem: &str| {
            let what = format!("{name} in snapshot {}: {problem}", short(&found.id));
            Error::new(Exit::Settings, what).hint("restore an earlier snapshot; nothing has been changed")
        };
        let said = text("mainstay.toml")?;
        let theirs = match &said {
            None => Wanted::default(),
            Some(text) => settings::parse(&layout.wanted(), text)
                .map_err(|findings| wrong("mainstay.toml", &findings.to_string()))?,
        };
        let config = match text("config/config.json")? {
            None => None,
            Some(text) => {
                let read: Result<Map<String, Value>, _> = serde_json::from_str(&text);
                Some(Value::Object(read.map_err(|error| wrong("config.json", &error.to_string()))?))
            }
        };
        let memory = text("declared.json")?.filter(|_| scratch.is_none());
        let memory = memory.map(|text| Memory::parse(&text)).transpose();
        let memory = memory.map_err(|error| wrong("declared.json", &error.to_string()))?;
        let wanted = match (scratch, present) {
            (Some(Scratch), _) => Some(isolated(layout, &release)?),
            (None, Some(_)) => None,
            (None, None) => Some(Placed { wanted: theirs.clone(), text: None }),
        };
        let kept = present.and_then(|(_, config)| config.as_ref());
        Ok(Self {
            from: from.clone(),
            config: config.map(|config| with_database_of(config, kept)),
            memory,
            secrets: has("secrets.toml"),
            differences: present.map(|(ours, _)| differences(ours, &theirs)).unwrap_or_default(),
            replaces: Replaces::of(layout),
            is_copy: scratch.is_some() || goes_on(&manifest, layout),
            passing: scratch.is_some(),
            files: manifest.without_files.is_none() || manifest.database.engine == "sqlite",
            apps: !layout.apps().exists() && has_below(APPS),
            directories: DIRECTORIES.into_iter().filter(|(folder, _)| has_below(folder)).collect(),
            release_tree: has_below(&format!("{RELEASES}/{release}")),
            wanted,
            dump: of(&|name| name == DATABASE),
            bytes,
            folders,
            release,
            manifest,
            snapshot: found.id,
            into: jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string(),
        })
    }

    /// Its id as people type it.
    pub(crate) fn short(&self) -> &str {
        short(&self.snapshot)
    }

    /// The schema that the present tables are moved into.
    pub(crate) fn schema(&self) -> String {
        let digits = self.into.chars().filter(char::is_ascii_alphanumeric);
        format!("{}before_restore_{}", database::ASIDE, digits.collect::<String>().to_lowercase())
    }

    /// Whether the data is an SQLite file.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.manifest.database.engine == "sqlite"
    }
}

/// Whether the deployment that the snapshot was taken of stands on this machine, in another directory.
fn goes_on(manifest: &Manifest, layout: &Layout) -> bool {
    let there = Layout::new(&manifest.directory);
    there.root() != layout.root()
        && Identity::read(&there).ok().flatten().is_some_and(|there| there.id == manifest.deployment)
}

/// The first digits of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A file of a snapshot that is read whole.
fn small(repository: &Repository, id: &str, name: &str) -> Result<String, Error> {
    struct Bounded(Vec<u8>);
    impl Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() + bytes.len() > usize::try_from(FILE_LIMIT).unwrap_or(usize::MAX) {
                return Err(io::Error::other("it is too large"));
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut text = Bounded(Vec::new());
    repository.dump(id, name, &mut text).map_err(told)?;
    String::from_utf8(text.0).map_err(|_| {
        Error::new(Exit::Settings, format!("{name} in snapshot {} is not UTF-8 text", short(id)))
    })
}

/// Keys of `SqlSettings` that say where a database is; the others belong to the data.
const OF_THE_DATABASE: [&str; 5] =
    ["DriverName", "DataSource", "DataSourceReplicas", "DataSourceSearchReplicas", "ReplicaLagSettings"];

/// A config.json with the database that the deployment has now, whatever it was when the snapshot was taken.
pub(crate) fn with_database_of(mut config: Value, present: Option<&Value>) -> Value {
    let Some(present) = present.and_then(|present| present[SECTION].as_object()) else { return config };
    if let Some(section) = config[SECTION].as_object_mut() {
        for key in OF_THE_DATABASE {
            match present.get(key) {
                Some(value) => section.insert(key.to_owned(), value.clone()),
                None => section.remove(key),
            };
        }
    }
    config
}

/// What a scratch deployment is to be. Where it answers and whose it is, the command line says.
fn isolated(layout: &Layout, release: &ReleaseId) -> Result<Placed, Error> {
    let mut text = format!(
        "# A scratch deployment, made by a drill.\nedition = \"{}\"\nboot = false\n",
        release.edition
    );
    let mut last = "";
    for (section, key, value) in SWITCHED_OFF {
        if section != last {
            text.push_str(&format!("\n[mattermost.{section}]\n"));
            last = section;
        }
        text.push_str(&format!("{key} = {value}\n"));
    }
    let wanted = settings::parse(&layout.wanted(), &text);
    let wanted = wanted.map_err(|findings| Error::new(Exit::Bug, findings.to_string()))?;
    Ok(Placed { wanted, text: Some(text) })
}

/// What the present mainstay.toml says otherwise than the snapshot's. No value of the server's settings is shown: it may be a secret.
fn differences(ours: &Wanted, theirs: &Wanted) -> Vec<String> {
    let said = |value: Option<&str>| value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
    let keys = settings::KEYS.iter().filter(|key| ours.get(key.name) != theirs.get(key.name));
    let mut all: Vec<String> = keys
        .map(|key| {
            let (ours, theirs) = (said(ours.get(key.name)), said(theirs.get(key.name)));
            format!("`{}` is {ours}; the snapshot has {theirs}", key.name)
        })
        .collect();
    let sections = ours.mattermost.keys().chain(theirs.mattermost.keys());
    let sections: std::collections::BTreeSet<&String> = sections.collect();
    for section in sections {
        let none = std::collections::BTreeMap::new();
        let of = |wanted: &Wanted| wanted.mattermost.get(section).unwrap_or(&none).clone();
        let (ours, theirs) = (of(ours), of(theirs));
        let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let differing = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
        all.extend(
            differing.map(|key| format!("`mattermost.{section}.{key}` is another than in the snapshot")),
        );
    }
    all
}

/// The secrets of a snapshot with the password of the database that this machine has.
///
/// # Errors
/// One of the two cannot be read.
pub(crate) fn merged_secrets(
    theirs: (&Path, &str),
    ours: Option<(&Path, &str)>,
) -> Result<settings::Secrets, Error> {
    let read = |(path, text): (&Path, &str)| {
        settings::Secrets::parse(path, text).map_err(|findings| {
            Error::new(Exit::Settings, findings.to_string()).hint("restore an earlier snapshot")
        })
    };
    let mut secrets = read(theirs)?;
    if let Some(ours) = ours {
        secrets.database_password = read(ours)?.database_password;
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_database_stays_this_machines_and_what_belongs_to_the_data_does_not() {
        let theirs = json!({"SqlSettings": {"DriverName": "postgres", "DataSource": "postgres://old/db",
            "DataSourceReplicas": ["postgres://replica/db"], "AtRestEncryptKey": "theirs"}, "TeamSettings": {"SiteName": "Then"}});
        let ours = json!({"SqlSettings": {"DriverName": "postgres", "DataSource": "postgres://new/db", "AtRestEncryptKey": "ours"}});
        let merged = with_database_of(theirs.clone(), Some(&ours));
        assert_eq!(
            merged,
            json!({"SqlSettings": {"DriverName": "postgres", "DataSource": "postgres://new/db", "AtRestEncryptKey": "theirs"},
                "TeamSettings": {"SiteName": "Then"}})
        );
        assert_eq!(with_database_of(theirs.clone(), None), theirs);
    }

    #[test]
    fn a_scratch_deployment_lets_nothing_out() {
        let release = release::builtin();
        let placed = isolated(&Layout::new("/srv/chat"), &release).expect("it parses");
        assert_eq!(placed.wanted.get("boot"), Some("false"));
        assert_eq!(placed.wanted.mattermost["EmailSettings"]["SendPushNotifications"], json!(false));
        assert_eq!(placed.wanted.mattermost["FileSettings"]["DriverName"], json!("local"));
    }

    #[test]
    fn what_mainstay_toml_says_otherwise_is_named_without_values_of_the_server() {
        let parse = |text: &str| settings::parse(Path::new("mainstay.toml"), text).expect("it parses");
        let ours =
            parse("listen = \"127.0.0.1:1\"\n[mattermost.EmailSettings]\nSMTPPassword = \"hunter2\"\n");
        let theirs =
            parse("listen = \"127.0.0.1:2\"\n[mattermost.EmailSettings]\nSMTPPassword = \"hunter3\"\n");
        let found = differences(&ours, &theirs);
        assert_eq!(
            found,
            [
                "`listen` is `127.0.0.1:1`; the snapshot has `127.0.0.1:2`",
                "`mattermost.EmailSettings.SMTPPassword` is another than in the snapshot"
            ]
        );
        assert!(differences(&ours, &ours).is_empty());
    }
}
