//! A [`Store`] as the engine wants it.
use std::sync::Arc;

use bytes::Bytes;

use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RepositoryBackends, RusticError, RusticResult,
    WriteBackend,
};

use super::{Shared, StoreError};

/// The engine's view of a store.
pub(crate) fn backends(store: &Shared) -> RepositoryBackends {
    RepositoryBackends::new(Arc::new(Backend(Arc::clone(store))), None)
}

struct Backend(Shared);

/// restic's names: packs lie in folders of the first two digits of their name.
fn name(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    match kind {
        FileType::Config => "config".to_owned(),
        FileType::Pack => format!("data/{}/{}", &hex.as_str()[..2], hex.as_str()),
        kind => format!("{}/{}", kind.dirname(), hex.as_str()),
    }
}

fn fail(error: StoreError) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "the store refused", error)
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let size = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        if kind == FileType::Config {
            let found = self.0.list("").map_err(fail)?;
            let config = found.into_iter().find(|entry| entry.name == "config");
            return Ok(config.map(|entry| (Id::default(), size(entry.size))).into_iter().collect());
        }
        let found = self.0.list(kind.dirname()).map_err(fail)?;
        Ok(found
            .into_iter()
            .filter_map(|entry| {
                let id = entry.name.rsplit('/').next()?.parse().ok()?;
                Some((id, size(entry.size)))
            })
            .collect())
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        self.0.read(&name(kind, id)).map_err(fail)
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.0.read_range(&name(kind, id), offset.into(), length.into()).map_err(fail)
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        name(kind, id)
    }
}

impl WriteBackend for Backend {
    fn write_bytes(&self, kind: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        self.0.write(&name(kind, id), content.slice()).map_err(fail)
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        self.0.remove(&name(kind, id)).map_err(fail)
    }
}
