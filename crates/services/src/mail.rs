//! The mail server: sends a real message, as Mattermost does.

mod dialogue;
mod failure;
mod message;
mod talk;

pub use dialogue::{Dialogue, Line, Reply, Speaker};
pub use failure::{MailFailure, Reason};
pub use mail::{MailServer, Security};

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::ExposeSecret as _;

use crate::mask::Mask;
use crate::reach::{Deadline, Place};
use message::Message;
use talk::Talk;

/// Sends a test message to the address `to`, in the name of the site `site_name`, and returns the dialogue.
///
/// # Errors
/// The message was not accepted: the failure has the line that failed, the dialogue up to it, and the finding.
pub async fn send_test(server: &MailServer, to: &str, site_name: &str) -> Result<Dialogue, MailFailure> {
    let mut talk = Talk::new(Deadline::after(server.timeout), mask(server));
    match converse(&mut talk, server, to, site_name).await {
        Ok(()) => Ok(talk.dialogue),
        Err(reason) => Err(MailFailure {
            place: Place::new(&server.host, server.port),
            security: server.security,
            from: server.from.clone(),
            to: to.to_owned(),
            reason: Box::new(reason),
            dialogue: talk.dialogue,
        }),
    }
}

fn mask(server: &MailServer) -> Mask {
    if server.username.is_empty() {
        return Mask::nothing();
    }
    Mask::of(&server.password).and(plain(server))
}

/// The credentials as AUTH PLAIN sends them (RFC 4616).
fn plain(server: &MailServer) -> String {
    BASE64.encode(format!("\0{}\0{}", server.username, server.password.expose_secret()))
}

async fn converse(talk: &mut Talk, server: &MailServer, to: &str, site_name: &str) -> Result<(), Reason> {
    let addresses =
        [&server.from, to].into_iter().chain(Some(server.reply_to.as_str()).filter(|a| !a.is_empty()));
    let wrong = addresses.clone().find(|address| !mail::is_address(address));
    if let Some(wrong) = wrong {
        return Err(Reason::Address(wrong.to_owned()));
    }
    let is_ascii = addresses.clone().all(str::is_ascii);

    talk.connect(&Place::new(&server.host, server.port), server.security, &server.trust).await?;
    talk.greeting().await?;
    let mut offers = hello(talk, server).await?;
    if server.security == Security::StartTls {
        if !offers.contains_key("STARTTLS") {
            return Err(Reason::StartTlsNotOffered);
        }
        talk.ask("STARTTLS").await?.expect(220).map_err(Reason::StartTlsRefused)?;
        talk.encrypt(&server.trust).await?;
        offers = hello(talk, server).await?;
    }
    if !server.username.is_empty() {
        log_in(talk, server, &offers).await?;
    }
    let utf8 = match (is_ascii, offers.contains_key("SMTPUTF8")) {
        (true, _) => "",
        (false, true) => " SMTPUTF8",
        (false, false) => return Err(Reason::AddressNotAscii),
    };

    let reply = talk.ask(&format!("MAIL FROM:<{}>{utf8}", server.from)).await?;
    reply.expect(250).map_err(Reason::sender)?;
    let reply = talk.ask(&format!("RCPT TO:<{to}>")).await?;
    if reply.code != 251 {
        reply.expect(250).map_err(Reason::recipient)?;
    }
    talk.ask("DATA").await?.expect(354).map_err(Reason::content)?;
    let message = Message { from: &server.from, reply_to: &server.reply_to, to, site_name };
    let text = message.text(jiff::Timestamp::now(), rand::random());
    talk.give(&text, "(the message)").await?.expect(250).map_err(Reason::content)?;
    // The message is accepted; the answer to QUIT does not matter.
    let _ = talk.ask("QUIT").await;
    Ok(())
}

/// Sends EHLO; returns the server's extensions: keyword to parameters, in capitals.
async fn hello(talk: &mut Talk, server: &MailServer) -> Result<HashMap<String, String>, Reason> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let name = Some(server.greeting.as_str()).filter(|name| !name.is_empty() && name.chars().all(valid));
    let reply = talk.ask(&format!("EHLO {}", name.unwrap_or("localhost"))).await?;
    let reply = reply.expect(250).map_err(Reason::Greeting)?;
    let offers = reply.text.iter().skip(1).map(|line| {
        let line = line.to_ascii_uppercase();
        // Some servers still write "AUTH=LOGIN", as before the standard.
        let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((&line, ""));
        (keyword.to_owned(), parameters.to_owned())
    });
    Ok(offers.collect())
}

async fn log_in(
    talk: &mut Talk,
    server: &MailServer,
    offers: &HashMap<String, String>,
) -> Result<(), Reason> {
    if server.security == Security::None {
        return Err(Reason::PasswordNeedsTls { starttls: offers.contains_key("STARTTLS") });
    }
    let Some(mechanisms) = offers.get("AUTH") else { return Err(Reason::AuthNotOffered) };
    let offered = |name| mechanisms.split_whitespace().any(|mechanism| mechanism == name);
    let reply = if offered("PLAIN") {
        talk.ask_secretly(&format!("AUTH PLAIN {}", plain(server)), "AUTH PLAIN ********").await?
    } else if offered("LOGIN") {
        talk.ask("AUTH LOGIN").await?.expect(334).map_err(Reason::login)?;
        let name = talk.ask_secretly(&BASE64.encode(&server.username), "********").await?;
        name.expect(334).map_err(Reason::login)?;
        talk.ask_secretly(&BASE64.encode(server.password.expose_secret()), "********").await?
    } else {
        return Err(Reason::NoKnownMechanism(mechanisms.clone()));
    };
    reply.expect(235).map_err(Reason::login)?;
    Ok(())
}

impl Reply {
    /// This reply, if it has the expected code; otherwise it is the error.
    fn expect(self, code: u16) -> Result<Reply, Reply> {
        if self.code == code { Ok(self) } else { Err(self) }
    }
}
