//! From kill to work (RT-3, RT-5): the live partitions of an arbiter are rebuilt, given our downtime back, and let go. Owns the
//! order of these; never how one partition is read.
//!
//! Invariant: a rebuilt partition is out of everybody's reach, timers included, until its give-back is durable. So that can come
//! after the process is ready: whoever asks for one before its turn waits for that one alone.

use super::host::{Entry, HostCore};
use super::load::LoadError;
use super::messages::Refusal;
use super::partition::{Partition, Step, Work};
use crate::domain::entity::Family;
use crate::persistence::StreamName;
use futures_util::stream::{self, StreamExt};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Lots of partitions that are rebuilt side by side: one is read while the other is folded.
const LOTS: usize = 2;

/// Partitions of a lot. A block of the log is read for each lot that has a record in it, so few large lots; a lot's states and
/// records are in memory twice while it is folded, a few MB.
const LOT: usize = 2_048;

impl<F: Family> HostCore<F> {
    /// Brings the partitions into memory, gives them our downtime back, and then lets overdue timers go in due order.
    pub async fn recover(self: &Rc<Self>, ids: Vec<String>, downtime: Duration) -> usize {
        let rebuilt = self.rebuild(ids, downtime).await;
        self.give_back().await;
        rebuilt
    }

    /// Brings the partitions into memory; how many are there. Nobody reaches one before it has been given our downtime back: by
    /// [`HostCore::give_back`], or because somebody asks for it.
    pub async fn rebuild(self: &Rc<Self>, ids: Vec<String>, downtime: Duration) -> usize {
        self.downtime.set(downtime);
        let lots: Vec<Vec<String>> = ids.chunks(LOT).map(<[String]>::to_vec).collect();
        let lots = stream::iter(lots).map(|lot| self.rebuild_lot(lot)).buffer_unordered(LOTS);
        lots.fold(0, |sum, whole| std::future::ready(sum + whole)).await
    }

    /// As [`HostCore::rebuild`], for so many as are read together.
    async fn rebuild_lot(self: &Rc<Self>, ids: Vec<String>) -> usize {
        let (absent, known): (Vec<String>, Vec<String>) = {
            let mut partitions = self.partitions.borrow_mut();
            let (known, absent): (Vec<_>, Vec<_>) =
                ids.into_iter().partition(|id| partitions.contains_key(id.as_str()));
            absent.iter().for_each(|id| drop(partitions.insert(id.as_str().into(), Entry::Loading(Vec::new()))));
            (absent, known)
        };
        let streams: Vec<StreamName> = absent.iter().map(|id| StreamName::new(F::NAME, id)).collect();
        let claimed = match self.env.journal.claim_all(&streams).await {
            Ok(claimed) => claimed,
            Err(error) => streams.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut whole = 0;
        for ((id, stream), claimed) in absent.iter().zip(streams).zip(claimed) {
            let built = claimed
                .map_err(LoadError::from)
                .and_then(|claimed| Partition::build(&self.env, Rc::downgrade(self), stream, claimed));
            match built {
                Ok(partition) => {
                    whole += 1;
                    self.rebuilt(id, partition);
                }
                Err(error) => drop(self.arrived(id, Err(error))),
            }
        }
        // What a command has brought into memory meanwhile, or is bringing.
        for id in known {
            if let Some(partition) = self.partition(&id).await {
                whole += 1;
                partition.give_back(self.downtime.get()).await;
            }
        }
        whole
    }

    /// A partition waits for its give-back; not for its turn, if somebody waits for it.
    fn rebuilt(self: &Rc<Self>, id: &str, partition: Rc<Partition<F>>) {
        let before = self.partitions.borrow_mut().insert(id.into(), Entry::Owed(partition));
        if let Some(Entry::Loading(waiting)) = before
            && !waiting.is_empty()
        {
            self.pay_for(id, waiting);
        }
    }

    /// Gives our downtime back to all that have been rebuilt and not been asked for yet, and then lets overdue timers go in due
    /// order.
    pub async fn give_back(self: &Rc<Self>) {
        let mut owed: Vec<Box<str>> = {
            let partitions = self.partitions.borrow();
            let owed = partitions.iter().filter(|(_, entry)| matches!(entry, Entry::Owed(_)));
            owed.map(|(id, _)| id.clone()).collect()
        };
        // In the order in which they are read: what is written together lies together, and the next start decodes it once.
        owed.sort_unstable();
        let at_once = self.env.limits.recovery_parallel.max(1);
        let each = |id: Box<str>| async move {
            if let Some(partition) = self.take_owed(&id, Vec::new()) {
                self.pay(&id, partition).await;
            }
        };
        stream::iter(owed).for_each_concurrent(at_once, each).await;
        self.env.pacer.open();
    }

    /// Gives a partition its time back before its turn, for those who wait for it. Goes on though they may not.
    pub(super) fn pay_for(self: &Rc<Self>, id: &str, waiting: Vec<oneshot::Sender<Option<Rc<Partition<F>>>>>) {
        if let Some(partition) = self.take_owed(id, waiting) {
            let (this, id) = (Rc::clone(self), Box::<str>::from(id));
            actix_rt::spawn(async move { this.pay(&id, partition).await });
        }
    }

    fn take_owed(&self, id: &str, waiting: Vec<oneshot::Sender<Option<Rc<Partition<F>>>>>) -> Option<Rc<Partition<F>>> {
        let mut partitions = self.partitions.borrow_mut();
        let entry = partitions.get_mut(id)?;
        let Entry::Owed(partition) = entry else { return None };
        let partition = Rc::clone(partition);
        *entry = Entry::Loading(waiting);
        Some(partition)
    }

    async fn pay(self: &Rc<Self>, id: &str, partition: Rc<Partition<F>>) {
        partition.give_back(self.downtime.get()).await;
        partition.start_actors();
        if partition.closed.get() {
            // It has lost its token on the way: what the journal holds is read anew.
            self.load(id).await;
        } else {
            self.arrived(id, Ok(partition));
        }
    }
}

impl<F: Family> Partition<F> {
    /// Moves what measures silence by our downtime, in one append. Ends once that is durable.
    pub(super) async fn give_back(self: &Rc<Self>, downtime: Duration) {
        if self.closed.get() {
            return;
        }
        let mut answers = Vec::new();
        {
            let mut inner = self.inner.borrow_mut();
            let owed = inner.slots.iter().map(|(key, slot)| (key.clone(), F::give_back(&slot.state, downtime)));
            let owed: Vec<_> = owed.filter_map(|(key, command)| Some((key, command?))).collect();
            for (key, command) in owed {
                let (reply, answer) = oneshot::channel();
                answers.push((key.clone(), answer));
                inner.queue.push_back(Step {
                    key,
                    command: Work::Command(command),
                    reply,
                    span: tracing::Span::none(),
                });
            }
        }
        self.pump();
        for (key, answer) in answers {
            // Dropped unanswered: the partition was closed under it.
            let outcome = answer.await.unwrap_or(Err(Refusal::Unavailable(self.env.limits.retry_after)));
            // Loses nothing: a deadline that could not be moved fires early once, and the rule re-checks.
            if let Err(refusal) = outcome.map_err(|refusal| refusal.to_string()) {
                tracing::warn!(stream = %self.stream, %key, refusal, "our downtime could not be given back");
            }
        }
    }
}
