//! One file, directory or link of an image.
use std::path::PathBuf;

use crate::error::OciError;

/// The numeric owner and group of a path. Tarballs carry no user names: the image's `/etc/passwd` decides those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// Root: 0:0.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file, copied from this file on this machine when the layer is written.
    File(PathBuf),
    /// A regular file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
}

/// One path of an image: what it is, its mode and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path in the image, without `.`, `..` or a trailing slash: `/opt/mattermost/bin`.
    pub path: String,
    /// What is there.
    pub content: Content,
    /// Permission bits, set-id bits and sticky bit: 0 to 0o7777.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
}

impl Entry {
    /// A directory.
    pub fn directory(path: impl Into<String>, mode: u32, owner: Owner) -> Self {
        Self { path: path.into(), content: Content::Directory, mode, owner }
    }

    /// A file with the bytes of `source`.
    pub fn file(path: impl Into<String>, source: impl Into<PathBuf>, mode: u32, owner: Owner) -> Self {
        Self { path: path.into(), content: Content::File(source.into()), mode, owner }
    }

    /// A file with these bytes.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Vec<u8>>, mode: u32, owner: Owner) -> Self {
        Self { path: path.into(), content: Content::Bytes(bytes.into()), mode, owner }
    }

    /// A symbolic link. An absolute target is relative to the image's root, never to this machine's.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), content: Content::Symlink(target.into()), mode: 0o777, owner: Owner::ROOT }
    }

    /// Refuses paths, modes and links that an extractor could misread.
    pub(crate) fn check(&self) -> Result<(), OciError> {
        let refuse = |why: String| Err(OciError::entry(&self.path, why));
        if let Err(why) = check_path(&self.path) {
            return refuse(why.to_owned());
        }
        if self.mode > 0o7777 {
            return refuse(format!("mode {:o} is above 7777", self.mode));
        }
        if let Content::Symlink(target) = &self.content {
            if target.is_empty() || target.contains('\0') {
                return refuse("its target is empty or contains a NUL".to_owned());
            }
            let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if leads_above_root(parent, target) {
                return refuse(format!("its target {target:?} leads above the image's root"));
            }
        }
        Ok(())
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(relative) = path.strip_prefix('/') else {
        return Err("a path must begin with /");
    };
    if relative.is_empty() {
        return Err("the root itself belongs to the program that unpacks the image");
    }
    if path.contains('\0') {
        return Err("a path must not contain a NUL");
    }
    for name in relative.split('/') {
        match name {
            "" => return Err("a path must not contain // or end with /"),
            "." | ".." => return Err("a path must not contain . or .."),
            // The layer format reads these names as deletions of files in lower layers.
            _ if name.starts_with(".wh.") => return Err("a name that begins with .wh. would delete a file"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a link in the directory `parent` ("" is the root) leads above the root. An absolute target starts at the
/// root.
pub(crate) fn leads_above_root(parent: &str, target: &str) -> bool {
    let mut depth = match target.strip_prefix('/') {
        Some(_) => 0,
        None => parent.split('/').filter(|name| !name.is_empty()).count(),
    };
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_paths_are_refused() {
        for path in [
            "",
            "/",
            "etc",
            "/etc/",
            "//etc",
            "/a/../b",
            "/a/./b",
            "/..",
            "/a\0",
            "/a/.wh.b",
            "/.wh..wh..opq",
        ] {
            let why = Entry::bytes(path, "", 0o644, Owner::ROOT).check();
            assert!(matches!(why, Err(OciError::Entry { .. })), "{path:?}");
        }
        for path in ["/a", "/a/...", "/ä/ö ü", "/a\n", "/.hidden", "/-"] {
            assert!(Entry::bytes(path, "", 0o644, Owner::ROOT).check().is_ok(), "{path:?}");
        }
    }

    #[test]
    fn links_stay_inside_the_image() {
        for (path, target) in
            [("/a", ".."), ("/a/b", "../.."), ("/a", "/../etc"), ("/a/b", "x/../../../c"), ("/a", "")]
        {
            assert!(Entry::symlink(path, target).check().is_err(), "{path} -> {target:?}");
        }
        for (path, target) in
            [("/a", "b"), ("/a/b", ".."), ("/a/b", "../c"), ("/a", "/etc/passwd"), ("/a/b", "x/../../c")]
        {
            assert!(Entry::symlink(path, target).check().is_ok(), "{path} -> {target:?}");
        }
    }

    #[test]
    fn modes_above_7777_are_refused() {
        assert!(Entry::directory("/tmp", 0o1777, Owner::ROOT).check().is_ok());
        assert!(Entry::directory("/tmp", 0o10000, Owner::ROOT).check().is_err());
    }
}
