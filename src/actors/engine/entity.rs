//! The actor of one durable entity: its bounded mailbox and its timers. Owns nothing that the journal does not know;
//! its state is lent by the partition's writer, which alone changes it.
//!
//! Invariants: it keeps exactly the deadlines of the committed state armed, as monotonic timers; a deadline that changed
//! while armed is stale and never delivered; what fell due while nobody was there waits in the pacer's line (RT-3).

use super::messages::{Do, Retire};
use super::pacer::OVERDUE;
use super::partition::Partition;
use crate::domain::entity::{Deadline, Family};
use crate::telemetry::metrics::engine as metrics;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, WrapFuture};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

/// Tells an actor that its deadlines have changed. Held and waited for by every idle charger, on one thread: a flag and a
/// waker, where a lock and a list of who waits would be thrice as large.
#[derive(Debug, Default)]
pub(super) struct Rearm {
    changed: Cell<bool>,
    waits: RefCell<Option<Waker>>,
}

impl Rearm {
    /// They have changed.
    pub(super) fn tell(&self) {
        self.changed.set(true);
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }

    /// Waits for `time` to pass. `false`: the deadlines have changed before that, or with it.
    async fn unless_changed(&self, mut time: Pin<&mut impl Future<Output = ()>>) -> bool {
        // In this order, so that a run with a seed takes the same way every time.
        poll_fn(|cx| {
            if self.changed.take() {
                return Poll::Ready(false);
            }
            self.waits.borrow_mut().replace(cx.waker().clone());
            time.as_mut().poll(cx).map(|()| true)
        })
        .await
    }
}

/// The actor of one entity.
#[derive(Debug)]
pub struct EntityActor<F: Family> {
    partition: Weak<Partition<F>>,
    key: F::Key,
    rearm: Rc<Rearm>,
}

impl<F: Family> EntityActor<F> {
    /// Starts the actor of `key` on the current arbiter.
    pub(super) fn start_for(partition: &Rc<Partition<F>>, key: F::Key) -> Addr<Self> {
        let rearm = partition.inner.borrow().slots.get(&key).map_or_else(Rc::default, |slot| Rc::clone(&slot.rearm));
        let mailbox = partition.env.limits.mailbox;
        let partition = Rc::downgrade(partition);
        EntityActor::create(|context| {
            context.set_mailbox_capacity(mailbox);
            EntityActor { partition, key, rearm }
        })
    }
}

/// Nothing in it is pinned; a family's key need not say so.
impl<F: Family> Unpin for EntityActor<F> {}

impl<F: Family> Actor for EntityActor<F> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let timers = keep_timers(Weak::clone(&self.partition), self.key.clone(), Rc::clone(&self.rearm));
        context.spawn(timers.into_actor(self));
    }
}

impl<F: Family> Handler<Do<F>> for EntityActor<F> {
    type Result = ();

    fn handle(&mut self, order: Do<F>, _: &mut Context<Self>) {
        // A partition that is gone drops the reply; the sender reads that as unavailable.
        if let Some(partition) = self.partition.upgrade() {
            partition.hand_in(self.key.clone(), order.command, order.reply, order.span);
        }
    }
}

impl<F: Family> Handler<Retire> for EntityActor<F> {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Context<Self>) {
        context.stop();
    }
}

fn earliest<F: Family>(partition: &Partition<F>, key: &F::Key) -> Option<Deadline<F::Timer>> {
    let inner = partition.inner.borrow();
    inner.slots.get(key)?.deadlines.iter().min_by_key(|deadline| deadline.due).cloned()
}

fn still_armed<F: Family>(partition: &Partition<F>, key: &F::Key, deadline: &Deadline<F::Timer>) -> bool {
    partition.inner.borrow().slots.get(key).is_some_and(|slot| slot.deadlines.contains(deadline))
}

/// Waits for the earliest deadline and hands it in as a command, for ever. Ends with its actor.
///
/// What happens seldom is boxed: this waits for every idle charger, and holds only what it waits with. What falls due is read
/// again once it does.
async fn keep_timers<F: Family>(partition: Weak<Partition<F>>, key: F::Key, rearm: Rc<Rearm>) {
    loop {
        let Some(here) = partition.upgrade() else { return };
        let due = earliest(&here, &key).map(|deadline| deadline.due);
        let now = here.env.clock.now();
        let unchanged = match due {
            Some(due) if now.since(due) >= OVERDUE => {
                let pacer = Rc::clone(&here.env.pacer);
                drop(here);
                let mut turn = Box::pin(async move { pacer.turn(due).await });
                rearm.unless_changed(turn.as_mut()).await
            }
            Some(_) | None => {
                let time = due.map_or(here.env.limits.idle_after, |due| due.since(now));
                drop(here);
                rearm.unless_changed(pin!(tokio::time::sleep(time))).await
            }
        };
        let Some(here) = partition.upgrade() else { return };
        if !unchanged {
            continue;
        }
        match earliest(&here, &key) {
            Some(deadline) if due == Some(deadline.due) => Box::pin(fire(here, &key, deadline)).await,
            None if due.is_none() && key == F::root() => Box::pin(leave(here)).await,
            Some(_) | None => {}
        }
    }
}

async fn leave<F: Family>(partition: Rc<Partition<F>>) {
    partition.leave_if_idle().await;
}

async fn fire<F: Family>(partition: Rc<Partition<F>>, key: &F::Key, deadline: Deadline<F::Timer>) {
    let late = partition.env.clock.now().since(deadline.due);
    metrics::TIMERS.add(1, [F::NAME]);
    metrics::TIMER_LATENESS.record(late.as_secs_f64(), []);
    let outcome = partition.submit(key.clone(), deadline.timer.clone().into()).await;
    let retry = partition.env.limits.retry_after;
    let settled = !still_armed(&partition, key, &deadline);
    drop(partition);
    match outcome {
        Ok(_) if settled => {}
        // Nothing is lost: the deadline stands in the state. Not at once again, or a rule that leaves its timer armed would spin.
        Ok(_) | Err(_) => {
            tracing::warn!(%key, timer = ?deadline.timer, "a timer's step changed nothing; it fires again");
            tokio::time::sleep(retry).await;
        }
    }
}
