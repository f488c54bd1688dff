//! An image on disk: the OCI image layout, and an archive of it.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::{Digest, Hash};
use crate::entry::Owner;
use crate::error::OciError;
use crate::layer::{Layer, open};
use crate::manifest::{
    CONFIG, Descriptor, DockerImage, INDEX, Index, Indexed, LAYER, MANIFEST, Manifest, NAME, Platform, TAG,
};
use crate::meter::Meter;
use crate::reference::Reference;
use crate::spec::ImageSpec;
use crate::stack::Stack;
use crate::tarball::{Kind, Member, Tarball};

const MARKER: &str = "oci-layout";
const MARKER_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
/// At most this much of an index or manifest is read. Those of one image are far shorter.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A directory that holds one image: `oci-layout`, `index.json`, `blobs/sha256/*`.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    name: Option<Reference>,
    manifest: Descriptor,
    manifest_text: Vec<u8>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Builds an image of `layers`, the lowest first, and writes it as an image layout to `dir`, which appears only when
/// it is complete. `docker load` and OCI tools will call it `name`. `meter` counts the source bytes; at the end it has
/// the sum of all [`Layer::bytes`]. Blocks the thread.
///
/// Refuses a `dir` that is not empty, and an image that cannot start (see [`crate::Program`]).
pub fn write_layout(
    spec: &ImageSpec,
    layers: &[Layer],
    name: &Reference,
    dir: &Path,
    meter: &Meter,
) -> Result<Layout, OciError> {
    if name.digest().is_some() {
        let why = "an image is built under a tag; its digest is known only afterwards";
        return Err(OciError::Spec { field: "name", given: name.to_string(), why: why.to_owned() });
    }
    let mut stack = Stack::default();
    let members = layers.iter().map(|layer| stack.add(layer.entries())).collect::<Result<Vec<_>, _>>()?;
    spec.check(&stack)?;

    let staging = Staging::beside(dir)?;
    let mut diff_ids = Vec::new();
    let mut blobs = Vec::new();
    for (layer, members) in layers.iter().zip(&members) {
        let part = staging.path(BLOBS).join("layer.part");
        let failed = |e| OciError::disk("write", &part, e);
        let out = BufWriter::with_capacity(256 * 1024, File::create(&part).map_err(failed)?);
        let (out, written) = layer.write(members, out, &part, meter)?;
        out.into_inner().map_err(|e| failed(e.into_error()))?;
        fs::rename(&part, staging.path(BLOBS).join(written.digest.hex())).map_err(failed)?;
        tracing::debug!(digest = %written.digest, bytes = written.size, "layer written");
        diff_ids.push(written.diff_id);
        blobs.push(Descriptor::new(LAYER, written.digest, written.size));
    }
    let config = staging.blob(CONFIG, &spec.document(&diff_ids)?)?;
    let manifest = Manifest { schema_version: 2, media_type: MANIFEST.to_owned(), config, layers: blobs };
    let manifest = staging.blob(MANIFEST, &json(&manifest, dir)?)?;
    let tag = name.tag().unwrap_or_default().to_owned();
    let index = Index {
        schema_version: 2,
        media_type: Some(INDEX.to_owned()),
        manifests: vec![Indexed {
            descriptor: manifest,
            platform: Some(Platform {
                architecture: spec.architecture.name().to_owned(),
                os: "linux".to_owned(),
            }),
            annotations: BTreeMap::from([(NAME.to_owned(), name.to_string()), (TAG.to_owned(), tag)]),
        }],
    };
    staging.file(INDEX_FILE, &json(&index, dir)?)?;
    staging.file(MARKER, MARKER_TEXT)?;
    staging.keep()?;
    Layout::open(dir)
}

impl Layout {
    /// Opens a layout that holds one image. Verifies the manifest's digest and the sizes of all blobs.
    pub fn open(dir: &Path) -> Result<Self, OciError> {
        let broken = |why: String| OciError::NotALayout { dir: dir.to_path_buf(), why };
        let index: Index =
            parse(&document(&dir.join(INDEX_FILE))?).map_err(|why| broken(format!("index.json: {why}")))?;
        let [image] = index.manifests.as_slice() else {
            return Err(broken(format!("index.json names {} images", index.manifests.len())));
        };
        let blob = |digest: &Digest| dir.join(BLOBS).join(digest.hex());
        if image.descriptor.media_type != MANIFEST {
            return Err(broken(format!("its manifest is of type {}", image.descriptor.media_type)));
        }
        let digest = image.descriptor.digest;
        let manifest_text = document(&blob(&digest))?;
        if Digest::of(&manifest_text) != digest {
            return Err(OciError::Damaged { path: blob(&digest), digest });
        }
        let manifest: Manifest =
            parse(&manifest_text).map_err(|why| broken(format!("its manifest: {why}")))?;
        for part in manifest.layers.iter().chain([&manifest.config]) {
            let (_, size) = open(&blob(&part.digest))?;
            if size != part.size {
                return Err(OciError::Damaged { path: blob(&part.digest), digest: part.digest });
            }
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            name: image.annotations.get(NAME).and_then(|name| name.parse().ok()),
            manifest: image.descriptor.clone(),
            manifest_text,
            config: manifest.config,
            layers: manifest.layers,
        })
    }

    /// The image's digest, which is its manifest's.
    pub fn digest(&self) -> Digest {
        self.manifest.digest
    }

    /// The name it was built under.
    pub fn name(&self) -> Option<&Reference> {
        self.name.as_ref()
    }

    /// Its layers, the lowest first, and its configuration.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().chain([&self.config])
    }

    /// The sizes of its blobs added up, in bytes: the total of a push's progress bar.
    pub fn bytes(&self) -> u64 {
        self.blobs().map(|blob| blob.size).sum()
    }

    /// The manifest document.
    pub(crate) fn manifest(&self) -> &[u8] {
        &self.manifest_text
    }

    /// The file of a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.dir.join(BLOBS).join(digest.hex())
    }

    /// Writes one tarball that every version of `docker load` and OCI tools can read, and verifies every blob while
    /// it is copied. The tarball holds the layout's own blobs, so a pushed and a loaded image have the same layers.
    pub fn write_archive<W: Write>(&self, out: W) -> Result<W, OciError> {
        let mut archive = Tarball::new(out, 0);
        let out = Path::new("the archive");
        let failed = |e| OciError::disk("write", out, e);
        for path in ["blobs", BLOBS] {
            let directory = Member { path, mode: 0o755, owner: Owner::ROOT, kind: Kind::Directory };
            archive.header(&directory).map_err(failed)?;
        }
        let blobs: BTreeSet<(Digest, u64)> =
            self.blobs().chain([&self.manifest]).map(|blob| (blob.digest, blob.size)).collect();
        for (digest, size) in blobs {
            self.archive_blob(&mut archive, digest, size)?;
        }
        let index = document(&self.dir.join(INDEX_FILE))?;
        let path = |blob: &Descriptor| format!("{BLOBS}/{}", blob.digest.hex());
        let docker = [DockerImage {
            config: path(&self.config),
            repo_tags: self.name.iter().map(Reference::to_string).collect(),
            layers: self.layers.iter().map(path).collect(),
        }];
        archive.bytes(INDEX_FILE, &index).map_err(failed)?;
        archive.bytes("manifest.json", &json(&docker, &self.dir)?).map_err(failed)?;
        archive.bytes(MARKER, MARKER_TEXT).map_err(failed)?;
        let mut out = archive.finish().map_err(failed)?;
        out.flush().map_err(failed)?;
        Ok(out)
    }

    fn archive_blob<W: Write>(
        &self,
        archive: &mut Tarball<W>,
        digest: Digest,
        size: u64,
    ) -> Result<(), OciError> {
        let path = self.blob(&digest);
        let read = |e| OciError::disk("read", &path, e);
        let failed = |e| OciError::disk("write", Path::new("the archive"), e);
        let mut file = File::open(&path).map_err(read)?.take(size);
        let name = format!("{BLOBS}/{}", digest.hex());
        let member = Member { path: &name, mode: 0o644, owner: Owner::ROOT, kind: Kind::File(size) };
        archive.header(&member).map_err(failed)?;
        let mut hash = Hash::default();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read(e)),
            };
            hash.update(&chunk[..count]);
            archive.write_all(&chunk[..count]).map_err(failed)?;
        }
        if hash.digest() != digest {
            return Err(OciError::Damaged { path, digest });
        }
        archive.pad(size).map_err(failed)
    }
}

/// A temporary directory beside a layout's final place; deleted on drop unless [`Staging::keep`] moves it there.
struct Staging<'a> {
    scratch: tempfile::TempDir,
    dir: &'a Path,
}

impl<'a> Staging<'a> {
    fn beside(dir: &'a Path) -> Result<Self, OciError> {
        let failed = |e| OciError::disk("write", dir, e);
        if fs::symlink_metadata(dir).is_ok()
            && !fs::read_dir(dir).is_ok_and(|mut found| found.next().is_none())
        {
            return Err(OciError::Exists { dir: dir.to_path_buf() });
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As with mkdir, the umask decides who may read the image.
        let scratch = tempfile::Builder::new()
            .prefix(".image-")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(failed)?;
        fs::create_dir_all(scratch.path().join(BLOBS)).map_err(failed)?;
        Ok(Self { scratch, dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<(), OciError> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|e| OciError::disk("write", &path, e))
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, OciError> {
        let descriptor = Descriptor::of(media_type, bytes);
        self.file(&format!("{BLOBS}/{}", descriptor.digest.hex()), bytes)?;
        Ok(descriptor)
    }

    fn keep(self) -> Result<(), OciError> {
        fs::rename(self.scratch.path(), self.dir).map_err(|e| OciError::disk("write", self.dir, e))?;
        // The directory was moved: do not try to remove it.
        let _ = self.scratch.keep();
        Ok(())
    }
}

fn json(document: &impl Serialize, dir: &Path) -> Result<Vec<u8>, OciError> {
    serde_json::to_vec(document).map_err(|e| OciError::disk("write", dir, e.into()))
}

fn document(path: &Path) -> Result<Vec<u8>, OciError> {
    let (file, _) = open(path)?;
    let mut text = Vec::new();
    file.take(LONGEST_DOCUMENT).read_to_end(&mut text).map_err(|e| OciError::disk("read", path, e))?;
    Ok(text)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|e| e.to_string())
}
