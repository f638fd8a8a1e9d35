//! Streams whose writing must make progress.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Write,
    Flush,
    Shutdown,
}

/// A stream that fails when its peer takes nothing of what is written for as long as `limit`.
pub(crate) struct Paced<S> {
    stream: S,
    limit: Duration,
    /// What waits, since `limit` before `end`.
    waits: Option<Act>,
    end: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Paced { stream, limit, waits: None, end: Box::pin(sleep(limit)) }
    }

    /// The outcome, or that it took too long.
    fn paced<T>(&mut self, context: &mut Context<'_>, act: Act, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waits = self.waits.filter(|waits| *waits != act);
            return polled;
        }
        if self.waits != Some(act) {
            self.waits = Some(act);
            self.end.as_mut().reset(Instant::now() + self.limit);
        }
        let late = || io::Error::new(ErrorKind::TimedOut, "the peer takes nothing of what is written");
        self.end.as_mut().poll(context).map(|()| Err(late()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, Act::Write, polled)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.paced(context, Act::Write, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.paced(context, Act::Flush, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.paced(context, Act::Shutdown, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn run(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(work);
    }

    #[test]
    fn a_peer_that_reads_nothing_ends_the_stream() {
        run(async {
            let (near, _far) = duplex(4);
            let mut paced = Paced::new(near, Duration::from_millis(20));
            paced.write_all(b"abcd").await.expect("there is room");
            assert_eq!(paced.write_all(b"e").await.expect_err("there is none").kind(), ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_peer_that_reads_slowly_does_not() {
        run(async {
            let (near, mut far) = duplex(1);
            let mut paced = Paced::new(near, Duration::from_secs(60));
            let reading = async {
                let mut all = Vec::new();
                far.read_to_end(&mut all).await.expect("it ends well");
                all
            };
            let writing = async {
                for byte in 0..9 {
                    paced.write_all(&[byte]).await.expect("it is read");
                    sleep(Duration::from_millis(2)).await;
                }
                drop(paced);
            };
            let (all, ()) = tokio::join!(reading, writing);
            assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        });
    }
}
