//! What goes on in a connection of gRPC: its calls, and what of their answers waits for the client to take it.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What goes on in a connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Calls that are not over.
    calls: usize,
    /// Whether there was ever one.
    called: bool,
    /// When the last ended, or the connection began.
    since: Instant,
    /// By call: when the part of its answer was given out that the client has not taken.
    given: HashMap<u64, Instant>,
    next: u64,
}

/// How it stands with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Nothing goes on.
    Idle,
    /// The client keeps an answer from leaving.
    Stalled,
}

/// A call; it is over when this is dropped.
struct Call {
    activity: Activity,
    id: u64,
}

/// The longest part of an answer that is given out at once. What HTTP/2 was given it keeps, however long its client takes nothing.
const MAX_PART: usize = 32 << 10;

/// A body of a response, whose call is over once it is sent.
pub(super) struct Sent<B> {
    body: B,
    /// What of the body's last part was not given out.
    rest: Bytes,
    call: Call,
}

impl Activity {
    pub(super) fn new() -> Self {
        let state = State { calls: 0, called: false, since: Instant::now(), given: HashMap::new(), next: 0 };
        Activity(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call, which is over when the body that `answer` gives is sent.
    pub(super) async fn call<B>(self, answer: impl Future<Output = hyper::Response<B>>) -> hyper::Response<Sent<B>> {
        let id = {
            let mut state = self.state();
            state.calls += 1;
            state.called = true;
            state.next += 1;
            state.next
        };
        let call = Call { activity: self, id };
        answer.await.map(|body| Sent { body, rest: Bytes::new(), call })
    }

    /// How it stands. A connection without a call yet has as long as a client has that says nothing, `stall`.
    pub(super) fn verdict(&self, now: Instant, idle: Duration, stall: Duration) -> Verdict {
        let state = self.state();
        let idle = if state.called { idle } else { stall };
        let over = |since: &Instant, limit: Duration| now.saturating_duration_since(*since) > limit;
        match state.given.values().min() {
            Some(since) if over(since, stall) => Verdict::Stalled,
            _ if state.calls == 0 && over(&state.since, idle) => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.calls -= 1;
        state.since = Instant::now();
        state.given.remove(&self.id);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Sent<B> {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            match polled.map_ok(Frame::into_data) {
                Poll::Ready(Some(Ok(Ok(data)))) => self.rest = data,
                Poll::Ready(Some(Ok(Err(frame)))) => return Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(e))) => return Poll::Ready(Some(Err(e))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let length = self.rest.len().min(MAX_PART);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    /// Whoever asks for a part has taken those before it.
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = self.poll_part(context);
        let mut state = self.call.activity.state();
        match &polled {
            Poll::Ready(Some(_)) => state.given.insert(self.call.id, Instant::now()),
            _ => state.given.remove(&self.call.id),
        };
        drop(state);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What is not given out of a part counts, too; nobody needs to know the length of an answer of gRPC.
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    const IDLE: Duration = Duration::from_secs(100);
    const STALL: Duration = Duration::from_secs(10);

    #[test]
    fn long_answers_are_given_out_in_parts() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let whole: Bytes = (0..MAX_PART * 2 + 1).map(|k| k as u8).collect();
        let answer = async { hyper::Response::new(Full::new(whole.clone())) };
        let mut sent = runtime.block_on(Activity::new().call(answer)).into_body();
        let mut all = Vec::new();
        while let Some(frame) = runtime.block_on(sent.frame()) {
            let part = frame.expect("it is whole").into_data().expect("it is data");
            assert!(part.len() <= MAX_PART && !part.is_empty());
            all.extend_from_slice(&part);
            assert_eq!(sent.is_end_stream(), all.len() == whole.len());
        }
        assert_eq!(all, whole);
    }

    #[test]
    fn calls_keep_a_connection_and_untaken_answers_end_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let activity = Activity::new();
        let at = |seconds: u64| activity.verdict(Instant::now() + Duration::from_secs(seconds), IDLE, STALL);
        assert_eq!((at(5), at(11)), (Verdict::Fine, Verdict::Idle), "no call came yet");
        let answer = async { hyper::Response::new(Full::new(Bytes::from_static(b"abc"))) };
        let mut sent = runtime.block_on(activity.clone().call(answer)).into_body();
        assert_eq!(at(1000), Verdict::Fine, "it is being answered");
        let frame = runtime.block_on(sent.frame()).expect("there is one").expect("it is whole");
        assert_eq!(frame.into_data().expect("it is data"), "abc");
        assert_eq!((at(5), at(11)), (Verdict::Fine, Verdict::Stalled));
        assert!(runtime.block_on(sent.frame()).is_none());
        assert_eq!(at(1000), Verdict::Fine, "all is taken");
        drop(sent);
        assert_eq!((at(11), at(101)), (Verdict::Fine, Verdict::Idle));
    }
}
