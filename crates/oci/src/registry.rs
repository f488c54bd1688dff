//! Pushing to a registry: the OCI distribution API.
use futures_util::TryStreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Client, Method, Request, StatusCode};
use secrecy::SecretString;
use tokio_util::io::ReaderStream;

use crate::digest::Digest;
use crate::error::OciError;
use crate::layer::open;
use crate::layout::Layout;
use crate::manifest::{Descriptor, MANIFEST};
use crate::meter::Meter;
use crate::reference::Reference;
use crate::session::Session;

/// A user's name and password, or a token in the password's place.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// How to speak to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// HTTP to this machine, HTTPS to every other.
    #[default]
    ByAddress,
    /// HTTPS.
    Https,
    /// HTTP: passwords and images go over the network as they are.
    Http,
}

/// The way to a registry.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) client: Client,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) transport: Transport,
    meter: Meter,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// What to pull: the image's digest, as the registry confirmed it.
    pub digest: Digest,
    /// Blobs that were sent.
    pub sent: usize,
    /// Blobs that were there already.
    pub present: usize,
}

impl Registry {
    /// Through this client, whose time limits hold for every request: one limit on connecting, none on the whole,
    /// or large layers do not get through slow lines.
    pub fn new(client: Client) -> Self {
        Self { client, credentials: None, transport: Transport::default(), meter: Meter::default() }
    }

    /// As this user.
    #[must_use]
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// In this way.
    #[must_use]
    pub fn transport(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Counting bytes sent or found there; their sum is [`Layout::bytes`].
    #[must_use]
    pub fn meter(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// Pushes an image under a name. Blobs that are there are not sent again; the name points to the image only
    /// after all of them are there, so to cancel (drop) or to fail leaves the name as it was.
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
        let mut session = Session::new(self, to)?;
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

    /// One request for a place, one with the bytes: what every registry supports.
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

/// One reading of a blob on its way out.
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
