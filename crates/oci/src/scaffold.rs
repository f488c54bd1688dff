//! The few files that programs expect in a root file system.
use std::fs;
use std::path::Path;

use container_contract::{GID, HOME, UID, USER};

use crate::entry::{Entry, Owner};
use crate::error::OciError;

/// The user that Mattermost runs as in every image of it, the official ones included.
pub const MATTERMOST: Owner = Owner { uid: UID, gid: GID };

enum Base {
    Directory(u32),
    Text(&'static str),
    Link(&'static str),
}
use Base::{Directory, Link, Text};

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// All of these belong to root.
const BASE: [(&str, Base); 11] = [
    ("/etc", Directory(0o755)),
    // Without this file, names in /etc/hosts (a linked container's) are looked up in DNS first.
    ("/etc/nsswitch.conf", Text("passwd: files\ngroup: files\nhosts: files dns\n")),
    ("/etc/ssl", Directory(0o755)),
    ("/etc/ssl/certs", Directory(0o755)),
    // For programs that do not know the bundle's Debian path.
    ("/etc/ssl/cert.pem", Link("certs/ca-certificates.crt")),
    ("/root", Directory(0o700)),
    ("/run", Directory(0o755)),
    ("/tmp", Directory(0o1777)),
    ("/var", Directory(0o755)),
    ("/var/log", Directory(0o755)),
    ("/var/tmp", Directory(0o1777)),
];

/// The users and groups.
fn users() -> [Entry; 2] {
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         {USER}:x:{UID}:{GID}:{USER}:{HOME}:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\n{USER}:x:{GID}:\nnobody:x:65534:\n");
    [("/etc/passwd", passwd), ("/etc/group", group)]
        .map(|(path, text)| Entry::bytes(path, text, 0o644, Owner::ROOT))
}

/// The entries of an otherwise empty root file system: users, name lookup, `/tmp`, and the certificates in `bundle`, a
/// file of PEM certificates on this machine (Debian: `/etc/ssl/certs/ca-certificates.crt`).
///
/// Without a bundle, programs in the image cannot verify certificates unless they bring their own.
pub fn scaffold(bundle: Option<&Path>) -> Result<Vec<Entry>, OciError> {
    let mut entries: Vec<Entry> = BASE
        .iter()
        .filter(|(_, base)| bundle.is_some() || !matches!(base, Link(_)))
        .map(|(path, base)| match base {
            Directory(mode) => Entry::directory(*path, *mode, Owner::ROOT),
            Text(text) => Entry::bytes(*path, *text, 0o644, Owner::ROOT),
            Link(target) => Entry::symlink(*path, *target),
        })
        .chain(users())
        .collect();
    if let Some(bundle) = bundle {
        let text = fs::read(bundle).map_err(|e| OciError::disk("read", bundle, e))?;
        let marker = b"-----BEGIN CERTIFICATE-----";
        if !text.windows(marker.len()).any(|window| window == marker) {
            return Err(OciError::entry(BUNDLE, format!("{} contains no PEM certificate", bundle.display())));
        }
        entries.push(Entry::bytes(BUNDLE, text, 0o644, Owner::ROOT));
    }
    Ok(entries)
}
