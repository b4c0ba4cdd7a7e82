//! What is asked of the endpoint itself: whether it is who it is said to be, and whether it is there again. Owns making the question
//! and counting what came of it; when it is asked, and what follows, is the queue's.

use super::{Run, sign};
use crate::actors::webhook::driver::Target;
use crate::clock::Clock;
use crate::domain::delivery::{Answer, Class, Knock, TEST_KIND};
use crate::protocol::webhook::challenge;
use crate::telemetry::metrics::webhook as metrics;
use std::sync::Arc;

impl Run {
    /// No question is under way, and none waits for the journal.
    pub(super) fn may_knock(&self) -> bool {
        self.knocking.is_none() && self.knocked.is_none() && !self.stopping
    }

    /// Asks the endpoint, if that is due.
    pub(super) fn ask_endpoint(&mut self, target: &Arc<Target>) {
        let due = self.knock.filter(|knock| knock.due <= self.steady.now());
        let Some(Knock { proof, .. }) = due.filter(|_| self.may_knock()) else { return };
        // Not again before the queue has heard the answer.
        self.knock = None;
        let now = self.with.clock.now();
        let text = challenge::text(&rand::random());
        let mut event = challenge::event(&self.with.partner, &target.name, &text, now);
        let (deliver, target) = (self.with.deliver.clone(), target.clone());
        let purpose = if proof { "challenge" } else { "probe" };
        let (partner, endpoint) = (self.with.partner.clone(), target.name.clone());
        self.knocking = Some(Box::pin(async move {
            let answer = match &target.face {
                Some(face) => {
                    // A fresh token asks the same.
                    event.notice.kind = TEST_KIND.to_owned();
                    face.send(&event, now).await
                }
                None => deliver.deliver(sign(&event, &target, now, proof.then_some(text))).await,
            };
            let outcome = if answer.class() == Class::Delivered { "passed" } else { "failed" };
            metrics::KNOCKS.add(1, [purpose, outcome]);
            tracing::info!(%partner, %endpoint, purpose, outcome, answer = answer.told(), "webhook endpoint asked");
            answer
        }));
    }

    /// The answer that the queue has not heard yet.
    pub(super) fn said(&mut self) -> Option<Answer> {
        self.knocked.take()
    }
}
