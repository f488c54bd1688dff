//! Copies bytes between a client's websocket and the upstream's.
//!
//! An idle websocket holds no buffer: bytes are read onto the stack, and only those that the other side does not take at
//! once are kept. Frames from the upstream are counted, so that when the edge drains, it can put "going away" between two
//! of them.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frames::{CLOSE_GOING_AWAY, Frames};
use crate::inactivity::InactivityTimer;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// How long one side may stay open after the other has ended, to finish the closing handshake.
const CLOSING: Duration = Duration::from_secs(5);

/// Relays until both sides have ended, neither has sent anything for `idle`, or the closing handshake after `drain` is
/// over. `first` is what the upstream sent along with its 101.
pub(crate) async fn run<C, U>(
    mut client: C,
    mut upstream: U,
    first: Bytes,
    idle: Duration,
    drain: impl Future<Output = ()>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut frames = Frames::default();
    pass(&mut frames, &first, false);
    let mut up = Direction::default();
    let mut down = Direction { held: first, ..Direction::default() };

    let mut idle = InactivityTimer::new(idle);
    let mut closing = InactivityTimer::new(CLOSING);
    let mut drained = pin!(drain);
    let mut draining = false;

    poll_fn(|cx| {
        if !draining && drained.as_mut().poll(cx).is_ready() {
            draining = true;
            if frames.at_boundary() {
                down.end_with_close();
            }
        }
        // Downwards first: an upstream that has gone may have left a Close frame to deliver.
        let down_ended = down.poll(cx, &mut upstream, &mut client, Some(&mut frames), draining)?.is_ready();
        let up_ended = up.poll(cx, &mut client, &mut upstream, None, draining)?.is_ready();
        if up_ended && down_ended {
            return Poll::Ready(Ok(()));
        }
        if up_ended || down_ended || draining {
            return closing.poll_expired(cx).map(Ok);
        }
        if std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved) {
            idle.reset();
        }
        idle.poll_expired(cx).map(|()| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "neither side has sent anything for too long"))
        })
    })
    .await
}

/// One direction: towards the client, or towards the upstream.
#[derive(Debug, Default)]
struct Direction {
    /// Read but not yet written.
    held: Bytes,
    /// Nothing more will be read.
    source_ended: bool,
    /// Everything was written and the writing side is shut down.
    ended: bool,
    /// Whether bytes moved.
    moved: bool,
}

impl Direction {
    /// Ready when the source has ended and all of it has been written.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        mut frames: Option<&mut Frames>,
        draining: bool,
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
            let mut space = [const { MaybeUninit::uninit() }; CHUNK];
            let mut chunk = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(cx, &mut chunk)?.is_pending() {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                return Poll::Pending;
            }
            self.moved = true;
            let bytes = chunk.filled();
            if bytes.is_empty() {
                self.source_ended = true;
                continue;
            }
            let passing = match frames.as_deref_mut() {
                Some(frames) => pass(frames, bytes, draining),
                None => bytes.len(),
            };
            let bytes = &bytes[..passing];
            if draining && frames.as_deref().is_some_and(Frames::at_boundary) {
                self.held = Bytes::copy_from_slice(bytes);
                self.end_with_close();
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

    /// Ends the direction with a Close frame after what is held. Allowed only between two frames.
    fn end_with_close(&mut self) {
        if !self.source_ended {
            self.held = [&self.held[..], &CLOSE_GOING_AWAY].concat().into();
            self.source_ended = true;
        }
    }
}

/// Counts `bytes` as passed on. Returns how many may be: all of them, or while draining those up to the end of a frame.
fn pass(frames: &mut Frames, bytes: &[u8], draining: bool) -> usize {
    let mut passed = 0;
    while passed < bytes.len() {
        passed += frames.advance(&bytes[passed..]);
        if draining && frames.at_boundary() {
            break;
        }
    }
    passed
}
