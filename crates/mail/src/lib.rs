//! Sends a mail by way of a mail server: settings and a message in, a result out. The built-in server and the agent send with it.
//!
//! It promises:
//! - a mail has a text and, where given, an HTML part; nothing in a name, a subject or an address can add a header, a recipient or
//!   an end to it: such an address is refused, and line ends in a subject become spaces;
//! - no password crosses an unencrypted connection, and STARTTLS that is not offered is a failure, never a fallback;
//! - a failure says what the mail server answered, and whether it is worth trying again ([`MailError::is_temporary`]); neither
//!   the password nor a form of it is in it, even where the mail server repeats it;
//! - [`send`] ends within the server's time limit.
//!
//! It refuses: queues and repetition (the caller knows how long a mail is of use), several recipients in one mail (they would see
//! each other), attachments.
//!
//! Rejected designs:
//! - the dialogue of `services`, which tests a mail server and shows every line of it: it sends one fixed text;
//! - a pool of connections: many mail servers close idle connections, and a mail that fails for that reason is hard to explain.

mod failure;
mod message;
mod server;

pub use failure::{MailError, Place};
pub use message::{Message, is_address};
pub use server::{MailServer, Security, Trust};

use lettre::AsyncTransport as _;
use tokio::time::timeout;

/// Sends a mail.
///
/// # Errors
/// An address is none; the mail server cannot be reached, or did not take the mail.
pub async fn send(server: &MailServer, message: &Message) -> Result<(), MailError> {
    let mail = message.compose(server)?;
    let transport = server.transport()?;
    match timeout(server.timeout, transport.send(mail)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(server.failure(&error)),
        Err(_) => Err(MailError::Unreached {
            place: server.place(),
            cause: format!("it took longer than {:?}", server.timeout),
        }),
    }
}
