//! A connection whose other side must take what it is sent: a reader that takes a byte now and then would hold it for ever.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long an answer of no bytes may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes a second a reader has to take besides.
const SLOWEST: u64 = 32 << 10;

/// A stream that fails when what is written has not been taken in time: 30 s, and a second more for each 32 KiB.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    patience: Duration,
    /// Set while something waits to be taken.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    began: Instant,
    written: u64,
    limit: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, patience: PATIENCE, answer: None }
    }

    /// Fails once the time is over, and otherwise wakes the task then.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let patience = self.patience;
        let answer = self.answer.get_or_insert_with(|| {
            let began = Instant::now();
            Answer { began, written: 0, limit: Box::pin(sleep_until(began + patience)) }
        });
        let deadline = answer.began + patience + Duration::from_secs(answer.written / SLOWEST);
        if deadline <= Instant::now() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not taken in time"));
        }
        answer.limit.as_mut().reset(deadline);
        // It is pending, and wakes the task.
        let _ = answer.limit.as_mut().poll(context);
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let (Poll::Ready(Ok(count)), Some(answer)) = (&written, &mut self.answer) {
            answer.written += *count as u64;
        }
        written
    }

    /// What is buffered above has been written by now.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.answer = None;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_takes_a_byte_now_and_then_is_left() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut paced = Paced { patience: Duration::from_millis(300), ..Paced::new(ours) };
        let reader = tokio::spawn(async move {
            let mut taken = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                match theirs.read_u8().await {
                    Ok(_) => taken += 1,
                    Err(_) => return taken,
                }
            }
        });
        let began = Instant::now();
        let failed = paced.write_all(&[b'x'; 4096]).await.expect_err("it gives up");
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        drop(paced);
        assert!(reader.await.expect("it ends") > 2);
    }

    #[tokio::test]
    async fn a_reader_that_goes_on_gets_everything_and_idle_time_does_not_count() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let mut paced = Paced { patience: Duration::from_millis(300), ..Paced::new(ours) };
        let reader = tokio::spawn(async move {
            let (mut taken, mut part) = (0, vec![0; 64 << 10]);
            while let Ok(count @ 1..) = theirs.read(&mut part).await {
                taken += count;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            taken
        });
        for _ in 0..2 {
            paced.write_all(&vec![b'x'; 4 << 20]).await.expect("it is taken");
            paced.flush().await.expect("it is taken");
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        drop(paced);
        assert_eq!(reader.await.expect("it ends"), 8 << 20);
    }
}
