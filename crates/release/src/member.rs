//! Decides which members an archive of a release may have, by their names and kinds alone.
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

/// The directory that contains everything.
const TOP: &str = "mattermost";
/// The longest name of a directory or file, in bytes: the kernel's limit.
const LONGEST_NAME: usize = 255;
const DEEPEST: usize = 40;

/// A member as its header describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) kind: EntryType,
    pub(crate) path: &'a [u8],
    pub(crate) link: Option<&'a [u8]>,
    pub(crate) mode: u32,
}

/// What to create for it, below the top directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// Nothing: it is the top directory itself or an archiver's comment.
    Nothing,
    Directory(PathBuf),
    File {
        path: PathBuf,
        executable: bool,
    },
    Link {
        path: PathBuf,
        target: PathBuf,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A directory that only appears as the parent of another member.
    Implied,
    Directory,
    Other,
}

/// Decides about one member after the other, and remembers those before.
#[derive(Default)]
pub(crate) struct Members {
    seen: HashMap<PathBuf, Seen>,
    count: usize,
}

impl Members {
    /// What to create for the next member, or the rule that it breaks.
    pub(crate) fn admit(&mut self, entry: &Described<'_>, limit: usize) -> Result<Member, String> {
        self.count += 1;
        if self.count > limit {
            return Err(format!("it has more than {limit} members"));
        }
        if entry.kind.is_pax_global_extensions() {
            return Ok(Member::Nothing);
        }
        let path = below_top(entry.path)?;
        if path.as_os_str().is_empty() {
            return match entry.kind.is_dir() {
                true => Ok(Member::Nothing),
                false => Err(format!("{TOP} itself is not a directory")),
            };
        }
        if entry.mode & 0o6000 != 0 && !entry.kind.is_dir() {
            return Err("it would run with the rights of its owner (set-uid or set-gid)".into());
        }
        let member = match entry.kind {
            EntryType::Directory => Member::Directory(path.clone()),
            EntryType::Regular => Member::File { path: path.clone(), executable: entry.mode & 0o111 != 0 },
            EntryType::Symlink => {
                let target = inner_target(&path, entry.link.unwrap_or_default())?;
                Member::Link { path: path.clone(), target }
            }
            EntryType::Link => return Err("it is a hard link".into()),
            EntryType::Char | EntryType::Block => return Err("it is a device".into()),
            EntryType::Fifo => return Err("it is a named pipe".into()),
            _ => return Err("it is neither a file, a directory nor a symbolic link".into()),
        };
        self.enter(&path, entry.kind.is_dir())?;
        Ok(member)
    }

    /// Refuses a name that comes twice, and a member below something that is not a directory.
    fn enter(&mut self, path: &Path, directory: bool) -> Result<(), String> {
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            let seen = self.seen.entry(parent.to_path_buf()).or_insert(Seen::Implied);
            if *seen == Seen::Other {
                return Err(format!("it is below {}, which is not a directory", parent.display()));
            }
        }
        let now = if directory { Seen::Directory } else { Seen::Other };
        match self.seen.insert(path.to_path_buf(), now) {
            None => Ok(()),
            Some(Seen::Implied) if directory => Ok(()),
            Some(_) => Err("the archive has this name twice".into()),
        }
    }
}

/// The path below the top directory; empty for that itself.
fn below_top(raw: &[u8]) -> Result<PathBuf, String> {
    let mut names = names(raw)?;
    names.retain(|component| *component != Component::CurDir);
    let mut path = PathBuf::new();
    for (depth, component) in names.iter().enumerate() {
        match component {
            Component::Normal(name) if depth == 0 && *name != TOP => {
                return Err(format!("it is outside the directory {TOP}"));
            }
            Component::Normal(name) if name.len() > LONGEST_NAME => {
                return Err(format!("its name is longer than {LONGEST_NAME} bytes"));
            }
            Component::Normal(_) if depth == 0 => {}
            Component::Normal(name) => path.push(name),
            Component::ParentDir => return Err("its name contains \"..\"".into()),
            _ => return Err("its name is an absolute path".into()),
        }
    }
    match names.len() {
        0 => Err("it has no name".into()),
        n if n > DEEPEST => Err(format!("it is more than {DEEPEST} directories deep")),
        _ => Ok(path),
    }
}

/// Accepts a target that is inside the release wherever other links lead: first up, at most to the top, then down.
/// `a/../..` is refused even where it would stay inside: `a` may be a link.
fn inner_target(link: &Path, raw: &[u8]) -> Result<PathBuf, String> {
    let outside = || format!("it points outside the release, at {}", String::from_utf8_lossy(raw));
    let mut up = link.components().count() - 1;
    let mut down = false;
    for component in names(raw)? {
        match component {
            Component::CurDir => {}
            Component::ParentDir if !down && up > 0 => up -= 1,
            Component::Normal(_) => down = true,
            _ => return Err(outside()),
        }
    }
    match std::str::from_utf8(raw) {
        Ok("") | Err(_) => Err("it points nowhere".into()),
        Ok(target) => Ok(PathBuf::from(target)),
    }
}

fn names(raw: &[u8]) -> Result<Vec<Component<'_>>, String> {
    let text = std::str::from_utf8(raw).map_err(|_| "its name is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("its name contains control characters".into());
    }
    Ok(Path::new(text).components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_go_up_to_the_top_and_then_down() {
        for (link, target, inside) in [
            ("client/link", "root.html", true),
            ("client/link", "../bin/mattermost", true),
            ("client/link", "./a", true),
            ("a/b/link", "../..", true),
            ("link", "client", true),
            ("link", "..", false),
            ("a/b/link", "../../..", false),
            ("a/link", "b/../..", false),
            ("a/link", "b/..", false),
            ("link", "/etc/passwd", false),
            ("link", "", false),
            ("link", "a\0b", false),
        ] {
            let found = inner_target(Path::new(link), target.as_bytes());
            assert_eq!(found.is_ok(), inside, "{link} -> {target}: {found:?}");
        }
    }

    #[test]
    fn names_are_relative_to_the_top_directory() {
        for (name, below) in [
            ("mattermost", ""),
            ("./mattermost/", ""),
            ("mattermost/bin/./mattermost", "bin/mattermost"),
            ("mattermost//config/", "config"),
        ] {
            assert_eq!(below_top(name.as_bytes()), Ok(PathBuf::from(below)), "{name}");
        }
        for name in ["", ".", "/mattermost/a", "mattermost/../a", "other/a", "mattermost/a\nb"] {
            assert!(below_top(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(below_top(b"mattermost/\xff").is_err());
        assert!(below_top(format!("mattermost/{}", "n".repeat(256)).as_bytes()).is_err());
        assert!(below_top(format!("mattermost{}", "/d".repeat(DEEPEST)).as_bytes()).is_err());
    }
}
