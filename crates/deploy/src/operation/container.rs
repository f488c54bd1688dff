//! What a container does before anything else runs: it gives its volume to the user that it runs as, and reads the secrets that only root
//! may read.

use std::collections::BTreeMap;
use std::path::Path;

use container_contract::{BACKUPS, VOLUME};
use secrecy::SecretString;
use settings::Wanted;

use crate::error::Error;
use crate::place::container::{
    has_capabilities, image_release, volume_change, volume_used, without_database,
};
use crate::place::ground::writable;
use crate::place::machine::read_secret_file;
use crate::state::location::{Location, Managed, location};
use crate::state::settled::settings_of;
use crate::world::World;

/// Makes the volume that user's, so that the rest needs no root. Says whether anything had to be changed.
///
/// Nothing is touched when a setting or the volume's version forbids the start.
///
/// # Errors
/// What forbids it; there is no volume; its file system has no owners.
pub fn take_volume(world: &World, (uid, gid): (u32, u32)) -> Result<bool, Error> {
    give_backups((uid, gid));
    let is_right = host::is_owned(Path::new(VOLUME), uid, gid);
    has_capabilities(is_right, (uid, gid))?;
    if is_right {
        // Whoever it belongs to looks into it: root without DAC_OVERRIDE cannot.
        return Ok(false);
    }
    if !world.layout.root().exists() {
        let release = image_release(&world.layout, &Wanted::default())?;
        let resolved = settings_of(world, &Wanted::default(), &release)?;
        volume_change(&world.layout, &release)?;
        let managed = Managed::of(world, &Wanted::default(), &release, false);
        let location = location(&resolved, None, &release, &managed);
        let in_file = location.is_ok_and(|location| location == Location::File);
        if let Some(last) = volume_used(&world.layout)?.filter(|_| in_file) {
            return Err(without_database(&world.layout, &last));
        }
    }
    host::own_tree(Path::new(VOLUME), uid, gid).map_err(|error| {
        Error::from(error).hint(format!(
            "the volume at {VOLUME} must belong to user {uid}: `chown -R {uid}:{gid}` its directory on the host, \
             or name its owner with USERMAP_UID and USERMAP_GID"
        ))
    })
}

/// Makes a volume for backups that user's, too. Where that cannot be done, the start goes on: a backup says what it may not write.
fn give_backups((uid, gid): (u32, u32)) {
    let path = Path::new(BACKUPS);
    let is_volume = host::disk::listed_mount(path).as_deref() == Some(path);
    if is_volume
        && !host::is_owned(path, uid, gid)
        && let Err(error) = host::own_tree(path, uid, gid)
    {
        tracing::warn!(%error, "the volume for backups stays as it is");
    }
}

/// Secrets in files (`NAME_FILE`) that root may read and that user may not, as an engine mounts them from the host: each
/// with its variable, the setting's own name, and the text.
pub fn secrets_of_root(
    variables: &BTreeMap<String, String>,
    (uid, gid): (u32, u32),
) -> Vec<(String, String, SecretString)> {
    let user = host::User { name: uid.to_string(), uid, gid, home: "/".into() };
    let mut found = Vec::new();
    for (variable, path) in variables {
        let Some(name) = settings::of_file(variable) else { continue };
        // Given twice is a mistake, and it is told later.
        let is_alone = variables.get(name).is_none_or(String::is_empty);
        // As the settings read it: a path may stand in quotes.
        let Ok(path) = settings::as_meant(variable, path) else { continue };
        if is_alone && user.can_read(Path::new(&path)).is_ok_and(|can| !can) {
            // What root cannot read either is told later, too.
            let text = read_secret_file(Path::new(&path)).unwrap_or_default();
            if let Some(text) = settings::in_file(&text).ok().filter(|text| !text.is_empty()) {
                found.push((variable.clone(), name.to_owned(), text.into()));
            }
        }
    }
    found
}

/// Refuses a volume that this user cannot use, before anything in it is read.
///
/// # Errors
/// It belongs to somebody else, who has closed it.
pub fn reach_volume(world: &World) -> Result<(), Error> {
    writable(Path::new(VOLUME), &world.layout)
}
