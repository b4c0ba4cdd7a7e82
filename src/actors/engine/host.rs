//! One arbiter's partitions of one family: brings them into memory on demand, recovers the live ones at start, and is
//! the door for callers of other threads. Owns who is in memory; never a state.

use super::load::LoadError;
use super::messages::{Do, Outcome, Refusal};
use super::partition::{Environment, Partition};
use crate::domain::entity::Family;
use crate::persistence::StreamName;
use crate::telemetry::metrics::engine as metrics;
use actix::{Actor, Addr, Context, Handler, Message};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A partition in memory, or on its way.
pub(super) enum Entry<F: Family> {
    Loading(Vec<oneshot::Sender<Option<Rc<Partition<F>>>>>),
    /// Rebuilt, and our downtime is to be given back before anybody reaches it ([`super::recovery`]).
    Owed(Rc<Partition<F>>),
    Loaded(Rc<Partition<F>>),
}

/// The partitions of one arbiter, for those who live on it.
pub struct HostCore<F: Family> {
    pub(super) env: Rc<Environment<F>>,
    pub(super) partitions: RefCell<HashMap<Box<str>, Entry<F>>>,
    /// How long nobody was there before this process.
    pub(super) downtime: Cell<Duration>,
}

impl<F: Family> std::fmt::Debug for HostCore<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostCore").field("family", &F::NAME).finish_non_exhaustive()
    }
}

impl<F: Family> HostCore<F> {
    /// An empty house on the current arbiter.
    pub fn new(env: Environment<F>) -> Rc<Self> {
        Rc::new(HostCore { env: Rc::new(env), partitions: RefCell::default(), downtime: Cell::default() })
    }

    /// What its partitions are made with.
    pub fn env(&self) -> &Environment<F> {
        &self.env
    }

    /// The partition if it is in memory now.
    pub fn loaded(&self, id: &str) -> Option<Rc<Partition<F>>> {
        match self.partitions.borrow().get(id) {
            Some(Entry::Loaded(partition)) => Some(Rc::clone(partition)),
            Some(Entry::Loading(_) | Entry::Owed(_)) | None => None,
        }
    }

    /// All partitions in memory now.
    pub fn all(&self) -> Vec<Rc<Partition<F>>> {
        let partitions = self.partitions.borrow();
        let loaded = partitions.values().filter_map(|entry| match entry {
            Entry::Loaded(partition) | Entry::Owed(partition) => Some(Rc::clone(partition)),
            Entry::Loading(_) => None,
        });
        loaded.collect()
    }

    /// The partition, brought into memory if need be. `None`: the journal cannot give it now; logged with the reason.
    pub async fn partition(self: &Rc<Self>, id: &str) -> Option<Rc<Partition<F>>> {
        let waits = {
            let mut partitions = self.partitions.borrow_mut();
            match partitions.get_mut(id) {
                Some(Entry::Loaded(partition)) => return Some(Rc::clone(partition)),
                Some(Entry::Loading(waiting)) => {
                    let (tell, told) = oneshot::channel();
                    waiting.push(tell);
                    Some(told)
                }
                Some(Entry::Owed(_)) => {
                    drop(partitions);
                    let (tell, told) = oneshot::channel();
                    self.pay_for(id, vec![tell]);
                    Some(told)
                }
                None => {
                    partitions.insert(id.into(), Entry::Loading(Vec::new()));
                    None
                }
            }
        };
        match waits {
            Some(told) => told.await.ok().flatten(),
            None => self.load(id).await,
        }
    }

    pub(super) async fn load(self: &Rc<Self>, id: &str) -> Option<Rc<Partition<F>>> {
        let stream = StreamName::new(F::NAME, id);
        self.arrived(id, Partition::load(&self.env, Rc::downgrade(self), stream).await)
    }

    /// A partition that was on its way is in memory, or cannot be.
    pub(super) fn arrived(&self, id: &str, loaded: Result<Rc<Partition<F>>, LoadError>) -> Option<Rc<Partition<F>>> {
        let partition = match loaded {
            Ok(partition) => Some(partition),
            Err(error) => {
                tracing::error!(family = F::NAME, partition = id, %error, "a partition cannot be brought into memory");
                None
            }
        };
        let mut partitions = self.partitions.borrow_mut();
        let before = match &partition {
            Some(partition) => partitions.insert(id.into(), Entry::Loaded(Rc::clone(partition))),
            None => partitions.remove(id),
        };
        drop(partitions);
        if let Some(Entry::Loading(waiting)) = before {
            waiting.into_iter().for_each(|tell| drop(tell.send(partition.clone())));
        }
        partition
    }

    /// Forgets a partition that has closed.
    pub(super) fn forget(&self, partition: &Partition<F>) {
        let mut partitions = self.partitions.borrow_mut();
        let same = matches!(partitions.get(partition.id()), Some(Entry::Loaded(it)) if std::ptr::eq(&raw const **it, partition));
        if same {
            partitions.remove(partition.id());
        }
    }

    /// Sends a command to an entity's actor and waits for its answer.
    ///
    /// The command is on its way when this returns, so that a caller's task has no room for it while it waits.
    pub fn ask(
        self: &Rc<Self>,
        id: &str,
        key: F::Key,
        command: F::Command,
    ) -> impl Future<Output = Outcome<F>> + use<F> {
        let (reply, answer) = oneshot::channel();
        self.dispatch(id, key, Do { command, reply, span: tracing::Span::current() });
        let retry_after = self.env.limits.retry_after;
        // Dropped unanswered: the actor or its partition has gone.
        async move { answer.await.unwrap_or(Err(Refusal::Unavailable(retry_after))) }
    }

    /// Hands an order to its actor, at once if the partition is in memory.
    fn dispatch(self: &Rc<Self>, id: &str, key: F::Key, order: Do<F>) {
        if let Some(partition) = self.loaded(id) {
            Self::deliver(&partition, key, order);
            return;
        }
        let (this, id) = (Rc::clone(self), Box::<str>::from(id));
        actix_rt::spawn(async move {
            match this.partition(&id).await {
                Some(partition) => Self::deliver(&partition, key, order),
                // Whoever asked may have gone.
                None => drop(order.reply.send(Err(Refusal::Unavailable(this.env.limits.retry_after)))),
            }
        });
    }

    fn deliver(partition: &Rc<Partition<F>>, key: F::Key, order: Do<F>) {
        let Some(actor) = partition.actor(&key) else {
            // Not born, or quarantined: the writer says which.
            partition.hand_in(key, order.command, order.reply, order.span);
            return;
        };
        match actor.try_send(order) {
            Ok(()) => {}
            Err(actix::dev::SendError::Full(order)) => {
                metrics::REFUSED.add(1, [F::NAME, "mailbox"]);
                let _ = order.reply.send(Err(Refusal::Busy));
            }
            // It is being rebuilt: the writer's queue holds the command until then.
            Err(actix::dev::SendError::Closed(order)) => {
                partition.hand_in(key, order.command, order.reply, order.span);
            }
        }
    }
}

/// The actor through which other threads reach an arbiter's partitions.
#[derive(Debug)]
pub struct Host<F: Family>(Rc<HostCore<F>>);

impl<F: Family> Host<F> {
    /// Starts it on the current arbiter.
    pub fn start_for(core: Rc<HostCore<F>>) -> Addr<Self> {
        let mailbox = core.env.limits.host_mailbox;
        Host::create(|context: &mut Context<Self>| {
            context.set_mailbox_capacity(mailbox);
            Host(core)
        })
    }
}

impl<F: Family> Actor for Host<F> {
    type Context = Context<Self>;
}

/// A command from another thread.
#[derive(Message)]
#[rtype(result = "()")]
struct Ask<F: Family> {
    id: Box<str>,
    key: F::Key,
    order: Do<F>,
}

impl<F: Family> Handler<Ask<F>> for Host<F> {
    type Result = ();

    fn handle(&mut self, ask: Ask<F>, _: &mut Context<Self>) {
        self.0.dispatch(&ask.id, ask.key, ask.order);
    }
}

/// Work to run on the arbiter with its partitions.
#[derive(Message)]
#[rtype(result = "()")]
struct Run<F: Family>(Box<dyn FnOnce(Rc<HostCore<F>>) + Send>);

impl<F: Family> Handler<Run<F>> for Host<F> {
    type Result = ();

    fn handle(&mut self, Run(work): Run<F>, _: &mut Context<Self>) {
        work(Rc::clone(&self.0));
    }
}

/// The door to all partitions of a family, from any thread.
#[derive(Debug)]
pub struct HostAddr<F: Family> {
    hosts: Arc<[Addr<Host<F>>]>,
    retry_after: Duration,
}

impl<F: Family> Clone for HostAddr<F> {
    fn clone(&self) -> Self {
        HostAddr { hosts: Arc::clone(&self.hosts), retry_after: self.retry_after }
    }
}

/// An arbiter takes no more work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the arbiter is too busy")]
pub struct TooBusy;

/// Which of `n` arbiters a partition lives on: the same on every start of a build, not over builds.
pub fn place(id: &str, n: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    usize::try_from(hasher.finish() % (n.max(1) as u64)).unwrap_or(0)
}

impl<F: Family> HostAddr<F> {
    /// The door over these hosts, one an arbiter in the order of [`place`].
    pub fn new(hosts: Vec<Addr<Host<F>>>, retry_after: Duration) -> Self {
        // Seen from the start, though nothing may ever be quarantined.
        metrics::QUARANTINED.shift(0.0, [F::NAME]);
        HostAddr { hosts: hosts.into(), retry_after }
    }

    /// Sends a command to an entity and waits for its answer, which comes once the step is durable.
    pub async fn ask(&self, id: &str, key: F::Key, command: F::Command) -> Outcome<F> {
        let (reply, answer) = oneshot::channel();
        let order = Do { command, reply, span: tracing::Span::current() };
        let ask = Ask { id: id.into(), key, order };
        match self.hosts[place(id, self.hosts.len())].try_send(ask) {
            Ok(()) => answer.await.unwrap_or(Err(Refusal::Unavailable(self.retry_after))),
            Err(actix::dev::SendError::Full(_)) => {
                metrics::REFUSED.add(1, [F::NAME, "host"]);
                Err(Refusal::Busy)
            }
            Err(actix::dev::SendError::Closed(_)) => Err(Refusal::Unavailable(self.retry_after)),
        }
    }

    /// Reads an entity's committed state, bringing its partition into memory if need be. `None`: no such entity.
    ///
    /// # Errors
    /// When the arbiter is too busy or gone: nothing is known of the entity.
    pub async fn read<R: Send + 'static>(
        &self,
        id: &str,
        key: F::Key,
        look: impl FnOnce(&F::State) -> R + Send + 'static,
    ) -> Result<Option<R>, TooBusy> {
        let id = id.to_owned();
        let index = place(&id, self.hosts.len());
        let seen = self.run_on(index, move |core| async move {
            let partition = core.partition(&id).await?;
            partition.state(&key).map(|state| look(&state))
        });
        seen.await.ok_or(TooBusy)
    }

    /// Runs work with all partitions of one arbiter. `None`: the arbiter is too busy or gone.
    pub async fn run_on<R, Fut>(
        &self,
        index: usize,
        work: impl FnOnce(Rc<HostCore<F>>) -> Fut + Send + 'static,
    ) -> Option<R>
    where
        R: Send + 'static,
        Fut: Future<Output = R> + 'static,
    {
        let (tell, told) = oneshot::channel();
        let run = Run(Box::new(move |core| {
            actix_rt::spawn(async move { drop(tell.send(work(core).await)) });
        }));
        self.hosts[index].try_send(run).ok()?;
        told.await.ok()
    }

    /// Runs work with one arbiter's partitions, without waiting for it.
    ///
    /// # Errors
    /// When the arbiter is too busy or gone; the work is dropped undone.
    pub fn send_to(&self, index: usize, work: impl FnOnce(Rc<HostCore<F>>) + Send + 'static) -> Result<(), TooBusy> {
        self.hosts[index].try_send(Run(Box::new(work))).map_err(|_| TooBusy)
    }

    /// How many arbiters there are.
    pub fn arbiters(&self) -> usize {
        self.hosts.len()
    }

    /// Writes a partition's snapshot, bringing it into memory if need be.
    pub async fn snapshot(&self, id: String) {
        let index = place(&id, self.hosts.len());
        let work = self.run_on(index, move |core| async move {
            if let Some(partition) = core.partition(&id).await {
                partition.snapshot_soon();
            }
        });
        // Too busy now: the next look finds it again.
        work.await;
    }

    /// Recovers the live partitions of the family on all arbiters; the number recovered.
    pub async fn recover(&self, ids: Vec<String>, downtime: Duration) -> usize {
        let rebuilt = self.rebuild(ids, downtime).await;
        self.give_back().await;
        rebuilt
    }

    /// Rebuilds the live partitions of the family on all arbiters; the number rebuilt. See [`HostCore::rebuild`].
    pub async fn rebuild(&self, ids: Vec<String>, downtime: Duration) -> usize {
        let mut shares: Vec<Vec<String>> = vec![Vec::new(); self.hosts.len()];
        for id in ids {
            let index = place(&id, shares.len());
            shares[index].push(id);
        }
        let each = shares
            .into_iter()
            .enumerate()
            .map(|(index, share)| self.run_on(index, move |core| async move { core.rebuild(share, downtime).await }));
        futures_util::future::join_all(each).await.into_iter().map(Option::unwrap_or_default).sum()
    }

    /// Gives all that have been rebuilt our downtime back, on all arbiters. See [`HostCore::give_back`].
    pub async fn give_back(&self) {
        let each = self.hosts.iter().enumerate().map(|(index, host)| async move {
            // Too busy now: nobody else does it.
            while self.run_on(index, |core| async move { core.give_back().await }).await.is_none() && host.connected() {
                tokio::time::sleep(self.retry_after).await;
            }
        });
        futures_util::future::join_all(each).await;
    }
}
