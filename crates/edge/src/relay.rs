//! Carries bytes between a client's websocket and the upstream's.
//!
//! An idle websocket holds no buffer: bytes pass through the stack, and only what the other side will not take at once
//! is kept. The frames from the upstream are counted, so that when the edge drains, "going away" can be said between two.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::frames::{CLOSE_GOING_AWAY, Frames};
use crate::patience::Patience;

/// Bytes carried at once.
const PIECE: usize = 16 * 1024;

/// How long one side may stay when the other has ended, to finish the closing handshake.
const CLOSING: Duration = Duration::from_secs(5);

/// Relays until both sides have ended, the websocket is silent for `idle`, or the closing handshake after `drain` is over.
/// `first` is what the upstream sent along with its 101.
pub(crate) async fn run<C, U>(
    mut client: C,
    mut upstream: U,
    first: Bytes,
    idle: Duration,
    drain: &CancellationToken,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut frames = Frames::default();
    pass(&mut frames, &first, false);
    let mut up = Flow::default();
    let mut down = Flow { held: first, ..Flow::default() };

    let mut idle = Patience::new(idle);
    let mut closing = Patience::new(CLOSING);
    let mut drained = pin!(drain.cancelled());
    let mut leaving = false;

    poll_fn(|cx| {
        if !leaving && drained.as_mut().poll(cx).is_ready() {
            leaving = true;
            if frames.at_boundary() {
                down.say_goodbye();
            }
        }
        // Downwards first: an upstream that has gone may have left a Close frame to deliver.
        let down_ended = down.poll(cx, &mut upstream, &mut client, Some(&mut frames), leaving)?.is_ready();
        let up_ended = up.poll(cx, &mut client, &mut upstream, None, leaving)?.is_ready();
        if up_ended && down_ended {
            return Poll::Ready(Ok(()));
        }
        if up_ended || down_ended || leaving {
            return closing.poll_exhausted(cx).map(Ok);
        }
        if std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved) {
            idle.progressed();
        }
        idle.poll_exhausted(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "silent for too long")))
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// Read but not yet written.
    held: Bytes,
    /// Nothing more will be read.
    source_ended: bool,
    /// Everything was written and the writing side is shut down.
    ended: bool,
    moved: bool,
}

impl Flow {
    /// Ready when the source has ended and everything from it was passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        mut frames: Option<&mut Frames>,
        leaving: bool,
    ) -> Poll<io::Result<()>> {
        while !self.ended {
            while !self.held.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.held.advance(written);
                self.moved = true;
            }
            if self.source_ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.ended = true;
                break;
            }
            let mut space = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(cx, &mut piece)?.is_pending() {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                return Poll::Pending;
            }
            self.moved = true;
            let bytes = piece.filled();
            if bytes.is_empty() {
                self.source_ended = true;
                continue;
            }
            let passing = match frames.as_deref_mut() {
                Some(frames) => pass(frames, bytes, leaving),
                None => bytes.len(),
            };
            let bytes = &bytes[..passing];
            if leaving && frames.as_deref().is_some_and(Frames::at_boundary) {
                self.held = Bytes::copy_from_slice(bytes);
                self.say_goodbye();
            } else {
                let written = match Pin::new(&mut *to).poll_write(cx, bytes)? {
                    Poll::Ready(written) => written,
                    Poll::Pending => 0,
                };
                self.held = Bytes::copy_from_slice(&bytes[written..]);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the direction with a Close frame behind what is held. Only between two frames.
    fn say_goodbye(&mut self) {
        if !self.source_ended {
            self.held = [&self.held[..], &CLOSE_GOING_AWAY].concat().into();
            self.source_ended = true;
        }
    }
}

/// Counts `bytes` as passed on and returns how many are: all, or those up to the next boundary when that is the last.
fn pass(frames: &mut Frames, bytes: &[u8], leaving: bool) -> usize {
    let mut passed = 0;
    while passed < bytes.len() {
        passed += frames.advance(&bytes[passed..]);
        if leaving && frames.at_boundary() {
            break;
        }
    }
    passed
}
