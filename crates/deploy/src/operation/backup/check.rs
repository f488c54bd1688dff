//! `backup check`: whether what is in a repository can be restored, and whether a snapshot has every file that the database knows.

use std::sync::Arc;
use std::time::Duration;

use backup::{Fault, Watch};
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, Exit};
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::backups::choice::names_another;
use crate::state::backups::cross_check::{CrossCheck, cross_check, uploads};
use crate::state::backups::record::{Begun, Success, Work};
use crate::state::backups::set::Subject;
use crate::state::installed::is_installed;
use crate::world::World;

/// How long the database may take to say which files it knows.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be checked.
#[derive(Debug, Clone, Default)]
pub struct CheckBackups {
    /// Which repository.
    pub named: Elsewhere,
    /// How many of 100 packs are read in full, chosen by chance.
    pub read_data: u8,
    /// Whether the files of the newest snapshot are compared with the database; `None` = where there is a deployment.
    pub files: Option<bool>,
}

/// What a check came to.
#[derive(Debug, Clone, Serialize)]
pub struct CheckedBackups {
    /// Where the repository is.
    pub location: String,
    /// Snapshots that can be restored, as far as was read.
    pub snapshots: usize,
    /// Packs that there are.
    pub packs: usize,
    /// Packs that were read.
    pub packs_read: usize,
    /// What keeps a snapshot from being restored.
    pub damage: Vec<String>,
    /// What is lost besides: space, and nothing else.
    pub waste: Vec<String>,
    /// The comparison of the newest snapshot with the database; `None` = it was not asked for, or cannot be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<CrossCheck>,
    /// The snapshot that was compared, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<String>,
}

impl CheckedBackups {
    /// Why the backups do not pass; `None` = they do.
    pub fn failure(&self) -> Option<String> {
        if let Some(first) = self.damage.first() {
            let more = match self.damage.len() {
                1 => String::new(),
                count => format!(", and {} more", count - 1),
            };
            return Some(format!("the repository in {} is damaged: {first}{more}", self.location));
        }
        let files = self.files.as_ref().filter(|files| !files.is_complete())?;
        Some(format!("{} of {} uploaded files are not in the newest snapshot", files.missing, files.rows))
    }
}

/// Checks. Nothing is changed in the repository; how it ended is written down for `status`, where it is the deployment's own.
///
/// # Errors
/// There is no repository; it cannot be reached; the database cannot be read. Damage is no error: it is in the answer.
pub async fn check_backups(
    world: &World,
    check: &CheckBackups,
    watch: Arc<dyn Watch>,
) -> Result<CheckedBackups, Error> {
    let is_own = check.named.repository.is_none() && check.named.key_file.is_none();
    let writes_down = is_own && !names_another(world) && world.layout.run().is_dir();
    let location = super::create::location(world);
    let begun = writes_down.then(|| Begun::new(&world.layout, Work::Check, &location)).transpose()?;
    let checked = checked(world, check, watch).await;
    if let Some(begun) = begun {
        match &checked {
            Err(error) => begun.end(Err(error))?,
            Ok(found) => match found.failure() {
                Some(what) => begun.end(Err(&Error::new(Exit::NotVerified, what)))?,
                None => begun.end(Ok(Success { snapshot: found.compared.clone(), report: json!(found) }))?,
            },
        }
    }
    checked
}

async fn checked(
    world: &World,
    check: &CheckBackups,
    watch: Arc<dyn Watch>,
) -> Result<CheckedBackups, Error> {
    let compares = check.files.unwrap_or(check.named.repository.is_none() && is_installed(&world.layout));
    let (named, percent, here) = (check.named.clone(), check.read_data, world.clone());
    let (mut found, newest) = apart(move || {
        let access = Access::of(&here, &named)?;
        let repository = access.open()?;
        let checked = repository.check(percent, watch.as_ref()).map_err(|error| match error {
            backup::Error::Cancelled => {
                Error::new(Exit::NotVerified, "interrupted; the check is not complete")
            }
            error => told(error),
        })?;
        let (damage, waste): (Vec<Fault>, Vec<Fault>) =
            checked.faults.into_iter().partition(|fault| fault.serious);
        let texts = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.text).collect();
        let found = CheckedBackups {
            location: access.location(),
            snapshots: checked.snapshots,
            packs: checked.packs,
            packs_read: checked.packs_read,
            damage: texts(damage),
            waste: texts(waste),
            files: None,
            compared: None,
        };
        // What is damaged is not looked into.
        let is_comparable = compares && found.damage.is_empty() && found.snapshots > 0;
        let newest = match is_comparable {
            true => {
                let id = repository.snapshot("latest").map_err(told)?.id;
                let manifest = repository.manifest(&id).map_err(told)?;
                match manifest.without_files {
                    Some(_) => None,
                    None => {
                        let objects = uploads(&repository, &id).map_err(told)?;
                        Some((id, manifest, objects))
                    }
                }
            }
            false => None,
        };
        Ok((found, newest))
    })
    .await?;
    let Some((id, manifest, objects)) = newest else { return Ok(found) };
    let here = world.clone();
    let source = apart(move || Ok(Subject::of(&here)?.source)).await?;
    let rows = database::file_rows(&source, PATIENCE).await.map_err(|error| {
        Error::not_ready(format!("the files cannot be compared with the database: {error}"))
            .hint("`mainstay backup check --no-files` checks the repository alone")
    })?;
    found.files = Some(cross_check(&rows, &objects, manifest.taken.as_millisecond()));
    found.compared = Some(id);
    Ok(found)
}
