//! `restore --only`: a part of a snapshot, written into a directory of the caller's. No deployment is touched, and none is needed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup::{Repository, Watch};
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::place::machine::make_dir;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::backups::set::DATABASE;
use crate::state::channels::ChannelNames;
use crate::state::restoring::{SQLITE, short};
use crate::world::World;

/// The folder of uploaded files.
const FILES: &str = "files/";

/// What is wanted of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// The dump: a file of SQL, or an SQLite database.
    Database,
    /// All uploaded files.
    Files,
    /// The files of one channel, by its name or id.
    Channel(String),
    /// One file, by its name, by the id that Mattermost gave it, or by its path; or a folder by its path.
    Path(String),
}

impl Only {
    /// As the command line says it: `database`, `files`, `channel NAME`, or a name.
    ///
    /// # Errors
    /// It says anything else.
    pub fn read(words: &[String]) -> Result<Self, Error> {
        match words {
            [word] if word == "database" => Ok(Self::Database),
            [word] if word == "files" => Ok(Self::Files),
            [word, name] if word == "channel" => Ok(Self::Channel(name.clone())),
            [word] if word == "channel" => Err(usage("`--only channel` names no channel".to_owned())),
            [path] => Ok(Self::Path(path.clone())),
            _ => Err(usage(format!("`--only {}` cannot be read", words.join(" ")))),
        }
    }
}

fn usage(what: String) -> Error {
    Error::new(Exit::Usage, what).hint(
        "say `--only database`, `--only files`, `--only channel NAME`, or `--only NAME` with the name, the id or the path of a file",
    )
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Extracted {
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// When it was taken.
    pub taken: Option<jiff::Timestamp>,
    /// The new files.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes a part of a snapshot into `into`. It blocks elsewhere, and ends early where `watch` says so.
///
/// # Errors
/// There is no such snapshot or file; several files have the name; a file is there already; the repository is damaged.
pub async fn extract(
    world: &World,
    from: Elsewhere,
    snapshot: String,
    only: Only,
    into: PathBuf,
    watch: Arc<dyn Watch>,
) -> Result<Extracted, Error> {
    let world = world.clone();
    apart(move || {
        let repository = Access::of(&world, &from)?.open()?;
        let found = repository.snapshot(&snapshot).map_err(told)?;
        let all = repository.files(&found.id, "").map_err(told)?;
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        make_dir(&into, 0o700, None)?;
        let is_sqlite = names.contains(&format!("{DATABASE}/{SQLITE}").as_str());
        let (files, bytes) = match &only {
            Only::Database if !is_sqlite => dump(&repository, &found.id, &into)?,
            _ => {
                let wanted = wanted(&repository, &found.id, &only, &names)?;
                let to: Vec<(String, PathBuf)> =
                    wanted.into_iter().map(|(name, to)| (name, into.join(to))).collect();
                refuse_present(to.iter().map(|(_, to)| to.as_path()))?;
                let bytes = repository.extract(&found.id, &to, watch.as_ref()).map_err(told)?;
                (to.into_iter().map(|(_, to)| to).collect(), bytes)
            }
        };
        let taken = repository.manifest(&found.id).ok().map(|manifest| manifest.taken);
        Ok(Extracted { snapshot: found.id, taken, files, bytes })
    })
    .await
}

fn refuse_present<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Result<(), Error> {
    match paths.find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(Error::new(Exit::Refused, format!("{} is there already", path.display()))
            .hint("name another directory with `--into`; nothing has been written")),
    }
}

/// The pieces of a dump, put together.
fn dump(repository: &Repository, id: &str, into: &Path) -> Result<(Vec<PathBuf>, u64), Error> {
    let path = into.join("database.sql");
    refuse_present(std::iter::once(path.as_path()))?;
    let failed = |error: io::Error| Error::path("write", &path, &error);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut out = io::BufWriter::new(made.map_err(failed)?);
    let bytes = repository.dump(id, DATABASE, &mut out).map_err(told)?;
    out.flush().map_err(failed)?;
    out.get_ref().sync_all().map_err(failed)?;
    Ok((vec![path], bytes))
}

/// The files of a snapshot that are wanted, each with its name below the target.
fn wanted(
    repository: &Repository,
    id: &str,
    only: &Only,
    names: &[&str],
) -> Result<Vec<(String, PathBuf)>, Error> {
    let whole = |found: Vec<&str>| -> Vec<(String, PathBuf)> {
        let short = |name: &str| PathBuf::from(name.strip_prefix(FILES).unwrap_or(name));
        found.into_iter().map(|name| (name.to_owned(), short(name))).collect()
    };
    match only {
        Only::Database => Ok(vec![(format!("{DATABASE}/{SQLITE}"), SQLITE.into())]),
        Only::Files => Ok(whole(names.iter().copied().filter(|name| name.starts_with(FILES)).collect())),
        Only::Channel(given) => {
            let of = |channel: &str| -> Vec<&str> {
                let part = format!("/channels/{channel}/");
                names.iter().copied().filter(|name| name.starts_with(FILES) && name.contains(&part)).collect()
            };
            let found = of(given);
            if !found.is_empty() {
                return Ok(whole(found));
            }
            let channels = ChannelNames::of(repository, id)?;
            let channel = channels.id(given)?;
            match of(channel) {
                found if found.is_empty() => {
                    let what =
                        format!("snapshot {} has no file of the channel {given} ({channel})", short(id));
                    Err(Error::new(Exit::Usage, what).hint("restore an earlier snapshot"))
                }
                found => Ok(whole(found)),
            }
        }
        Only::Path(given) => {
            let found = named(names, given);
            match &found[..] {
                [] => Err(unknown(names, given, id)),
                [one] => {
                    let last = one.rsplit('/').next().unwrap_or(one);
                    Ok(vec![((*one).to_owned(), last.into())])
                }
                several if is_folder(several, given) => Ok(whole(found)),
                several => {
                    const SHOWN: usize = 10;
                    let shown: Vec<&str> = several.iter().copied().take(SHOWN).collect();
                    let more = several.len().saturating_sub(SHOWN);
                    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
                    let what = format!(
                        "{} files of snapshot {} are called {given}:\n  {}{more}",
                        several.len(),
                        short(id),
                        shown.join("\n  ")
                    );
                    Err(Error::new(Exit::Usage, what).hint("name one of them by its whole path"))
                }
            }
        }
    }
}

/// The files that are meant: of a path, of a folder, of an id, or of a name, the first of these that finds any.
fn named<'a>(names: &[&'a str], given: &str) -> Vec<&'a str> {
    let given = given.trim_matches('/');
    let matching = |matches: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        names.iter().copied().filter(|name| matches(name)).collect()
    };
    let short = |name: &str| name.strip_prefix(FILES).map(str::to_owned);
    let path = matching(&|name| name == given || short(name).as_deref() == Some(given));
    if !path.is_empty() || given.is_empty() {
        return path;
    }
    let below = format!("{given}/");
    let folder = matching(&|name| {
        name.starts_with(&below) || short(name).is_some_and(|name| name.starts_with(&below))
    });
    if !folder.is_empty() {
        return folder;
    }
    // Mattermost gives each file a directory of its id, with its thumbnail and its preview beside it.
    let of_id = matching(&|name| name.starts_with(FILES) && name.split('/').rev().nth(1) == Some(given));
    let is_derived = |name: &&str| {
        let stem = name.rsplit('/').next().unwrap_or(name).rsplit_once('.').map_or("", |(stem, _)| stem);
        stem.ends_with("_thumb") || stem.ends_with("_preview")
    };
    match of_id.len() {
        0 => matching(&|name| name.starts_with(FILES) && name.rsplit('/').next() == Some(given)),
        1 => of_id,
        _ => of_id.into_iter().filter(|name| !is_derived(name)).collect(),
    }
}

fn is_folder(found: &[&str], given: &str) -> bool {
    let below = format!("{}/", given.trim_matches('/'));
    found.iter().all(|name| {
        name.starts_with(&below) || name.strip_prefix(FILES).is_some_and(|name| name.starts_with(&below))
    })
}

fn unknown(names: &[&str], given: &str, id: &str) -> Error {
    let what = format!("snapshot {} has no file {given}", short(id));
    let wanted = given.rsplit('/').next().unwrap_or(given);
    let files = names.iter().copied().filter(|name| name.starts_with(FILES));
    let last: Vec<&str> = files.map(|name| name.rsplit('/').next().unwrap_or(name)).collect();
    let error = Error::new(Exit::Usage, what);
    match finding::nearest(wanted, last.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("`mainstay backup show {}` says what is in it", short(id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = [
        "database/000001",
        "deployment/mainstay.toml",
        "files/20261127/teams/noteam/channels/town/users/ann/f1/plan.png",
        "files/20261127/teams/noteam/channels/town/users/ann/f1/plan_preview.jpg",
        "files/20261127/teams/noteam/channels/town/users/ann/f1/plan_thumb.jpg",
        "files/20261127/teams/noteam/channels/town/users/bob/f2/notes.txt",
        "files/20261128/teams/noteam/channels/other/users/bob/f3/notes.txt",
    ];

    #[test]
    fn a_file_is_found_by_its_name_its_id_or_its_path() {
        assert_eq!(named(&NAMES, "plan.png"), [NAMES[2]]);
        assert_eq!(named(&NAMES, "f1"), [NAMES[2]]);
        assert_eq!(named(&NAMES, "f3"), [NAMES[6]]);
        assert_eq!(named(&NAMES, NAMES[3]), [NAMES[3]]);
        assert_eq!(named(&NAMES, &NAMES[5]["files/".len()..]), [NAMES[5]]);
        assert_eq!(named(&NAMES, "notes.txt"), [NAMES[5], NAMES[6]]);
        assert_eq!(named(&NAMES, "20261128"), [NAMES[6]]);
        assert_eq!(named(&NAMES, "deployment/mainstay.toml"), [NAMES[1]]);
        assert_eq!(named(&NAMES, "missing"), Vec::<&str>::new());
        assert_eq!(named(&NAMES, ""), Vec::<&str>::new());
        let town = "20261127/teams/noteam/channels/town";
        assert!(
            is_folder(&named(&NAMES, town), town) && !is_folder(&named(&NAMES, "notes.txt"), "notes.txt")
        );
    }

    #[test]
    fn a_mistake_is_told_with_the_nearest_name() {
        let error = unknown(&NAMES, "note.txt", "0123456789abcdef");
        assert_eq!(error.what, "snapshot 01234567 has no file note.txt");
        assert!(error.hint.is_some_and(|hint| hint.contains("notes.txt")));
    }

    #[test]
    fn the_words_of_only() {
        let read =
            |words: &[&str]| Only::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["database"]).expect("a part"), Only::Database);
        assert_eq!(read(&["channel", "town"]).expect("a part"), Only::Channel("town".to_owned()));
        assert_eq!(read(&["a.png"]).expect("a part"), Only::Path("a.png".to_owned()));
        for words in [&["channel"][..], &["files", "more"], &[]] {
            assert_eq!(read(words).expect_err("refused").exit, Exit::Usage, "{words:?}");
        }
    }
}
