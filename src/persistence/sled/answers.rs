//! The way of an answer back to its caller. Owns who is woken and by whom; never what the answer is.
//!
//! A commit answers everybody at once. To wake a task from a foreign thread costs its runtime a lock and a signal each time,
//! and the callers live on few threads: so all answers of a commit for one thread are handed over together, to a task there
//! that gives them out ([`Home`]). An answer is never lost: a home that has ended gives what it holds, and takes no more.

use super::commit::{AppendJob, ClaimStart};
use crate::persistence::{AppendError, Appended, CreateOnce, JournalError};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio::sync::oneshot::Sender;

/// Fewer answers for one thread are given one by one: handing them over would cost as much.
const TOGETHER: usize = 3;

/// An answer that waits for the batch.
pub(super) enum Answer {
    /// The job goes home with its answer, to be freed by the thread that made it: cheaper there, and the commit thread is everybody's.
    Append(Box<AppendJob>, Result<Appended, AppendError>),
    Done(Sender<Result<(), JournalError>>, Result<(), JournalError>),
    Create(Sender<Result<CreateOnce, JournalError>>, Result<CreateOnce, JournalError>),
    Claim(Sender<Result<Vec<ClaimStart>, JournalError>>, Vec<ClaimStart>),
    Resolve(Sender<Result<bool, JournalError>>, Result<bool, JournalError>),
}

impl Answer {
    /// Answers. A caller that has gone away is no error.
    fn give(self) {
        match self {
            Answer::Append(job, outcome) => drop(job.reply.send(outcome)),
            Answer::Done(reply, outcome) => drop(reply.send(outcome)),
            Answer::Create(reply, outcome) => drop(reply.send(outcome)),
            Answer::Claim(reply, starts) => drop(reply.send(Ok(starts))),
            Answer::Resolve(reply, outcome) => drop(reply.send(outcome)),
        }
    }

    fn unknown(self, why: &str) {
        let gone = || JournalError::Unavailable(why.to_owned());
        match self {
            Answer::Append(job, _) => drop(job.reply.send(Err(AppendError::Unknown(why.to_owned())))),
            Answer::Done(reply, _) => drop(reply.send(Err(gone()))),
            Answer::Create(reply, _) => drop(reply.send(Err(gone()))),
            Answer::Claim(reply, _) => drop(reply.send(Err(gone()))),
            Answer::Resolve(reply, _) => drop(reply.send(Err(gone()))),
        }
    }

    fn home(&self) -> Option<&Arc<Home>> {
        match self {
            Answer::Append(job, _) => job.home.as_ref(),
            Answer::Done(..) | Answer::Create(..) | Answer::Claim(..) | Answer::Resolve(..) => None,
        }
    }
}

/// The answers of a commit, those for one thread together and in their order.
#[derive(Default)]
pub(super) struct Answers {
    /// By thread: there are few, and a list is searched faster than a map.
    homes: Vec<(Arc<Home>, Vec<Answer>)>,
    others: Vec<Answer>,
}

impl Answers {
    pub(super) fn push(&mut self, answer: Answer) {
        let Some(home) = answer.home() else {
            self.others.push(answer);
            return;
        };
        match self.homes.iter_mut().find(|(known, _)| Arc::ptr_eq(known, home)) {
            Some((_, waiting)) => waiting.push(answer),
            None => self.homes.push((Arc::clone(home), vec![answer])),
        }
    }

    /// Gives them all.
    pub(super) fn give(self) {
        self.others.into_iter().for_each(Answer::give);
        for (home, answers) in self.homes {
            if answers.len() < TOGETHER {
                answers.into_iter().for_each(Answer::give);
            } else {
                home.hand_over(answers);
            }
        }
    }

    /// Answers all after the batch failed: nobody can tell what is on the disk.
    pub(super) fn unknown(self, why: &str) {
        let of_threads = self.homes.into_iter().flat_map(|(_, answers)| answers);
        self.others.into_iter().chain(of_threads).for_each(|answer| answer.unknown(why));
    }
}

/// The task of one thread that gives out what is answered to callers there.
pub(super) struct Home {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    answers: Vec<Answer>,
    ended: bool,
}

thread_local! {
    /// The home of this thread, and the runtime that it lives in.
    static HERE: RefCell<Option<(Id, Arc<Home>)>> = const { RefCell::new(None) };
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

impl Home {
    /// That of the calling thread; none outside a runtime.
    pub(super) fn here() -> Option<Arc<Home>> {
        let runtime = Handle::try_current().ok()?;
        HERE.with_borrow_mut(|here| {
            match here {
                Some((id, home)) if *id == runtime.id() && !home.lock().ended => return Some(Arc::clone(home)),
                Some(_) | None => {}
            }
            let home = Arc::new(Home { waiting: Mutex::default(), wake: Notify::new() });
            runtime.spawn(Keeper(Arc::clone(&home)).keep());
            *here = Some((runtime.id(), Arc::clone(&home)));
            Some(home)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, answers: Vec<Answer>) {
        let mut waiting = self.lock();
        if waiting.ended {
            drop(waiting);
            answers.into_iter().for_each(Answer::give);
            return;
        }
        if waiting.answers.is_empty() {
            waiting.answers = answers;
        } else {
            waiting.answers.extend(answers);
        }
        drop(waiting);
        self.wake.notify_one();
    }
}

/// Ends its home when the runtime drops it.
struct Keeper(Arc<Home>);

impl Keeper {
    async fn keep(self) {
        loop {
            self.0.wake.notified().await;
            let answers = std::mem::take(&mut self.0.lock().answers);
            answers.into_iter().for_each(Answer::give);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.ended = true;
        let answers = std::mem::take(&mut waiting.answers);
        drop(waiting);
        answers.into_iter().for_each(Answer::give);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::{StreamName, Token};
    use smallvec::SmallVec;
    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    type Reply = oneshot::Receiver<Result<Appended, AppendError>>;

    fn answers(home: &Arc<Home>, count: u64) -> (Answers, Vec<Reply>) {
        let one = |sequence| {
            let (reply, answer) = oneshot::channel();
            let outcome = Ok(Appended { sequence, snapshot_advised: false });
            let token = Token { stream: StreamName::new("charger", "CP-1"), claim: 1 };
            let job = AppendJob {
                token,
                after: 0,
                records: SmallVec::new(),
                rows: Vec::new(),
                notices: Vec::new(),
                reply,
                home: Some(Arc::clone(home)),
            };
            (Answer::Append(Box::new(job), outcome), answer)
        };
        let (each, replies): (Vec<_>, Vec<_>) = (1..=count).map(one).unzip();
        let mut answers = Answers::default();
        each.into_iter().for_each(|answer| answers.push(answer));
        (answers, replies)
    }

    fn given(replies: Vec<Reply>) -> Vec<u64> {
        replies.into_iter().map(|mut reply| reply.try_recv().unwrap().unwrap().sequence).collect()
    }

    #[test]
    fn answers_for_one_thread_go_over_together_and_arrive_there() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let home = runtime.block_on(async { Home::here().unwrap() });
        let (answers, replies) = answers(&home, 5);
        answers.give();
        assert_eq!(home.lock().answers.len(), 5, "they wait for their thread");
        runtime.block_on(async { tokio::task::yield_now().await });
        assert_eq!(given(replies), [1, 2, 3, 4, 5]);
        assert!(Arc::ptr_eq(&home, &runtime.block_on(async { Home::here().unwrap() })), "one a thread");
    }

    #[test]
    fn a_runtime_that_ends_loses_no_answer_and_another_one_on_its_thread_has_its_own_home() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let home = runtime.block_on(async { Home::here().unwrap() });
        let (before, first) = answers(&home, 4);
        before.give();
        drop(runtime);
        assert_eq!(given(first), [1, 2, 3, 4], "handed over and not yet given out");
        let (after, second) = answers(&home, 4);
        after.give();
        assert_eq!(given(second), [1, 2, 3, 4], "handed over too late");
        let next = Builder::new_current_thread().build().unwrap();
        let other = next.block_on(async { Home::here().unwrap() });
        assert!(!Arc::ptr_eq(&home, &other));
        assert!(Home::here().is_none(), "outside a runtime");
    }
}
