//! One path of an image.
use std::path::PathBuf;

use crate::error::OciError;

/// Numeric owner and group of a path. Names are the image's own affair, so tarballs carry none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// 0:0.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file with the bytes of a file on this machine; read when the layer is written.
    File(PathBuf),
    /// A regular file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
}

/// One path of an image: what it is, its mode and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute in the image, without `.`, `..` or a slash at its end: `/opt/mattermost/bin`.
    pub path: String,
    /// What stands there.
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

    /// A symbolic link. An absolute target means the image's root, never this machine's.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), content: Content::Symlink(target.into()), mode: 0o777, owner: Owner::ROOT }
    }

    /// Refuses what an extractor could take for something else.
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
                return refuse("its target is empty or holds a NUL".to_owned());
            }
            let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if climbs_above(parent, target) {
                return refuse(format!("its target {target:?} leads above the image's root"));
            }
        }
        Ok(())
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(relative) = path.strip_prefix('/') else {
        return Err("a path begins with /");
    };
    if relative.is_empty() {
        return Err("the root belongs to whoever unpacks the image");
    }
    if path.contains('\0') {
        return Err("a path holds no NUL");
    }
    for name in relative.split('/') {
        match name {
            "" => return Err("a path has no empty part and no slash at its end"),
            "." | ".." => return Err("a path has no . and no .. in it"),
            // The layer format reads these names as deletions of what lies below.
            _ if name.starts_with(".wh.") => return Err("a name that begins with .wh. would delete a file"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a link in the directory `parent` ("" is the top) leads out of that top.
/// An absolute target starts at the top again.
pub(crate) fn climbs_above(parent: &str, target: &str) -> bool {
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
    fn paths_that_mean_something_else_are_refused() {
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
    fn modes_end_at_7777() {
        assert!(Entry::directory("/tmp", 0o1777, Owner::ROOT).check().is_ok());
        assert!(Entry::directory("/tmp", 0o10000, Owner::ROOT).check().is_err());
    }
}
