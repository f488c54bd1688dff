//! Pushing to a registry: the OCI distribution API.
use futures_util::TryStreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Client, Method, Request, StatusCode};
use tokio_util::io::ReaderStream;

use crate::access::{Access, Credentials, Transport};
use crate::digest::Digest;
use crate::error::OciError;
use crate::layer::open;
use crate::layout::Layout;
use crate::manifest::{Descriptor, MANIFEST};
use crate::meter::Meter;
use crate::reference::Reference;
use crate::session::Session;

/// A registry to push to: build it with a client, then add credentials, a transport or a meter.
#[derive(Debug, Clone)]
pub struct Registry {
    access: Access,
    meter: Meter,
}

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The image's digest, as the registry confirmed it; pull by this.
    pub digest: Digest,
    /// Number of blobs that this push sent.
    pub sent: usize,
    /// Number of blobs that the registry already had.
    pub present: usize,
}

impl Registry {
    /// Sends every request through `client`. Give it a connect timeout and no overall timeout: a large layer on a
    /// slow line may take hours.
    pub fn new(client: Client) -> Self {
        let access = Access { client, credentials: None, transport: Transport::default() };
        Self { access, meter: Meter::default() }
    }

    /// Signs in with these credentials where the registry asks for them.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.access.credentials = Some(credentials);
        self
    }

    /// Uses this protocol instead of [`Transport::ByAddress`].
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.access.transport = transport;
        self
    }

    /// Counts in `meter` the bytes that were sent or already there; at the end they add up to [`Layout::bytes`].
    #[must_use]
    pub fn meter(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// Pushes an image under a name. Blobs that the registry has are not sent again. The name is set last, so a
    /// push that fails or is cancelled (dropped) leaves the name as it was.
    pub async fn push(&self, layout: &Layout, to: &Reference) -> Result<Pushed, OciError> {
        let digest = layout.digest();
        if let Some(wanted) = to.digest().filter(|wanted| **wanted != digest) {
            return Err(OciError::WrongDigest {
                what: "the image".to_owned(),
                wanted: *wanted,
                found: digest.to_string(),
                hint: "leave the digest out of the name, or build that image",
            });
        }
        let mut session = Session::new(&self.access, to)?;
        let (mut sent, mut present) = (0, 0);
        for blob in layout.blobs() {
            if has(&mut session, blob).await? {
                self.meter.add(blob.size);
                present += 1;
            } else {
                self.send_blob(&mut session, layout, blob).await?;
                sent += 1;
            }
        }
        send_manifest(&mut session, layout, to).await?;
        tracing::debug!(%digest, %to, sent, present, "image pushed");
        Ok(Pushed { digest, sent, present })
    }

    /// One request asks for an upload address, a second sends the bytes: the form that every registry supports.
    async fn send_blob(
        &self,
        session: &mut Session<'_>,
        layout: &Layout,
        blob: &Descriptor,
    ) -> Result<(), OciError> {
        let uploads = session.url("blobs/uploads/")?;
        let begin = || {
            let mut request = Request::new(Method::POST, uploads.clone());
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
            Ok(request)
        };
        let mut place = session.begin_upload(begin).await?;
        place.query_pairs_mut().append_pair("digest", &blob.digest.to_string());

        let file = layout.blob(&blob.digest);
        let before = self.meter.bytes();
        let upload = || {
            self.meter.reset(before);
            let (bytes, size) = open(&file)?;
            let counting = self.meter.clone();
            let bytes = ReaderStream::with_capacity(tokio::fs::File::from_std(bytes), CHUNK)
                .inspect_ok(move |chunk| counting.add(chunk.len() as u64));
            let mut request = Request::new(Method::PUT, place.clone());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            *request.body_mut() = Some(Body::wrap_stream(bytes));
            Ok(request)
        };
        session.store("store a layer", blob.digest, upload).await
    }
}

/// Bytes read from a blob's file at a time.
const CHUNK: usize = 128 * 1024;

async fn has(session: &mut Session<'_>, blob: &Descriptor) -> Result<bool, OciError> {
    let url = session.url(&format!("blobs/{}", blob.digest))?;
    let answer = session.send(|| Ok(Request::new(Method::HEAD, url.clone()))).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(false);
    }
    session.accepted("look for a layer", answer).await.map(|_| true)
}

async fn send_manifest(session: &mut Session<'_>, layout: &Layout, to: &Reference) -> Result<(), OciError> {
    let digest = layout.digest();
    let name = to.tag().map_or_else(|| digest.to_string(), str::to_owned);
    let url = session.url(&format!("manifests/{name}"))?;
    let put = || {
        let mut request = Request::new(Method::PUT, url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        *request.body_mut() = Some(layout.manifest().to_vec().into());
        Ok(request)
    };
    session.store("store the image", digest, put).await
}
