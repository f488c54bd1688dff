//! Zip files for the tests.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A zip file with these files, not compressed; a name that ends with `/` is a directory.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip_with(files, stored.unix_permissions(0o644))
}

/// The same with other options.
pub(crate) fn zip_with(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        if let Some(dir) = name.strip_suffix('/') {
            writer.add_directory(dir, options).expect("a directory");
        } else {
            writer.start_file(*name, options).expect("a file");
            writer.write_all(bytes).expect("bytes");
        }
    }
    writer.finish().expect("a zip file").into_inner()
}

/// What compresses well, packed; the other files of a bundle are stored.
pub(crate) fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// An archive with an executable `bootstrap`.
pub(crate) fn bootstrap() -> Vec<u8> {
    zip_with(&[("bootstrap", b"#!/bin/sh\n")], SimpleFileOptions::default().unix_permissions(0o755))
}
