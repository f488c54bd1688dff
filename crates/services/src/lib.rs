//! Live checks of the services that a deployment uses: the mail server, GitLab for signing in, the load balancer.
//!
//! [`mail::send_test`] sends a real message and keeps the dialogue. [`gitlab::check`] and [`front::check`] return a [`Check`] for
//! each thing that they look at. This crate knows nothing of settings files or deployments: the caller reads the values. It only
//! names the usual variables where a fix needs them.
//!
//! # Promises
//! - The services are used as Mattermost uses them: no password over an unencrypted mail connection, `PLAIN` before
//!   `LOGIN`, the code request and the token request with Mattermost's parameters. What passes here works there.
//! - Every failure is a [`Finding`]: what was seen, the likely cause, the fix.
//! - No password, client secret or session token is in any text, even when the other side repeats it.
//! - Every call ends within its time limit, and no answer is read beyond a fixed size.
//! - Nothing is left behind: the session of the login probe is logged out.
//!
//! # Refuses
//! - To guess. What cannot be seen from here is [`Verdict::Unseen`], with the reason, and does not count as passed.
//! - To send the probe's password to a site with an invalid certificate, unless verification is switched off.
//! - To follow redirects: their target is what is checked.
//!
//! # Rejected designs
//! - *the crate `mail`*, which sends everything else: its library, lettre, reports the server's last reply, but neither the line that
//!   it answers nor the dialogue before it. The dialogue is 200 lines.
//! - *reqwest*: it hides the certificate of a connection that it refuses, and this crate has to read it. One connection opener
//!   (`reach.rs`) serves mail and HTTP, with hyper on top.
//! - *x509-parser*: six crates to read two dates and two names. `certificate.rs` reads that much DER, and rustls verifies.
//! - *Sending a body as large as the limit to find the limit*: a hundred megabytes for one bit. A request that announces the
//!   size and waits for permission to send it gets the same answer.

pub mod front;
pub mod gitlab;
pub mod mail;

mod certificate;
mod exchange;
mod mask;
mod reach;
mod trust;

pub use finding::{CertificateFlaw, Check, Finding, Unreached, Verdict};
pub use trust::Trust;
