//! What a deployment leans on, checked live: the mail server, GitLab as the place to sign in, the load balancer in front.
//!
//! [`mail::send_test`] sends a real message and keeps the dialogue. [`gitlab::check`] and [`front::check`] return a
//! [`Check`] for each thing looked at. Whoever calls knows where the inputs come from; this crate knows nothing of
//! settings files or deployments, it only names the usual variables where that tells an operator what to change.
//!
//! # Promises
//! - The services are used as Mattermost uses them: no password over an unencrypted mail connection, `PLAIN` before
//!   `LOGIN`, the code request and the token request with the parameters Mattermost sends. What passes here works there.
//! - Whatever is wrong has an [`Explanation`]: what was seen, the likely cause, the way out.
//! - No password, client secret or session token is in any text, not even when the other side repeats it.
//! - Everything ends: each call takes the time it may use, and no answer is read beyond a fixed size.
//! - Nothing is left behind: the session of a login probe is logged out.
//!
//! # Refuses
//! - To guess. What cannot be seen from here is [`Verdict::Unseen`], with the reason, and is not a pass.
//! - To send the probe's password to a site whose certificate does not hold, unless told to believe any.
//! - To follow redirects: where they lead is what is being checked.
//!
//! # Rejected designs
//! - *lettre*: its errors carry the server's last reply, but not the line it answers, nor the dialogue before it, and it
//!   offers a client certificate store and a pool that one message has no use for. The dialogue is 200 lines.
//! - *reqwest*: says "error sending request" over a chain of boxed errors; here refused, unknown host, TLS on a plain
//!   port and a bad certificate must be told apart, and the certificate must be readable when it is refused. One
//!   connection opener (`reach.rs`) serves mail and HTTP alike, with hyper on top.
//! - *x509-parser*: six crates to read two dates and two names. `certificate.rs` walks the DER that far, and rustls
//!   does the verifying.
//! - *A body of the limit's size, sent to find the limit*: a hundred megabytes for one bit. A request that announces the
//!   size and waits to be asked for it gets the same answer.

pub mod front;
pub mod gitlab;
pub mod mail;

mod certificate;
mod check;
mod exchange;
mod mask;
mod reach;
mod trust;

pub use check::{Check, Explanation, Verdict};
pub use reach::Unreached;
pub use trust::{Flaw, Trust};
