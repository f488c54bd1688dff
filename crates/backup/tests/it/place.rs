//! A deployment's files and a repository beside them.
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use backup::{
    Content, DatabaseDump, Directory, Dump, FORMAT, Key, Manifest, Part, ReleaseName, Repository, Set,
    Silent, Store, Watch, Written,
};

pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    pub(crate) key: Key,
}

/// A dump of so many rows, and how it ends.
pub(crate) struct Rows {
    text: Cursor<Vec<u8>>,
    pub(crate) end: Result<(), String>,
}

pub(crate) fn rows(from: u64, to: u64) -> Vec<u8> {
    let line =
        |n: u64| format!("{n}\t{:016x}\t{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), "a word ".repeat(9));
    (from..to).flat_map(|n| line(n).into_bytes()).collect()
}

impl Rows {
    pub(crate) fn of(text: Vec<u8>) -> Rows {
        Rows { text: Cursor::new(text), end: Ok(()) }
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

impl Dump for Rows {
    fn finish(&mut self) -> Result<(), String> {
        self.end.clone()
    }
}

impl Place {
    pub(crate) fn new() -> Place {
        let root = tempfile::tempdir().expect("a directory");
        let place = Place { root, key: Key::generate().expect("a key") };
        fs::create_dir_all(place.data().join("teams/a")).unwrap();
        for n in 0..40u32 {
            let text: Vec<u8> = (0..10_000u32).flat_map(|i| (i.wrapping_mul(n + 1)).to_le_bytes()).collect();
            fs::write(place.data().join(format!("teams/a/{n:03}")), text).unwrap();
        }
        fs::write(place.data().join("empty"), "").unwrap();
        fs::write(place.root.path().join("config.json"), "{}").unwrap();
        std::os::unix::fs::symlink("empty", place.data().join("link")).unwrap();
        place
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(crate) fn repository_path(&self) -> PathBuf {
        self.root.path().join("repository")
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(Directory::new(self.repository_path()))
    }

    pub(crate) fn created(&self) -> Repository {
        Repository::create(self.store(), &self.key).expect("a new repository")
    }

    /// The same with a key that somebody thought of.
    pub(crate) fn with_key(key: &str) -> Place {
        Place { key: Key::parse(key).expect("a key"), ..Place::new() }
    }

    pub(crate) fn opened(&self) -> Repository {
        Repository::open(self.store(), &self.key).expect("a repository")
    }

    pub(crate) fn set(&self, dump: impl Dump + 'static) -> Set {
        let part = |name: &str, content| Part { name: name.to_owned(), content };
        let last = Content::Last(Arc::new(|counted| {
            let manifest = Manifest {
                format: FORMAT,
                made_by: "mainstay 0.1.0".to_owned(),
                taken: jiff::Timestamp::now(),
                deployment: "test".to_owned(),
                directory: "/var/lib/test".to_owned(),
                why: "a test".to_owned(),
                release: ReleaseName {
                    id: "11.6.0-team".to_owned(),
                    version: "11.6.0".to_owned(),
                    edition: "team".to_owned(),
                },
                database: DatabaseDump {
                    engine: "sqlite".to_owned(),
                    server: "3.50".to_owned(),
                    migration: Some(140),
                    bytes: counted.dumped,
                    rows: [("Posts".to_owned(), 7)].into(),
                },
                files: counted.files,
                bytes: counted.bytes,
                with_release: false,
                without_files: None,
            };
            serde_json::to_vec(&manifest).map_err(|error| backup::Error::Engine(error.to_string()))
        }));
        Set::new(vec![
            part("mainstay.json", last),
            part("files", Content::Tree { root: self.data(), skip: vec![self.data().join("skipped")] }),
            part("deployment/config.json", Content::File(self.root.path().join("config.json"))),
            part("database", Content::Dump(Box::new(dump))),
        ])
    }

    pub(crate) fn written(&self, repository: &Repository, set: Set) -> Result<Written, backup::Error> {
        let writer = repository.writer("a test", false)?;
        repository.write(&writer, set, "host", &(Arc::new(Silent) as Arc<dyn Watch>))
    }
}
