//! What an earlier test has left, because it was killed before it could remove it.
//!
//! The name of everything that is to be removed at the end is written to a file before it is made, so the next test removes exactly
//! that. Rejected: to look for names that look like the test's, because somebody else's may look like them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use crate::authority::Authority;
use crate::checks;
use crate::log::Log;
use crate::report::EARLIER;
use crate::site::Site;
use crate::standing::set_active;
use crate::symptom::{Fault, Symptom};
use crate::wire::{Team, User};

/// No list is longer, in bytes: a test makes a handful.
const LIMIT: u64 = 64 * 1024;

/// Something that the test makes and removes, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Account(String),
    Team(String),
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account {name}"),
            Self::Team(name) => write!(f, "team {name}"),
        }
    }
}

impl Thing {
    /// Reads a line. Nothing that this test would not make is removed, whatever the file says.
    fn parse(line: &str) -> Option<Self> {
        let (kind, name) = line.split_once(' ')?;
        let is_ours = name
            .strip_prefix("accept-")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        match kind {
            _ if !is_ours => None,
            "account" => Some(Self::Account(name.to_owned())),
            "team" => Some(Self::Team(name.to_owned())),
            _ => None,
        }
    }
}

/// Writes down what is about to be made. A file that cannot be written keeps no test from running.
pub(crate) fn remember(file: Option<&Path>, thing: &Thing) {
    let Some(file) = file else { return };
    let written = std::fs::OpenOptions::new().append(true).create(true).open(file);
    if let Err(error) = written.and_then(|mut file| file.write_all(format!("{thing}\n").as_bytes())) {
        tracing::warn!(%error, %thing, "a test that is killed now would leave this behind");
    }
}

/// Forgets everything: it is gone, or is to stay.
pub(crate) fn forget(file: Option<&Path>) {
    if let Some(file) = file {
        let _ = std::fs::remove_file(file);
    }
}

fn read(file: &Path) -> BTreeSet<Thing> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    if read.is_err() {
        return BTreeSet::new();
    }
    text.lines().filter_map(Thing::parse).collect()
}

/// Removes what an earlier test has left, and says so.
pub(crate) async fn remove(file: Option<&Path>, site: &Site, admin: Option<&Authority>, log: &Log<'_>) {
    let (Some(file), Some(admin)) = (file, admin) else { return };
    let left = read(file);
    if left.is_empty() {
        return;
    }
    let (mut removed, mut stay) = (Vec::new(), Vec::new());
    for thing in left {
        let gone = match &thing {
            Thing::Account(name) => remove_account(site, admin, name).await,
            Thing::Team(name) => remove_team(site, admin, name).await,
        };
        match gone {
            Ok(true) => removed.push(format!("{thing}")),
            Ok(false) => {}
            Err(fault) => stay.push((thing, fault)),
        }
    }
    if !removed.is_empty() {
        let removed = removed.join(", ");
        log.note(checks::CLEAN_UP, format!("{EARLIER}; what it left is removed: {removed}"));
    }
    forget(Some(file));
    for (thing, fault) in stay {
        remember(Some(file), &thing);
        log.note(checks::CLEAN_UP, format!("{EARLIER}, and its {thing} stays ({fault})"));
    }
}

/// Whether it was there.
async fn remove_account(site: &Site, admin: &Authority, name: &str) -> Result<bool, Fault> {
    let found = admin.get(site, &format!("users/username/{name}")).json::<User>().await;
    let Some(user) = there(found)? else { return Ok(false) };
    if admin.delete(site, &format!("users/{}?permanent=true", user.id)).done().await.is_err() {
        if user.delete_at > 0 {
            return Ok(false);
        }
        set_active(site, admin, &user.id, false).await?;
    }
    Ok(true)
}

/// Whether it was there.
async fn remove_team(site: &Site, admin: &Authority, name: &str) -> Result<bool, Fault> {
    let found = admin.get(site, &format!("teams/name/{name}")).json::<Team>().await;
    let Some(team) = there(found)? else { return Ok(false) };
    let path = format!("teams/{}", team.id);
    if admin.delete(site, &format!("{path}?permanent=true")).done().await.is_err() {
        if team.delete_at > 0 {
            return Ok(false);
        }
        admin.delete(site, &path).done().await?;
    }
    Ok(true)
}

fn there<T>(found: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Fault { symptom: Symptom::Answer(answer), .. })
            if answer.from_mattermost && answer.status == 404 =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("left");
        assert!(read(&file).is_empty());
        let (team, account) =
            (Thing::Team("accept-abcd1234".into()), Thing::Account("accept-wxyz9876".into()));
        for thing in [&team, &account, &team] {
            remember(Some(&file), thing);
        }
        assert_eq!(read(&file).into_iter().collect::<Vec<_>>(), [account, team]);
        for wrong in
            ["team sales", "account admin", "account accept-", "team accept-../x", "boat accept-a", "x"]
        {
            assert_eq!(Thing::parse(wrong), None, "{wrong}");
        }
        forget(Some(&file));
        assert!(read(&file).is_empty());
    }
}
