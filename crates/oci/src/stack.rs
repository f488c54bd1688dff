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
        let mut path = path.to_owned();
        for _ in 0..40 {
            let (link, rest) = self.first_link(&path)?;
            let Some((at, target)) = link else { return self.0.get(path.as_str()).copied().flatten() };
            let parent = at.rsplit_once('/').map_or("", |(parent, _)| parent);
            let start = if target.starts_with('/') { "" } else { parent };
            path = normal(&format!("{start}/{target}{rest}"));
        }
        None
    }

    /// The first link on the way to a path, with its target, and the rest of the way.
    #[allow(clippy::type_complexity)]
    fn first_link<'p>(&self, path: &'p str) -> Option<(Option<(&'a str, &'a str)>, &'p str)> {
        let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let found = self.0.get(&path[..end])?;
            if let Some(Entry { path: at, content: Content::Symlink(target), .. }) = found {
                return Some((Some((at, target)), &path[end..]));
            }
        }
        Some((None, ""))
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
