//! Images, checked with other people's tools.
#![allow(clippy::unwrap_used)]

mod hostile;
mod judge;
mod memory;
mod refusal;
mod reproducible;
mod server;

/// What needs root or programs other than our own, or takes long: `cargo xtask test --quick` skips it.
mod full {
    mod docker;
    mod layout;
    mod registry;
}

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use oci::{
    Entry, ImageSpec, Layer, Layout, MATTERMOST, Meter, Owner, Reference, scaffold, tree, write_layout,
};

pub(crate) const NAME: &str = "example.test/team/mattermost:11.7.0";

pub(crate) fn name() -> Reference {
    NAME.parse().unwrap()
}

/// A bundle of one certificate, made once in each scratch directory.
pub(crate) fn bundle(dir: &Path) -> PathBuf {
    let path = dir.join("bundle.pem");
    if !path.exists() {
        let certificate = rcgen::generate_simple_self_signed(["example.test".to_owned()]).unwrap();
        fs::write(&path, certificate.cert.pem()).unwrap();
    }
    path
}

/// A tree like a release's, with names and links that are easy to get wrong.
pub(crate) fn release(dir: &Path) {
    let deep = dir.join("client/plugins").join("long-directory-name".repeat(6));
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::write(deep.join("bundle.js"), "x".repeat(70_000)).unwrap();
    fs::write(dir.join("client/\u{e4}\u{f6} \u{65e5}.txt"), "not ASCII").unwrap();
    fs::write(dir.join("bin/mattermost"), "#!/usr/bin/env\n").unwrap();
    fs::set_permissions(dir.join("bin/mattermost"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(dir.join("README"), "").unwrap();
    fs::set_permissions(dir.join("README"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("../README", dir.join("bin/readme")).unwrap();
}

/// Builds an image of a scaffold and a release, both in `scratch`.
pub(crate) fn image(scratch: &Path, dir: &Path) -> Layout {
    let source = scratch.join("release");
    if !source.exists() {
        release(&source);
    }
    let base = Layer::new(scaffold(Some(&bundle(scratch))).unwrap()).unwrap();
    let mut entries = tree("/opt/mattermost", &source, MATTERMOST).unwrap();
    entries.push(Entry::directory("/opt/mattermost/data", 0o750, MATTERMOST));
    entries.push(Entry::bytes("/usr/bin/odd", "odd", 0o4711, Owner { uid: 3_000_000_000, gid: 7 }));
    let release = Layer::new(entries).unwrap();
    write_layout(&spec(), &[base, release], &name(), dir, &Meter::default()).unwrap()
}

pub(crate) fn spec() -> ImageSpec {
    ImageSpec {
        entrypoint: vec!["mainstay".to_owned(), "entrypoint".to_owned()],
        cmd: vec!["app:start".to_owned()],
        env: [("A".to_owned(), "b c".to_owned())].into(),
        exposed_ports: [(80, oci::Protocol::Tcp), (8443, oci::Protocol::Udp)].into(),
        volumes: ["/opt/mattermost/data".to_owned()].into(),
        user: MATTERMOST,
        workdir: "/opt/mattermost".to_owned(),
        labels: [("org.opencontainers.image.version".to_owned(), "11.7.0".to_owned())].into(),
        stop_signal: Some("SIGTERM".to_owned()),
        ..ImageSpec::default()
    }
}
