//! What one snapshot holds, as its taker describes it.
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;

/// A stream that can say whether it was whole: the output of a dump.
pub trait Dump: Read + Send {
    /// After the stream's end: whether the program ended well and the dump is complete, or why not, in words.
    ///
    /// # Errors
    /// It is not complete.
    fn finish(&mut self) -> Result<(), String>;
}

/// A part of a snapshot.
pub struct Part {
    /// Its name in the snapshot: one or more names with `/` between.
    pub name: String,
    /// What is there.
    pub content: Content,
}

/// What a part is made of.
pub enum Content {
    /// A stream, kept as a folder of pieces (`000001`, ...) that are the stream when put together.
    Dump(Box<dyn Dump>),
    /// A file that must be there.
    File(PathBuf),
    /// A directory and all that is below it, except `skip`. Sockets and the like are left out; links are kept as links.
    Tree {
        /// The directory. Where there is none, nothing is kept.
        root: PathBuf,
        /// Paths that are left out, with all below them.
        skip: Vec<PathBuf>,
    },
    /// What is known once all the parts before it have been read: the manifest.
    Last(Arc<dyn Fn(Counted) -> Result<Vec<u8>, Error> + Send + Sync>),
}

impl Content {
    /// The same once more; `None` for a dump, which is read once.
    pub(crate) fn again(&self) -> Option<Content> {
        match self {
            Content::Dump(_) => None,
            Content::File(path) => Some(Content::File(path.clone())),
            Content::Tree { root, skip } => Some(Content::Tree { root: root.clone(), skip: skip.clone() }),
            Content::Last(make) => Some(Content::Last(Arc::clone(make))),
        }
    }
}

/// What the parts before [`Content::Last`] came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes of all dumps.
    pub dumped: u64,
    /// Files of trees, and single ones.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The parts in the order of their names: the engine compares a snapshot with the one before it in this order.
#[derive(Default)]
pub struct Set {
    parts: Vec<Part>,
}

impl Set {
    /// The parts, which are read in the order of their names: give the dump a name that comes first, the manifest one that
    /// comes last.
    pub fn new(mut parts: Vec<Part>) -> Set {
        parts.sort_by(|one, other| one.name.split('/').cmp(other.name.split('/')));
        Set { parts }
    }

    /// About how many bytes of files there are. What cannot be looked at counts nothing.
    pub fn bytes(&self) -> u64 {
        let of_file = |path: &PathBuf| std::fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        self.parts
            .iter()
            .map(|part| match &part.content {
                Content::File(path) => of_file(path),
                Content::Tree { root, skip } => walkdir::WalkDir::new(root)
                    .into_iter()
                    .filter_entry(|entry| !skip.iter().any(|path| path == entry.path()))
                    .filter_map(|entry| entry.ok()?.metadata().ok().filter(std::fs::Metadata::is_file))
                    .map(|meta| meta.len())
                    .sum(),
                Content::Dump(_) | Content::Last(_) => 0,
            })
            .sum()
    }

    /// What is read again if a file changed while it was read, in the same order.
    pub(crate) fn again(&self) -> Vec<(String, Option<Content>)> {
        self.parts.iter().map(|part| (part.name.clone(), part.content.again())).collect()
    }

    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}
