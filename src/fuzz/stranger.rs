//! The third target: what is read before anyone has logged in. A head is taken whole or not at all, however its bytes
//! arrive (control 13); the watch on frames judges the same however they are cut (control 14).

use crate::gateway::guard::{Budget, FrameLimits, Guarded, Watch};
use crate::gateway::head::{self, HeadError};
use std::sync::Arc;

/// As the listener has them.
const HEAD_MAX: usize = 8_192;
const HEADERS_MAX: usize = 64;

/// Small ones, so that inputs of some kilobytes reach them all.
const LIMITS: FrameLimits = FrameLimits { message: 2_000, small: 100, fragments: 8, control: 8 };
const BUDGET: usize = 1_500;

pub(super) fn head(bytes: &[u8]) {
    match head::read(bytes, HEAD_MAX, HEADERS_MAX) {
        Ok(Some(head)) => {
            assert!(head.length <= bytes.len().min(HEAD_MAX), "{} bytes of {}", head.length, bytes.len());
            assert!(head.response().starts_with(b"HTTP/1.1 101 "));
            // It was not refused while it came in, and nothing after it matters.
            for end in [head.length / 4, head.length / 2, head.length - 1] {
                let part = head::read(&bytes[..end], HEAD_MAX, HEADERS_MAX);
                assert!(matches!(part, Ok(None)), "{end} of {}: {part:?}", head.length);
            }
            let alone = head::read(&bytes[..head.length], HEAD_MAX, HEADERS_MAX);
            assert!(matches!(alone, Ok(Some(again)) if again.charger == head.charger && again.length == head.length));
        }
        Ok(None) => assert!(bytes.len() < HEAD_MAX, "still waiting at {} bytes", bytes.len()),
        Err(HeadError::Bad | HeadError::TooLarge | HeadError::NotFound) => {}
    }
}

pub(super) fn watch(bytes: &[u8]) {
    let whole = passed(bytes, bytes.len().max(1));
    for step in [1, 7] {
        assert_eq!(passed(bytes, step), whole, "cut after every {step} bytes");
    }
}

/// What a watch says to bytes that come `step` at a time. The budget is whole again at the end.
fn passed(bytes: &[u8], step: usize) -> String {
    let budget = Arc::new(Budget::new(BUDGET));
    let mut watch = Watch::new(LIMITS, budget.clone());
    let refused = bytes.chunks(step).find_map(|chunk| watch.pass(chunk).err());
    let told = match refused {
        Some(reason) => {
            drop(watch);
            format!("{reason:?}")
        }
        None => match Guarded::new((), watch, &[]) {
            Ok(guarded) => format!("{:?} {}", guarded.progress(), budget.left()),
            Err(reason) => format!("{reason:?} at the end"),
        },
    };
    assert_eq!(budget.left(), BUDGET, "a share was not given back");
    told
}
