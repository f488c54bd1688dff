//! What answers the requests of an app.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::percent_decode_str;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::page;
use super::token::{HEADER as TOKEN_HEADER, Secret};
use crate::runtime::{CallError, Failure, PAYLOAD_MAX, Runtime};
use crate::{Http, Manifest};

/// A body that is in memory, or a file that is read as it is taken.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Response = hyper::Response<Body>;
type ToProgram = Client<HttpConnector, Full<Bytes>>;

/// How long a caller may take to send the body of a call.
const BODY_MAX: Duration = Duration::from_secs(30);
/// How much of a file is in memory for one reader, in bytes.
const PIECE: usize = 64 << 10;
/// How large an answer of a program may be, in bytes: that of a function.
const ANSWER_MAX: usize = PAYLOAD_MAX;

/// Who answers the calls.
#[derive(Debug)]
pub enum Backend {
    /// Functions that run here.
    Functions(Arc<Runtime>),
    /// A program that listens here.
    Program(Box<Program>),
}

/// A program that answers calls by HTTP.
#[derive(Debug)]
pub struct Program {
    address: SocketAddr,
    limit: Duration,
    client: ToProgram,
}

impl Program {
    /// The program that listens on `address`. A call may take `limit`.
    pub fn new(address: SocketAddr, limit: Duration) -> Self {
        Self { address, limit, client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

/// What answers the requests of an app.
#[derive(Debug)]
pub struct Front {
    manifest: Bytes,
    files: BTreeMap<String, PathBuf>,
    backend: Backend,
    secret: Option<Secret>,
}

impl Front {
    /// `files`: where each static file is, by its name below `static/`. `root_url`: where Mattermost reaches the app. Without `secret`
    /// the calls of everybody but pages in a browser are answered.
    pub fn new(
        manifest: &Manifest,
        root_url: &str,
        files: BTreeMap<String, PathBuf>,
        backend: Backend,
        secret: Option<Secret>,
    ) -> Self {
        let manifest = installable(manifest, root_url, secret.is_some());
        // A manifest always becomes JSON.
        let manifest = serde_json::to_vec_pretty(&manifest).unwrap_or_default().into();
        Self { manifest, files, backend, secret }
    }

    /// Answers a request.
    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_head = request.method() == Method::HEAD;
        let response = if path == "/manifest.json" && is_read {
            answer(StatusCode::OK, "application/json", self.manifest.clone())
        } else if let Some(name) = path.strip_prefix("/static/") {
            if is_read { self.file(name).await } else { not_allowed("GET, HEAD") }
        } else if request.method() == Method::POST {
            self.call(&path, request).await
        } else {
            not_allowed("POST")
        };
        if is_head { without_body(response) } else { response }
    }

    async fn file(&self, name: &str) -> Response {
        let name = percent_decode_str(name).decode_utf8().unwrap_or_default();
        let Some(path) = self.files.get(name.as_ref()).cloned() else {
            return text(StatusCode::NOT_FOUND, "the app has no such static file");
        };
        let opened = async {
            let file = tokio::fs::File::open(&path).await?;
            let length = file.metadata().await?.len();
            std::io::Result::Ok((file, length))
        };
        match opened.await {
            Ok((file, length)) => {
                let kind = mime_guess::from_path(&path).first_or_octet_stream();
                let kind = match kind.type_() {
                    mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
                    _ => kind.to_string(),
                };
                let mut response = answer_with(StatusCode::OK, &kind, pieces(file, length));
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
                response
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a static file cannot be read");
                text(StatusCode::INTERNAL_SERVER_ERROR, "the static file cannot be read")
            }
        }
    }

    async fn call(&self, path: &str, request: Request<Incoming>) -> Response {
        if let Some(secret) = &self.secret {
            let header = request.headers().get(TOKEN_HEADER).map(|value| value.to_str().unwrap_or_default());
            if let Err(why) = secret.check(header, jiff::Timestamp::now().as_second()) {
                return text(StatusCode::UNAUTHORIZED, why);
            }
        } else if let Some(why) = page::refused(request.headers()) {
            return text(StatusCode::FORBIDDEN, why);
        }
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > PAYLOAD_MAX as u64) {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the call is larger than 6 MiB");
        }
        let body = Limited::new(request.into_body(), PAYLOAD_MAX).collect();
        let body = match tokio::time::timeout(BODY_MAX, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return text(StatusCode::PAYLOAD_TOO_LARGE, "the call is larger than 6 MiB");
            }
            Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the call was cut off"),
            Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the call did not come within 30 s"),
        };
        match &self.backend {
            Backend::Functions(runtime) => {
                let Ok(body) = std::str::from_utf8(&body) else {
                    return text(StatusCode::BAD_REQUEST, "the call is not UTF-8");
                };
                of_function(runtime.call(path, body).await)
            }
            Backend::Program(program) => of_program(program, path, body).await,
        }
    }
}

/// The manifest with which the app is installed as an HTTP app at `root_url`.
pub fn installable(manifest: &Manifest, root_url: &str, use_jwt: bool) -> Manifest {
    let root_url = root_url.trim_end_matches('/').to_owned();
    Manifest {
        http: Some(Http { root_url, use_jwt }),
        aws_lambda: None,
        open_faas: None,
        plugin: None,
        ..manifest.clone()
    }
}

fn of_function(answered: Result<crate::event::Response, CallError>) -> Response {
    match answered {
        Ok(answered) if answered.status == 200 => {
            let kind = answered.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let kind = kind.map_or("application/json", |(_, kind)| kind.as_str());
            answer(StatusCode::OK, kind, answered.body.into())
        }
        Ok(answered) => {
            // To Mattermost, 404 says that the app does not have the path; everything else is a failure.
            let status = if answered.status == 404 { StatusCode::NOT_FOUND } else { StatusCode::BAD_GATEWAY };
            let said = finding::one_line(&String::from_utf8_lossy(&answered.body), 500);
            text(status, &format!("the function answered with status {}: {said}", answered.status))
        }
        Err(error) => text(status_of(&error), &error.to_string()),
    }
}

fn status_of(error: &CallError) -> StatusCode {
    match error {
        CallError::NoFunction => StatusCode::NOT_FOUND,
        CallError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        CallError::Failed(_, failure) => match failure {
            Failure::TooLong(_) | Failure::SlowStart(_) => StatusCode::GATEWAY_TIMEOUT,
            Failure::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        },
    }
}

async fn of_program(program: &Program, path: &str, body: Bytes) -> Response {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}{path}", program.address))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body));
    let Ok(request) = request else { return text(StatusCode::BAD_REQUEST, "the path is not one") };
    let exchange = async {
        let answered = program.client.request(request).await.map_err(|error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            (StatusCode::BAD_GATEWAY, format!("the program does not answer: {why}"))
        })?;
        let (head, body) = answered.into_parts();
        match Limited::new(body, ANSWER_MAX).collect().await {
            Ok(body) => Ok((head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err((StatusCode::BAD_GATEWAY, "the program's answer is larger than 6 MiB".to_owned()))
            }
            Err(_) => Err((StatusCode::BAD_GATEWAY, "the program's answer was cut off".to_owned())),
        }
    };
    match tokio::time::timeout(program.limit, exchange).await {
        Ok(Ok((head, body))) => {
            let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            answer(head.status, kind.unwrap_or("application/json"), body)
        }
        Ok(Err((status, why))) => text(status, &why),
        Err(_) => {
            let limit = program.limit.as_secs_f64();
            text(StatusCode::GATEWAY_TIMEOUT, &format!("the program did not answer within {limit} s"))
        }
    }
}

/// A file in pieces, each read when the one before it has been taken: whoever does not read holds one piece, not the file.
fn pieces(file: tokio::fs::File, length: u64) -> Body {
    let read = ReaderStream::with_capacity(file.take(length), PIECE);
    StreamBody::new(read.map_ok(Frame::data)).boxed_unsync()
}

fn answer(status: StatusCode, kind: &str, body: Bytes) -> Response {
    answer_with(status, kind, Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

fn answer_with(status: StatusCode, kind: &str, body: Body) -> Response {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    let nosniff = HeaderName::from_static("x-content-type-options");
    response.headers_mut().insert(nosniff, HeaderValue::from_static("nosniff"));
    response
}

fn text(status: StatusCode, what: &str) -> Response {
    answer(status, "text/plain; charset=utf-8", format!("{what}\n").into())
}

fn not_allowed(methods: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {methods}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// What HEAD gets: the length that GET would have had, and nothing.
fn without_body(response: Response) -> Response {
    use hyper::body::Body as _;
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, Full::default().map_err(|never| match never {}).boxed_unsync())
}
