//! Accounts over the engine on virtual time with a memory journal: what the gateway does not say is asked again, what an order's
//! owner has not heard is told again, over restarts too, and what has left the state is recalled.

use super::gateway::{GatewayError, Known, PaymentGateway};
use super::handle::recall;
use super::{AccountParts, AccountShell, DebtListener};
use crate::actors::alerts;
use crate::actors::engine::pacer::Pacer;
use crate::actors::engine::restarts::RestartBudget;
use crate::actors::engine::{Environment, HostCore};
use crate::actors::partners::Partners;
use crate::clock::{RuntimeClock, SharedClock, Timestamp};
use crate::domain::account::{
    Account, AccountFamily, Action, Command, Key, Line, Outcome, Policy, Reply, Request, TopUpState, payment_cause,
    rows,
};
use crate::domain::ledger::{LedgerAccount, OrderId, PaymentId};
use crate::domain::money::{Currency, Money};
use crate::ids::TopUpId;
use crate::persistence::{Journal as _, MemoryJournal, SharedJournal};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// A gateway that answers as told, and listens as an order's owner that hears from the n-th time on.
#[derive(Default)]
struct Outside {
    known: Mutex<VecDeque<Result<Known, GatewayError>>>,
    queries: AtomicU64,
    refunds_fail: AtomicU64,
    refunds: AtomicU64,
    deaf: AtomicU64,
    told: AtomicU64,
}

fn silent() -> GatewayError {
    GatewayError::Silent("no answer".to_owned())
}

/// Counts one down; whether there was one left.
fn one_less(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

#[async_trait]
impl PaymentGateway for Outside {
    async fn query(&self, _: TopUpId) -> Result<Known, GatewayError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.known.lock().unwrap().pop_front().unwrap_or(Err(silent()))
    }

    async fn refund(&self, _: &PaymentId, _: TopUpId, _: Money) -> Result<(), GatewayError> {
        self.refunds.fetch_add(1, Ordering::Relaxed);
        if one_less(&self.refunds_fail) { Err(silent()) } else { Ok(()) }
    }
}

impl DebtListener for Outside {
    fn settled<'a>(&'a self, _: &'a str, _: &'a OrderId) -> BoxFuture<'a, Result<(), String>> {
        self.told.fetch_add(1, Ordering::Relaxed);
        let deaf = one_less(&self.deaf);
        Box::pin(async move { if deaf { Err("not now".to_owned()) } else { Ok(()) } })
    }
}

struct World {
    clock: SharedClock,
    journal: Arc<MemoryJournal>,
    outside: Arc<Outside>,
    policy: Policy,
    core: Rc<HostCore<AccountFamily>>,
}

impl World {
    fn new(policy: Policy) -> Self {
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp(1_700_000_000_000)));
        let journal = MemoryJournal::new(&clock);
        Self::over(clock, journal, Arc::default(), policy)
    }

    fn over(clock: SharedClock, journal: Arc<MemoryJournal>, outside: Arc<Outside>, policy: Policy) -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let limits = crate::config::load::from_text(None, &[]).unwrap().config.engine;
        let (alerts, _) = alerts::channel();
        let parts = AccountParts {
            policy: Arc::new(ArcSwap::from_pointee(policy.clone())),
            gateway: outside.clone(),
            listener: outside.clone(),
            partners: Arc::new(Partners::new(Arc::new(|_| None))),
            alerts,
            journal: journal.clone(),
        };
        let core = HostCore::new(Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(|| (u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)) << 64) | 7),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window))),
            limits,
            shell: Rc::new(AccountShell::new(parts)),
        });
        core.env().pacer.open();
        World { clock, journal, outside, policy, core }
    }

    /// The same journal, a new process, which recovers what is open.
    async fn restarted(&self) -> Self {
        let journal = self.journal.reopen();
        let next = Self::over(self.clock.clone(), journal, self.outside.clone(), self.policy.clone());
        next.core.recover(vec!["u1".to_owned()], Duration::ZERO).await;
        next
    }

    async fn ask(&self, cause: &str, action: Action) -> Outcome {
        let request = Request::new(cause.parse().unwrap(), action);
        let asked = self.core.ask("u1", Key, request.clone().into()).await.unwrap();
        let recalled = match asked {
            Reply::Done(outcome) => return outcome,
            Reply::Recall(keys) => {
                let journal: SharedJournal = self.journal.clone();
                Some(recall(&journal, "u1", keys).await.unwrap())
            }
        };
        match self.core.ask("u1", Key, Command::Do { request: Box::new(request), recalled }).await.unwrap() {
            Reply::Done(outcome) => outcome,
            Reply::Recall(keys) => panic!("{keys:?}"),
        }
    }

    async fn top_up(&self, minor: i64) -> TopUpId {
        match self.ask(&format!("top-up/{minor}"), Action::OpenTopUp { amount: yuan(minor) }).await {
            Outcome::TopUpOpened { intent, .. } => intent,
            other => panic!("{other:?}"),
        }
    }

    async fn paid(&self, payment: &str, intent: TopUpId, minor: i64) -> Outcome {
        let payment: PaymentId = payment.parse().unwrap();
        let cause = payment_cause(&payment).unwrap().to_string();
        self.ask(&cause, Action::Payment { payment, intent, amount: yuan(minor), succeeded: true }).await
    }

    async fn account(&self) -> Account {
        self.core.partition("u1").await.unwrap().state(&Key).map(|state| state.clone()).unwrap_or_default()
    }

    async fn state(&self, intent: TopUpId) -> TopUpState {
        let row = self.journal.row(rows::TOP_UP, &intent.to_string()).await.unwrap().unwrap();
        serde_json::from_slice::<rows::TopUpRow>(&row).unwrap().top_up.state
    }
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn virtual_time(test: impl Future<Output = ()>) {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    });
    system.block_on(test);
}

#[test]
fn a_payment_whose_callback_never_came_is_found_by_query_over_a_restart() {
    virtual_time(async {
        let world = World::new(Policy::default());
        let intent = world.top_up(5_000).await;
        let payment: PaymentId = "T1".parse().unwrap();
        let paid = Ok(Known::Paid { payment: payment.clone(), amount: yuan(5_000) });
        *world.outside.known.lock().unwrap() = [Ok(Known::Pending), Err(silent()), paid].into();
        later(130).await;
        assert_eq!((world.outside.queries.load(Ordering::Relaxed), world.account().await.available()), (1, 0));
        let world = world.restarted().await;
        later(1_000).await;
        assert_eq!((world.outside.queries.load(Ordering::Relaxed), world.account().await.available()), (3, 5_000));
        assert_eq!(world.state(intent).await, TopUpState::Paid { payment });
        assert_eq!(world.paid("T1", intent, 5_000).await, Outcome::Credited { amount: yuan(5_000), late: false });
        assert_eq!(world.account().await.available(), 5_000, "the callback came after all, and books nothing");
    });
}

#[test]
fn an_intent_that_nobody_pays_expires_when_its_time_is_up() {
    virtual_time(async {
        let world = World::new(Policy::default());
        let intent = world.top_up(5_000).await;
        later(1_790).await;
        assert_eq!(world.state(intent).await, TopUpState::Pending);
        later(200).await;
        assert_eq!(world.state(intent).await, TopUpState::Expired);
        assert_eq!(world.outside.queries.load(Ordering::Relaxed), 4, "three times, and a last one");
        assert!(!world.journal.rows("ticket", "", None, 9).await.unwrap().is_empty(), "the gateway never said");
    });
}

#[test]
fn a_double_payment_goes_back_however_long_the_gateway_does_not_take_it() {
    virtual_time(async {
        let world = World::new(Policy::default());
        let intent = world.top_up(5_000).await;
        world.outside.refunds_fail.store(4, Ordering::Relaxed);
        world.paid("T1", intent, 5_000).await;
        assert_eq!(world.paid("T2", intent, 5_000).await, Outcome::DoublePayment { refund: yuan(5_000) });
        later(15).await;
        let world = world.restarted().await;
        later(600).await;
        assert_eq!(world.outside.refunds.load(Ordering::Relaxed), 5);
        let account = world.account().await;
        let gateway = [LedgerAccount::GatewayRefunds, LedgerAccount::GatewayClearing].map(|it| account.trial.of(&it));
        assert_eq!((account.available(), gateway), (5_000, [0, -5_000]));
    });
}

#[test]
fn the_owner_of_a_paid_order_is_told_until_it_has_heard() {
    virtual_time(async {
        let world = World::new(Policy::default());
        let lines = vec![Line { account: LedgerAccount::RevenueEnergy, amount: yuan(300) }];
        let order: OrderId = "session/1".parse().unwrap();
        world.ask("charge", Action::Charge { order, amount: yuan(300), lines, coupon: None }).await;
        world.outside.deaf.store(2, Ordering::Relaxed);
        let intent = world.top_up(1_000).await;
        world.paid("T1", intent, 1_000).await;
        later(12).await;
        let world = world.restarted().await;
        later(600).await;
        assert_eq!(world.outside.told.load(Ordering::Relaxed), 3);
        let account = world.account().await;
        assert!(account.settled.is_empty() && account.debts.is_empty() && account.available() == 700);
    });
}

#[test]
fn what_has_left_the_state_is_recalled_from_its_rows_after_a_restart_too() {
    virtual_time(async {
        let mut world = World::new(Policy { memos: (8, 4096), ..Policy::default() });
        let intent = world.top_up(100_000).await;
        world.paid("T1", intent, 100_000).await;
        for n in 0..30 {
            later(3_601).await;
            let (hold, order, amount) = (format!("h{n}").parse().unwrap(), format!("o{n}").parse().unwrap(), yuan(10));
            world.ask(&format!("f{n}"), Action::Freeze { hold, order, amount }).await;
            let release = Action::Release { hold: format!("h{n}").parse().unwrap() };
            world.ask(&format!("r{n}"), release).await;
            if n == 15 {
                world = world.restarted().await;
            }
        }
        let before = world.account().await;
        assert!(before.memos.len() < 40, "{}", before.memos.len());
        for n in 0..30 {
            let (hold, order, amount) = (format!("h{n}").parse().unwrap(), format!("o{n}").parse().unwrap(), yuan(10));
            let again = world.ask(&format!("f{n}"), Action::Freeze { hold, order, amount }).await;
            assert_eq!(again, Outcome::Frozen { frozen: yuan(10) });
        }
        assert_eq!(world.paid("T2", intent, 7).await, Outcome::DoublePayment { refund: yuan(7) });
        assert_eq!(world.account().await.available(), before.available());
    });
}
