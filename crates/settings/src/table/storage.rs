//! Files, links to them, and the key of the database's secrets.

use super::{Area, LATER};
use crate::kind::Kind;
use crate::row::{Row, at, row};

pub(super) const AREA: Area = Area { title: "Files and keys", rows: ROWS };

/// The acceptance test attaches a picture, which must fit.
const SMALLEST_FILE: i64 = 1024;

const ROWS: &[Row] = &[
    row("MATTERMOST_LINK_SALT", Kind::Salt, "Signs public links to files")
        .places(&[at("FileSettings", "PublicLinkSalt")])
        .now("generated once and kept in secrets.toml")
        .secret(),
    row("MATTERMOST_ENABLE_PUBLIC_LINKS", Kind::Bool, "Let members make public links to files")
        .places(&[at("FileSettings", "EnablePublicLink")])
        .then("false")
        .now("true if MATTERMOST_LINK_SALT is given"),
    row("MATTERMOST_MAX_FILE_SIZE", Kind::Int(SMALLEST_FILE, i64::MAX), "The largest upload, in bytes")
        .places(&[at("FileSettings", "MaxFileSize").since(3, 1)])
        .then("52428800")
        .now("104857600")
        .source(LATER),
    row("MATTERMOST_SECRET_KEY", Kind::Salt, "Encrypts sensitive fields of the database")
        .places(&[at("SqlSettings", "AtRestEncryptKey").until(12, 0)])
        .change(12, 0, "the key is gone, and no release since 2018 encrypted anything with it; leave it out")
        .now("generated once and kept in secrets.toml")
        .secret(),
];
