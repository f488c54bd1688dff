//! What stands at each path once layers lie on each other.
use std::collections::BTreeMap;

use crate::entry::{Content, Entry};
use crate::error::OciError;
use crate::layer::Layer;

/// The paths of the layers laid so far, and what stands there. A directory that nothing declares is `None`.
#[derive(Default)]
pub(crate) struct Stack<'a>(BTreeMap<&'a str, Option<&'a Entry>>);

impl<'a> Stack<'a> {
    /// Lays a layer on top. Returns its members in the tarball's order: its entries, and the directories above
    /// them that nothing below declares (`None`: 0755, root), so that no extractor has to make one up.
    ///
    /// Refused: a path below a file or a link, which an extractor would write through, and turning a directory
    /// into something else or back, which would drop what it holds.
    pub(crate) fn lay(&mut self, layer: &'a Layer) -> Result<BTreeMap<&'a str, Option<&'a Entry>>, OciError> {
        let mut members = BTreeMap::new();
        for entry in layer.entries() {
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
                let why = "a lower layer has it, and only one of the two is a directory";
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

    /// The entry at a path, links followed. `None` when nothing is there, or the links go round in circles.
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
