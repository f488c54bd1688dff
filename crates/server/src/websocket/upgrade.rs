//! The upgrade of a request to a websocket (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::app::App;
use crate::bounds::SOCKET_REQUEST;
use crate::error::AppError;

/// The read buffer of a socket, in bytes. tungstenite's default is 128 KiB, too much for thousands of idle sockets.
const BUFFER: usize = 1024;

/// The server's end of a websocket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A valid request for a websocket.
pub(crate) struct Upgrade {
    accept: HeaderValue,
    connection: OnUpgrade,
}

impl FromRequestParts<App> for Upgrade {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Upgrade, AppError> {
        let head = &parts.headers;
        let is_handshake = parts.method == Method::GET
            && lists(head, &header::CONNECTION, "upgrade")
            && lists(head, &header::UPGRADE, "websocket")
            && lists(head, &header::SEC_WEBSOCKET_VERSION, "13");
        let accept = head
            .get(header::SEC_WEBSOCKET_KEY)
            .map(|key| derive_accept_key(key.as_bytes()))
            .and_then(|accept| HeaderValue::from_str(&accept).ok());
        match (is_handshake, accept, parts.extensions.remove::<OnUpgrade>()) {
            (true, Some(accept), Some(connection)) => Ok(Upgrade { accept, connection }),
            _ => Err(AppError::bad_request(
                "api.web_socket.connect.upgrade.app_error",
                "This address takes websocket connections only.",
            )),
        }
    }
}

/// Whether one of the comma-separated words of a header is `word`, in any case.
fn lists(head: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = head.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

impl Upgrade {
    /// Answers the request, and serves the socket with `serve` as soon as the client has the answer.
    pub(super) fn accept<F: Future<Output = ()> + Send>(
        self,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response {
        let Upgrade { accept, connection } = self;
        tokio::spawn(async move {
            let Ok(upgraded) = connection.await else { return };
            let config = WebSocketConfig::default()
                .max_message_size(Some(SOCKET_REQUEST))
                .max_frame_size(Some(SOCKET_REQUEST))
                .read_buffer_size(BUFFER)
                .write_buffer_size(0)
                .max_write_buffer_size(1 << 20);
            let io = TokioIo::new(upgraded);
            serve(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        response
    }
}
