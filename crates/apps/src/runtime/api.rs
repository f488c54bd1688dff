//! AWS's Runtime API, one server for each process of a function: it hands out calls, and takes answers.
//!
//! Clients of the API know an address and no path before it, so the address says which process asks. Any user of this machine can
//! connect to it: a connection counts only if its user is that of the process.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::bounds::PAYLOAD_MAX;
use crate::Error;
use crate::event::Response as Answer;

/// How many connections one process may have to its server.
const CONNECTIONS: usize = 32;
/// How large a report of an error may be, in bytes.
const ERROR_MAX: usize = 256 << 10;

/// A call for a process.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// How long the function may take.
    pub(super) limit: Duration,
    /// Told when the process has fetched it.
    pub(super) fetched: oneshot::Sender<()>,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What a process gave for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Answer(Bytes),
    Failed(Error),
    /// The answer is larger than AWS allows.
    TooLarge,
    /// It asked for the next call without an answer to this one.
    None,
}

/// What the server and the process's keeper both know.
#[derive(Debug)]
pub(super) struct Desk {
    jobs: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    current: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
    failed_start: Mutex<Option<Error>>,
    arn: String,
}

impl Desk {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, arn: String) -> Self {
        Self {
            jobs: tokio::sync::Mutex::new(jobs),
            current: Mutex::default(),
            failed_start: Mutex::default(),
            arn,
        }
    }

    /// Why the process could not start, if it said so.
    pub(super) fn failed_start(&self) -> Option<Error> {
        self.failed_start.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the caller of the current call, if its id is this one.
    fn caller(&self, id: &str) -> Option<oneshot::Sender<Reply>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|(current, _)| current == id).map(|(_, caller)| caller)
    }

    fn is_current(&self, id: &str) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|(current, _)| current == id)
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let Some(job) = self.jobs.lock().await.recv().await else {
            return refusal(StatusCode::GONE, "ShuttingDown", "there are no more calls");
        };
        let deadline = SystemTime::now() + job.limit;
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let before = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.replace((job.id.clone(), job.reply))
        };
        if let Some((_, caller)) = before {
            let _ = caller.send(Reply::None);
        }
        let _ = job.fetched.send(());
        Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", job.id)
            .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
            .header("Lambda-Runtime-Invoked-Function-Arn", &self.arn)
            .body(Full::new(job.payload))
            .unwrap_or_default()
    }

    async fn answer(&self, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_current(id) {
            return refusal(
                StatusCode::BAD_REQUEST,
                "InvalidRequestID",
                "this is not the id of the current call",
            );
        }
        let (reply, response) = match body(request, PAYLOAD_MAX).await {
            Ok(bytes) => (Reply::Answer(bytes), accepted()),
            Err(Unread::TooLarge) => (
                Reply::TooLarge,
                refusal(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "RequestEntityTooLarge",
                    &format!("an answer may have {PAYLOAD_MAX} bytes"),
                ),
            ),
            // The process may try again; if it ended, its keeper knows.
            Err(Unread::Broken) => {
                return refusal(StatusCode::BAD_REQUEST, "BadRequest", "the answer was cut off");
            }
        };
        if let Some(caller) = self.caller(id) {
            let _ = caller.send(reply);
        }
        response
    }

    async fn error(&self, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_current(id) {
            return refusal(
                StatusCode::BAD_REQUEST,
                "InvalidRequestID",
                "this is not the id of the current call",
            );
        }
        let fault = fault(request).await;
        if let Some(caller) = self.caller(id) {
            let _ = caller.send(Reply::Failed(fault));
        }
        accepted()
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        const ROOT: &str = "/2018-06-01/runtime/";
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.strip_prefix(ROOT).unwrap_or_default().split('/').collect();
        match (request.method(), &parts[..]) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => self.answer(id, request).await,
            (&Method::POST, ["invocation", id, "error"]) => self.error(id, request).await,
            (&Method::POST, ["init", "error"]) => {
                let fault = fault(request).await;
                *self.failed_start.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                accepted()
            }
            _ => refusal(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such path"),
        }
    }
}

enum Unread {
    TooLarge,
    Broken,
}

async fn body(request: Request<Incoming>, most: usize) -> Result<Bytes, Unread> {
    let said =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > most as u64) {
        return Err(Unread::TooLarge);
    }
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

async fn fault(request: Request<Incoming>) -> Error {
    let said = body(request, ERROR_MAX).await.unwrap_or_else(|_| {
        Bytes::from_static(br#"{"errorMessage":"its report of the error cannot be read"}"#)
    });
    match Answer::decode(Some("Handled"), &said) {
        Err(error) => error,
        Ok(_) => Error::new(finding::Exit::NotVerified, "the function failed"),
    }
}

fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, &serde_json::json!({"status": "OK"}))
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    json(status, &serde_json::json!({"errorType": kind, "errorMessage": message}))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body.to_string().into()))
        .unwrap_or_default()
}

/// Where a process finds its server.
pub(super) async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves the process of the user `uid` until it is dropped.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>, uid: u32) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let is_its = stream.local_addr().is_ok_and(|here| host::port::user_of(peer, here) == Some(uid));
        if !is_its {
            tracing::warn!(%peer, "a connection to the Runtime API that is not the function's was closed");
            continue;
        }
        let _ = stream.set_nodelay(true);
        let desk = desk.clone();
        connections.spawn(async move {
            let _permit = permit;
            let service = service_fn(|request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(desk.respond(request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
