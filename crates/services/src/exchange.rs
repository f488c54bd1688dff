//! One HTTP request and its answer, on a connection of its own.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use finding::Unreached;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use url::Url;

use crate::reach::{Deadline, Place, begin_tls, connect};
use crate::trust::{Presented, Trust};

/// Bytes of an answer's body that are read at most.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How long to wait for a server to refuse an announced body: those that refuse do so at once.
const REFUSAL_WAIT: Duration = Duration::from_secs(2);

/// How requests are made.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) trust: Trust,
    /// For each request, from the look-up of the name to the end of the answer.
    pub(crate) timeout: Duration,
    /// Whether to use a connection with an invalid certificate. Nothing secret may be sent over it.
    pub(crate) accepts_invalid: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// At most 64 KiB of it.
    pub(crate) body: Bytes,
    /// The certificate presented, on `https`.
    pub(crate) certificate: Option<Presented>,
    /// Our end of the connection.
    pub(crate) local: IpAddr,
    /// The other end.
    pub(crate) peer: IpAddr,
}

impl Answer {
    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where a redirect leads, resolved against the address that was asked.
    pub(crate) fn redirect(&self, asked: &Url) -> Option<Url> {
        if !self.status.is_redirection() {
            return None;
        }
        asked.join(self.header(LOCATION)?).ok()
    }
}

/// The host and port that a URL leads to.
pub(crate) fn place(url: &Url) -> Place {
    Place::new(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

impl Caller {
    /// Sends `request`, whose path, host and agent are set from `url`.
    pub(crate) async fn send(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Answer, Unreached> {
        Box::pin(self.exchange(url, request.map(Either::Left), None)).await?.ok_or(Unreached::Dropped)
    }

    /// Announces a body of `length` bytes without sending it. `None`: the server did not refuse it; it asked for the body, or
    /// gave no answer.
    pub(crate) async fn announce(
        &self,
        url: &Url,
        mut request: Request<()>,
        length: u64,
    ) -> Result<Option<Answer>, Unreached> {
        request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        let wanted = Arc::new(Notify::new());
        let notified = Arc::clone(&wanted);
        let mut request = request.map(|()| Either::Right(Announced(length)));
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                notified.notify_one();
            }
        });
        Box::pin(self.exchange(url, request, Some(&wanted))).await
    }

    /// Its callers box it: the state of a handshake is large, and several exchanges run at once.
    async fn exchange(
        &self,
        url: &Url,
        mut request: Request<Either<Full<Bytes>, Announced>>,
        wanted: Option<&Notify>,
    ) -> Result<Option<Answer>, Unreached> {
        let deadline = Deadline::after(self.timeout);
        let place = place(url);
        address(&mut request, url)?;
        let stream = connect(&place, deadline).await?;
        let end = |address: std::io::Result<std::net::SocketAddr>| match address {
            Ok(address) => Ok(address.ip().to_canonical()),
            Err(error) => Err(deadline.explains(&error)),
        };
        let (local, peer) = (end(stream.local_addr())?, end(stream.peer_addr())?);
        let (exchanged, certificate) = if url.scheme() == "https" {
            let (stream, presented) = begin_tls(stream, &place, &self.trust, deadline).await?;
            if let Some(flaw) = presented.flaw.as_ref().filter(|_| !self.accepts_invalid) {
                return Err(Unreached::Certificate(flaw.clone()));
            }
            (deadline.within(converse(stream, request, wanted, deadline)).await??, Some(presented))
        } else {
            (deadline.within(converse(stream, request, wanted, deadline)).await??, None)
        };
        Ok(exchanged.map(|(head, body)| Answer {
            status: head.status,
            headers: head.headers,
            body,
            certificate,
            local,
            peer,
        }))
    }
}

/// Sets the request's path and headers that follow from the URL.
fn address<B>(request: &mut Request<B>, url: &Url) -> Result<(), Unreached> {
    let garbled = |error: &dyn std::error::Error| Unreached::Garbled(error.to_string());
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    *request.uri_mut() = target.parse().map_err(|error: http::uri::InvalidUri| garbled(&error))?;
    let host = HeaderValue::from_str(host).map_err(|error| garbled(&error))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("mainstay"));
    Ok(())
}

/// Sends the request and reads the answer. The connection is closed afterwards.
async fn converse<S>(
    stream: S,
    request: Request<Either<Full<Bytes>, Announced>>,
    wanted: Option<&Notify>,
    deadline: Deadline,
) -> Result<Option<(http::response::Parts, Bytes)>, Unreached>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| deadline.explains(&error))?;
    let conversation = async {
        let response = sender.send_request(request);
        let response = match wanted {
            None => response.await,
            Some(wanted) => tokio::select! {
                biased;
                response = response => response,
                () = wanted.notified() => return Ok(None),
                () = tokio::time::sleep(REFUSAL_WAIT) => return Ok(None),
            },
        };
        let (head, mut body) = response.map_err(|error| deadline.explains(&error))?.into_parts();
        let mut read = Vec::new();
        // After a switch of protocols there is no body. Of a body that breaks off, the part that arrived is kept.
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            while read.len() < LONGEST_ANSWER
                && let Some(Ok(frame)) = body.frame().await
            {
                read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            }
            read.truncate(LONGEST_ANSWER);
        }
        Ok(Some((head, Bytes::from(read))))
    };
    tokio::pin!(conversation);
    let connection = connection.with_upgrades();
    tokio::select! {
        biased;
        answer = &mut conversation => answer,
        // The answer may have arrived with the end of the connection.
        _ended = connection => conversation.await,
    }
}

/// A body that is announced and never sent.
struct Announced(u64);

impl Body for Announced {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}
