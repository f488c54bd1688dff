//! What lies in a directory, compared with a snapshot by its content.
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use rustic_core::repofile::{Node, NodeType};
use rustic_core::{IndexedFullStatus, LsOptions};

use super::Repository;
use crate::error::Error;
use crate::parallel;
use crate::watch::Watch;

/// No piece of a file is longer: the engine cuts at 8 MiB.
const LONGEST_PIECE: u64 = 64 << 20;

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Files of the snapshot.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as the snapshot has it: the path, and the difference.
    pub differing: Vec<(PathBuf, String)>,
}

impl Repository {
    /// Compares every file and link of a folder of a snapshot with what lies below `with`, by the SHA-256 of each piece. Nothing is
    /// read from the repository but its index and its trees. What is there besides is not looked at.
    ///
    /// # Errors
    /// There is no such snapshot or folder; the repository is damaged; it was cancelled.
    pub fn compare(&self, id: &str, folder: &str, with: &Path, watch: &dyn Watch) -> Result<Compared, Error> {
        let snapshot = self.file_of(id)?;
        let engine = self.indexed()?;
        let node = self.node(&engine, &snapshot, folder)?;
        let listed = engine.ls(&node, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        let items: Vec<(PathBuf, Node)> =
            listed.map(|item| item.map_err(|error| self.fail(&error))).collect::<Result<_, _>>()?;
        let differing = Mutex::new(Vec::new());
        parallel::for_each(
            parallel::FILES,
            &items,
            |(_, node)| node.meta.size,
            watch,
            |(name, node)| {
                let path = with.join(name);
                let difference = match &node.node_type {
                    NodeType::File => self.difference(&engine, &path, node)?,
                    NodeType::Symlink { .. } => match std::fs::read_link(&path) {
                        Ok(target) if target == node.node_type.to_link() => None,
                        Ok(target) => Some(format!("it is a link to {}", target.display())),
                        Err(error) => Some(finding::disk::explained(&error)),
                    },
                    _ => None,
                };
                if let Some(why) = difference {
                    differing.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), why));
                }
                Ok(())
            },
        )?;
        let mut differing = differing.into_inner().unwrap_or_else(PoisonError::into_inner);
        differing.sort();
        let files = items.iter().filter(|(_, node)| node.is_file());
        let (files, bytes) =
            files.fold((0, 0), |(files, bytes), (_, node)| (files + 1, bytes + node.meta.size));
        Ok(Compared { files, bytes, differing })
    }

    /// How a file differs from the snapshot's; `None` = it does not.
    fn difference(
        &self,
        engine: &rustic_core::Repository<IndexedFullStatus>,
        path: &Path,
        node: &Node,
    ) -> Result<Option<String>, Error> {
        let in_words = |error: io::Error| Ok(Some(finding::disk::explained(&error)));
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (meta, file) = match opened {
            Ok((meta, file)) if meta.is_file() => (meta, file),
            Ok(_) => return Ok(Some("it is no file".to_owned())),
            Err(error) => return in_words(error),
        };
        if meta.len() != node.meta.size {
            return Ok(Some(format!("it has {} bytes, not {}", meta.len(), node.meta.size)));
        }
        let mut file = BufReader::with_capacity(1 << 20, file);
        for piece in node.content.iter().flatten() {
            let length = engine.get_index_entry(piece).map_err(|error| self.fail(&error))?.data_length();
            let length = u64::from(length);
            if length > LONGEST_PIECE {
                let why = format!("a piece of {} has {length} bytes", path.display());
                return Err(Error::Damaged { location: self.location(), why });
            }
            let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            match file.by_ref().take(length).read_to_end(&mut content) {
                Ok(_) if hex::encode(digest(&SHA256, &content)) == piece.to_hex().as_str() => {}
                Ok(_) => return Ok(Some("its content is another".to_owned())),
                Err(error) => return in_words(error),
            }
        }
        Ok(None)
    }
}
