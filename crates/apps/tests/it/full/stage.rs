//! A directory for one app, and its runtime.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use apps::runtime::{AppDir, CallError, Entry, Runtime, Settings};
use apps::{Function, Manifest};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) struct Stage {
    dir: tempfile::TempDir,
    pub(crate) runtime: Runtime,
}

/// A function: path, name, handler, runtime, and the files of its package.
pub(crate) type Fn<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [(&'a str, &'a [u8])]);

pub(crate) const HOSTILE: &[u8] = include_bytes!("../../functions/hostile.py");

impl Stage {
    pub(crate) fn new(functions: &[Fn<'_>]) -> Self {
        Self::with(functions, |_| {})
    }

    pub(crate) fn with(functions: &[Fn<'_>], change: impl FnOnce(&mut Settings)) -> Self {
        Self::prepare(functions, change).unwrap_or_else(|error| panic!("{error}: {:?}", error.hint))
    }

    pub(crate) fn prepare(
        functions: &[Fn<'_>],
        change: impl FnOnce(&mut Settings),
    ) -> Result<Self, apps::Error> {
        // The functions' users must be able to pass through.
        let dir = tempfile::Builder::new()
            .prefix("apps-it-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let manifest =
            Manifest { app_id: "com.example.app".into(), version: "1.0.0".into(), ..Manifest::default() };
        let mut settings = Settings {
            dir: AppDir::new(dir.path(), &manifest.app_id),
            variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            env: BTreeMap::from([("SECRET".to_owned(), "for functions".to_owned())]),
            memory: 256 << 20,
            limit: Duration::from_secs(10),
            concurrency: 4,
            shim: crate::actor::guest(),
        };
        change(&mut settings);
        let packages = functions.iter().map(|(path, name, handler, runtime, files)| {
            let text = |text: &str| text.to_owned();
            let function = Function {
                path: text(path),
                name: text(name),
                handler: text(handler),
                runtime: text(runtime),
            };
            Ok((function, zipped(files), false))
        });
        let assets = [Ok(("a photo.png".to_owned(), b"png".to_vec()))].into_iter();
        let runtime = Runtime::prepare(settings, &manifest, b"{}", assets, packages)?;
        Ok(Self { dir, runtime })
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The body of the answer to a call, as JSON.
    pub(crate) async fn call(&self, path: &str, body: &str) -> Value {
        let answer =
            self.runtime.call(path, body).await.unwrap_or_else(|error| panic!("{error}\n{:#?}", self.log()));
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Why there is no answer.
    pub(crate) async fn failure(&self, path: &str, body: &str) -> String {
        match self.runtime.call(path, body).await {
            Err(error @ CallError::Failed(..)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// What all functions have logged.
    pub(crate) fn log(&self) -> Vec<Entry> {
        let dir = self.runtime.settings().dir.logs();
        let files = std::fs::read_dir(dir)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        files
            .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            .collect()
    }
}

pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let mode = if bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF") { 0o755 } else { 0o644 };
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
