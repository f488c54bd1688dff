//! Mails: what they look like, in which language, and their way to the mail server. Which mail is sent when is elsewhere: `account_mail`
//! (accounts, invitations) and `notification` (posts).
//!
//! A mail never delays a request: it is put into a bounded [`Outbox`], and delivered from there, with further attempts if the
//! mail server does not take it for the moment. What waits there is in memory: a server that is killed forgets it, one that is
//! stopped delivers it first.

mod letter;
mod limit;
mod mailer;
mod notice;
mod outbox;
mod words;

pub(crate) use letter::{Draft, Quote};
pub(crate) use mailer::Mailer;
pub(crate) use notice::Notice;
pub(crate) use outbox::{Delivery, Lane};
pub(crate) use words::{Words, fill};
