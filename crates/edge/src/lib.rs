//! The edge stands between the network and the server, which it reaches over a Unix socket or on loopback.
//!
//! It is an HTTP/1.1 reverse proxy with websocket relay. It promises:
//!
//! - **Bodies stream.** In both directions, with backpressure, never whole in memory. Trailers are dropped.
//! - **The server learns the truth about the client.** `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP` come from the
//!   connection; what a client says about itself counts only if it is a [trusted](Edge::trusting) proxy; on this machine, only
//!   if one of [certain users](LocalProxies) runs it (`local.rs`). `Host` is passed on unchanged, because Mattermost compares it
//!   with the `Origin` of a websocket.
//! - **Every message has one meaning.** Both sides are parsed and framed anew, so a request that two parsers would read
//!   differently cannot pass as two.
//! - **Every wait ends.** Each has a [limit](Limits): in time for heads, in time and in bytes a second for bodies
//!   (`patience.rs`). A full edge answers 503 at once; draining lets requests finish and tells websockets "going away" (1001)
//!   instead of cutting them off.
//! - **One client does not take everything.** An address, or an IPv6 network, has a part of the connections; behind a trusted
//!   proxy it is the proxy's client who is counted (`addresses.rs`).
//! - **An answer arrives.** A server may answer before it has the whole request, and close the connection
//!   (`upstream_stream.rs`); the rest of the request is received and dropped until the client has read it (`client.rs`).
//! - **Every request is told.** In the access log, or in a count there (`access/`).
//! - **Honest answers.** When the server does not answer, the client is told so, in the form that it understands
//!   (`outage.rs`). Requests that wait for a server that has fallen silent are answered within a second (`silence.rs`).
//! - **A server can be replaced while people work.** Under a [`Hold`] requests wait for the next one, and its test passes.
//! - **TCP is one file away from HTTP.** A [`Transport`] turns an accepted socket into a stream and
//!   [what is known about its connection](ConnectionInfo); no other code knows whether there was TLS.
//! - **The listening socket can be handed over.** A new process takes it from the old one
//!   ([`try_clone_listener`](Edge::try_clone_listener), [`from_listener`](Edge::from_listener)), and no request fails meanwhile.
//!
//! It refuses CONNECT and TRACE, every upgrade but the websocket, transfer codings other than chunked, and a request whose
//! host is missing, given twice, or different from its target's. A request with both a length and chunks is framed by its
//! chunks, passed on without the length, and the last on its connection (RFC 9112 section 6.3). The edge does not cache,
//! compress or rewrite bodies.
//!
//! Rejected designs:
//!
//! - *hyper-util's pooled client* is made for many hosts: it has keys, connectors and a background task per connection,
//!   which one upstream does not need. It was rejected for its design; its speed was not measured. The pool here is a
//!   stack of connections, each driven by the request that borrows it (`upstream.rs`), so a request costs no task switch.
//! - *The caller's runtime for everything*: it moves tasks between threads, which costs locks and wake-ups. Threads that
//!   share nothing (`worker.rs`) took about a tenth less processor time per request, on a busy machine where single runs
//!   differed by more than that.
//! - *`tokio::io::copy_bidirectional` for websockets* holds 16 KiB per idle socket, and does not know where a frame ends, so
//!   it cannot send a Close frame when it drains (`relay.rs`).
//! - *A proxy framework (pingora)* owns process, signals and runtimes; the edge runs inside the agent's process.
//! - *An enum of streams* as the transport: every read and write would ask which one it is, and tests could not bring
//!   their own. The [`Transport`] is a type parameter, so plain HTTP costs nothing.

mod access;
mod addresses;
mod admission;
mod answer;
mod client;
mod client_stream;
mod counters;
mod edge;
mod exchange;
mod forwarded;
mod frames;
mod headers;
mod hold;
mod inactivity;
mod limits;
mod listener;
mod local;
mod network;
mod outage;
mod overload;
mod page;
mod patience;
mod peer;
mod relay;
mod service;
mod shared;
mod silence;
mod timer;
mod transport;
mod upload;
mod upstream;
mod upstream_socket;
mod upstream_stream;
mod websocket;
mod worker;

pub use counters::{Counters, Counts};
pub use edge::Edge;
pub use hold::{Hold, PASS};
pub use limits::{
    ADDED_BYTES, ADDED_LINES, HEAD_BYTES, HEAD_LINES, Limits, connections_within, for_one_address,
};
pub use listener::EdgeError;
pub use local::LocalProxies;
pub use network::{Network, NetworkError};
pub use silence::Silence;
pub use transport::{ConnectionInfo, Plain, Tls, Transport};
pub use upstream_socket::{UpstreamAddress, UpstreamAddressError};
