//! What those hold who wait for an answer.

use super::dispatcher::Dispatcher;
use super::served::Done;
use crate::failure::{Code, Failure, Result};
use crate::schedule::RequestId;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A request that waits or is being computed. When it is dropped while the request waits, the request is forgotten.
pub struct Ticket {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) id: RequestId,
    pub(super) answer: oneshot::Receiver<Result<Done>>,
}

impl Ticket {
    /// Waits for the answer. A request that still waits at its deadline is answered then, whatever the engine is at.
    ///
    /// # Errors
    /// What the run reports; [`Expired`](Code::Expired) when the deadline passed before the request was computed.
    pub async fn answer(mut self, deadline: Option<Instant>) -> Result<Done> {
        let answer = match deadline {
            None => (&mut self.answer).await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), &mut self.answer).await {
                Ok(answer) => answer,
                Err(_) if self.dispatcher.cancel(self.id) => return Err(expired()),
                Err(_) => (&mut self.answer).await,
            },
        };
        answer.unwrap_or_else(|_| Err(Failure::internal("the engine left a request without an answer")))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.dispatcher.cancel(self.id);
    }
}

pub(super) fn expired() -> Failure {
    Failure::new(Code::Expired, "the deadline passed before the request was computed")
}
