//! The file system that the layers of an image make together.
use std::collections::BTreeMap;

use crate::entry::{Content, Entry};
use crate::error::OciError;

/// The entry at each path, after the layers added so far. A parent directory that no layer declares is `None`.
#[derive(Default)]
pub(crate) struct Stack<'a>(BTreeMap<&'a str, Option<&'a Entry>>);

impl<'a> Stack<'a> {
    /// Adds a layer's entries on top, sorted by path. Returns the members of its tarball in their order: the entries,
    /// and the parent directories that no lower layer declares (`None`: 0755, root), so that no extractor has to
    /// invent them.
    ///
    /// Refuses a path below a file or a link, which an extractor would write through, and a path that is a directory
    /// in one layer only, which would drop the directory's contents.
    pub(crate) fn add(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<BTreeMap<&'a str, Option<&'a Entry>>, OciError> {
        let mut members = BTreeMap::new();
        for entry in entries {
            let path = entry.path.as_str();
            for (at, _) in path.match_indices('/').skip(1) {
                let above = &path[..at];
                if !self.0.contains_key(above) {
                    self.0.insert(above, None);
                    members.insert(above, None);
                } else if !self.is_directory(above) {
                    return Err(OciError::entry(path, format!("{above:?} is not a directory")));
                }
            }
            let directory = matches!(entry.content, Content::Directory);
            if self.0.contains_key(path) && self.is_directory(path) != directory {
                let why = "a lower layer has this path too, and only one of the two is a directory";
                return Err(OciError::entry(path, why));
            }
            self.0.insert(path, Some(entry));
            members.insert(path, Some(entry));
        }
        Ok(members)
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|found| found.is_none_or(|entry| entry.content == Content::Directory))
    }

    /// The entry at a path, with links followed. `None` when there is none, or the links form a loop.
    pub(crate) fn follow(&self, path: &str) -> Option<&'a Entry> {
        const MOST_LINKS: usize = 40;
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
            let mut entries = ends.filter_map(|end| Some((self.0.get(&path[..end]).copied()??, end)));
            let link = entries.find_map(|(entry, end)| match &entry.content {
                Content::Symlink(target) => Some((entry, target, end)),
                _ => None,
            });
            let Some((link, target, end)) = link else {
                return self.0.get(path.as_str()).copied().flatten();
            };
            let parent = link.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let start = if target.starts_with('/') { "" } else { parent };
            path = normal(&format!("{start}/{target}{}", &path[end..]));
        }
        None
    }
}

/// A path without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}
