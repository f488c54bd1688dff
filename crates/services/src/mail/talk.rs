//! Sends lines to a mail server and reads its replies.

use finding::Unreached;
use mail::Security;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::dialogue::{Dialogue, Line, Reply, Speaker};
use super::failure::Reason;
use crate::mask::Mask;
use crate::reach::{Deadline, Place, begin_tls, connect};
use crate::trust::Trust;

/// Bytes of a reply at most. RFC 5321 allows lines of 512 bytes; some servers send longer ones.
const LONGEST_REPLY: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Wire {
    None,
    Plain(TcpStream),
    Encrypted(Box<dyn Stream>),
}

/// A running dialogue.
pub(super) struct Talk {
    pub(super) dialogue: Dialogue,
    wire: Wire,
    place: Option<Place>,
    /// Bytes received and not yet parsed.
    received: Vec<u8>,
    deadline: Deadline,
    mask: Mask,
}

impl Talk {
    pub(super) fn new(deadline: Deadline, mask: Mask) -> Self {
        Self {
            dialogue: Dialogue::default(),
            wire: Wire::None,
            place: None,
            received: Vec::new(),
            deadline,
            mask,
        }
    }

    fn note(&mut self, by: Speaker, text: impl Into<String>) {
        self.dialogue.lines.push(Line { by, text: text.into() });
    }

    pub(super) async fn connect(
        &mut self,
        place: &Place,
        security: Security,
        trust: &Trust,
    ) -> Result<(), Reason> {
        self.note(Speaker::Event, format!("connecting to {place}"));
        let stream = connect(place, self.deadline).await?;
        self.wire = Wire::Plain(stream);
        self.place = Some(place.clone());
        if security == Security::Tls { self.encrypt(trust).await } else { Ok(()) }
    }

    /// Starts TLS.
    pub(super) async fn encrypt(&mut self, trust: &Trust) -> Result<(), Reason> {
        if !self.received.is_empty() {
            // An attacker on the way may have inserted lines before the encryption began.
            return Err(Unreached::Garbled("it sent more before TLS began".to_owned()).into());
        }
        let (Wire::Plain(stream), Some(place)) = (std::mem::replace(&mut self.wire, Wire::None), &self.place)
        else {
            return Err(Unreached::Dropped.into());
        };
        let opened = begin_tls(stream, place, trust, self.deadline).await;
        let (stream, presented) = match opened {
            Err(unreached) => {
                self.note(Speaker::Event, "TLS failed");
                return Err(unreached.into());
            }
            Ok(opened) => opened,
        };
        if let Some(flaw) = presented.flaw {
            self.note(Speaker::Event, "TLS: the certificate was refused");
            return Err(Unreached::Certificate(flaw).into());
        }
        self.note(Speaker::Event, "TLS begins");
        self.wire = Wire::Encrypted(Box::new(stream));
        Ok(())
    }

    /// Reads the server's greeting.
    pub(super) async fn greeting(&mut self) -> Result<(), Reason> {
        match self.reply().await {
            Ok(reply) if reply.code == 220 => Ok(()),
            Ok(reply) => Err(Reason::Greeting(reply)),
            // Each side waits for the other to begin.
            Err(Unreached::TimedOut(Some(allowed))) if matches!(self.wire, Wire::Plain(_)) => {
                Err(Reason::Silent(allowed))
            }
            Err(Unreached::Garbled(_)) if self.is_tls() => Err(Reason::TlsPort),
            Err(unreached) => Err(unreached.into()),
        }
    }

    /// Sends a line and reads the reply.
    pub(super) async fn ask(&mut self, line: &str) -> Result<Reply, Unreached> {
        self.ask_secretly(line, line).await
    }

    /// Sends a line, and records `shown` in its place.
    pub(super) async fn ask_secretly(&mut self, line: &str, shown: &str) -> Result<Reply, Unreached> {
        self.give(&format!("{line}\r\n"), shown).await
    }

    /// Sends text as it is and reads the reply.
    pub(super) async fn give(&mut self, text: &str, shown: &str) -> Result<Reply, Unreached> {
        self.note(Speaker::Client, shown);
        let deadline = self.deadline;
        let wire = self.wire()?;
        let sent = deadline
            .within(async {
                wire.write_all(text.as_bytes()).await?;
                wire.flush().await
            })
            .await?;
        match (sent, self.reply().await) {
            // A server that closes the connection may have said why.
            (_, Ok(reply)) => Ok(reply),
            (Err(error), Err(_)) => Err(deadline.explains(&error)),
            (Ok(()), Err(unreached)) => Err(unreached),
        }
    }

    fn wire(&mut self) -> Result<&mut dyn Stream, Unreached> {
        match &mut self.wire {
            Wire::None => Err(Unreached::Dropped),
            Wire::Plain(stream) => Ok(stream),
            Wire::Encrypted(stream) => Ok(stream.as_mut()),
        }
    }

    async fn reply(&mut self) -> Result<Reply, Unreached> {
        let mut reply = Reply { code: 0, text: Vec::new() };
        let mut length = 0;
        loop {
            let line = self.line().await?;
            length += line.len();
            let line = String::from_utf8_lossy(&line).into_owned();
            let shown = self.mask.shown(&line);
            self.note(Speaker::Server, &shown);
            let code = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
            let Some(code) = code.and_then(|code| code.parse().ok()).filter(|_| length <= LONGEST_REPLY)
            else {
                return Err(Unreached::Garbled(shown));
            };
            reply.code = code;
            reply.text.push(shown.get(4..).unwrap_or_default().to_owned());
            if !line[3..].starts_with('-') {
                return Ok(reply);
            }
        }
    }

    /// Whether the server sent a TLS record where a line should be: an alert, or a handshake.
    fn is_tls(&self) -> bool {
        matches!(self.received[..], [0x15 | 0x16, 3, ..])
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<Vec<u8>, Unreached> {
        let deadline = self.deadline;
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.received.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            if self.is_tls() {
                return Err(Unreached::Garbled("TLS instead of a line".to_owned()));
            }
            if self.received.len() > LONGEST_REPLY {
                return Err(Unreached::Garbled("a line without an end".to_owned()));
            }
            let mut piece = [0; 2048];
            let read = deadline
                .within(self.wire()?.read(&mut piece))
                .await?
                .map_err(|error| deadline.explains(&error))?;
            if read == 0 {
                return Err(Unreached::Dropped);
            }
            self.received.extend_from_slice(&piece[..read]);
        }
    }
}
