//! Reservations on the real engine and virtual time: a deposit that is asked for until it is answered, over a crash, and a
//! user who does not come (RS-1, RS-4, RT-3).

use super::*;
use crate::actors::engine::messages::Outcome;
use crate::domain::charger::{self, BootPolicy, Status, StatusFact};
use crate::domain::charging::purse::{AccountOutcome, AccountRequest};
use crate::domain::charging::testkit::{boot, register};
use crate::domain::charging::{self, ChargingFamily, Reply};
use crate::domain::money::{Currency, Money};
use crate::domain::reservation::{Booking, Rule};
use crate::ids::{ConnectorId, ReservationId};

const CHARGER: &str = "CP1";

/// A charger's socket that says nothing, and accounts that answer yes, or are silent.
#[derive(Default)]
struct Bank {
    asked: RefCell<Vec<&'static str>>,
    silent: Cell<bool>,
}

impl Shell<ChargingFamily> for Bank {
    fn perform(&self, partition: &Rc<Partition<ChargingFamily>>, key: &charging::Key, effect: charging::Effect) {
        let charging::Effect::AskAccount { request, .. } = effect else { return };
        self.asked.borrow_mut().push(match &request {
            AccountRequest::Freeze { .. } => "freeze",
            AccountRequest::Capture { amount, .. } => {
                assert_eq!(amount.minor, 1000, "the fee that was shown");
                "capture"
            }
            other => panic!("{other:?}"),
        });
        if self.silent.get() {
            return;
        }
        let (partition, key) = (Rc::clone(partition), *key);
        actix_rt::spawn(async move {
            let (cause, outcome) = (request.cause().into(), AccountOutcome::Done);
            drop(partition.submit(key, charging::Command::AccountAnswered { cause, outcome }).await);
        });
    }

    fn refresh(&self, partition: &Partition<ChargingFamily>) {
        partition.ambient(|ambient| {
            ambient.online = true;
            ambient.generation = 1;
        });
    }

    fn applied(&self, _: &Rc<Partition<ChargingFamily>>, _: &charging::Key, _: &charging::State) {}

    fn noticed(&self, _: &BTreeSet<PartnerId>) {}

    fn quarantined(&self, _: &StreamName, key: &charging::Key, cause: &str) {
        panic!("{key} is quarantined: {cause}");
    }

    fn pinned(&self, _: &Partition<ChargingFamily>) -> bool {
        false
    }
}

struct Site {
    clock: SharedClock,
    journal: Arc<MemoryJournal>,
    bank: Rc<Bank>,
    core: Rc<HostCore<ChargingFamily>>,
}

impl Site {
    fn over(clock: SharedClock, journal: Arc<MemoryJournal>, silent: bool) -> Self {
        let bank = Rc::new(Bank { silent: Cell::new(silent), ..Bank::default() });
        let limits = limits();
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let core = HostCore::new(Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(|| (u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)) << 40) | 7),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window))),
            limits,
            shell: bank.clone(),
        });
        core.env().pacer.open();
        Site { clock, journal, bank, core }
    }

    /// A charger of two free connectors.
    async fn ready(silent: bool) -> Self {
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp(1_767_312_000_000)));
        let site = Self::over(Arc::clone(&clock), MemoryJournal::new(&clock), silent);
        site.tell(register(2, BootPolicy::Accepted)).await;
        site.connect(1).await;
        site.tell(charger::Command::Boot(boot())).await;
        for connector in (0..=2).map(ConnectorId) {
            let (status, fault, remark, at) = (Status::Available, None, None, None);
            site.tell(charger::Command::Status(StatusFact { connector, status, fault, remark, at })).await;
        }
        site
    }

    async fn connect(&self, generation: u64) {
        let (remote, subprotocol) = ("::1".into(), "ocpp1.6".into());
        self.tell(charger::Command::LinkUp { generation, remote, subprotocol }).await;
    }

    async fn ask(&self, command: charger::Command) -> Outcome<ChargingFamily> {
        self.core.ask(CHARGER, charging::Key::Charger, command.into()).await
    }

    async fn tell(&self, command: charger::Command) -> Reply {
        self.ask(command).await.expect("what a charger says is taken")
    }

    async fn reserve(&self, n: u128) -> ReservationId {
        let yuan = |minor| Money::new(minor, Currency::CNY);
        let reservation = ReservationId(uuid::Uuid::from_u128(n));
        let booking = Booking {
            reservation,
            request: format!("b{n}").parse().expect("a name"),
            partner: "acme".parse().expect("a name"),
            connector: ConnectorId(1),
            user: "u1".into(),
            sealed: None,
            ahead: Duration::ZERO,
            length: None,
            account: true,
            rule: Rule {
                deposit: yuan(2000),
                free_cancel: Duration::from_secs(300),
                late_cancel_fee: yuan(500),
                no_show_fee: yuan(1000),
            },
        };
        assert_eq!(self.tell(charger::Command::Reserve(Box::new(booking))).await, Reply::Reserved(reservation));
        reservation
    }

    /// Its row.
    async fn row(&self, id: ReservationId) -> serde_json::Value {
        let row = self.journal.row("reservation", &id.to_string()).await.expect("a journal that can be read");
        serde_json::from_slice(&row.expect("a row")).expect("JSON")
    }

    /// Its state in memory.
    async fn status(&self, id: ReservationId) -> Option<String> {
        let partition = self.core.partition(CHARGER).await?;
        let state = partition.state(&charging::Key::Reservation(id))?;
        state.reservation()?.status.map(|status| format!("{status:?}"))
    }
}

#[test]
fn nobody_comes_and_the_fee_is_captured_half_an_hour_later() {
    virtual_time(async {
        let site = Site::ready(false).await;
        let id = site.reserve(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(site.status(id).await.as_deref(), Some("Reserved"));
        tokio::time::sleep(Duration::from_secs(1798)).await;
        assert_eq!(site.status(id).await.as_deref(), Some("Reserved"), "not a second early");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((&site.row(id).await["status"], site.status(id).await), (&"NoShow".into(), None));
        assert_eq!(*site.bank.asked.borrow(), ["freeze", "capture"]);
    });
}

#[test]
fn a_deposit_that_was_asked_for_before_a_crash_is_asked_for_again_after_it() {
    virtual_time(async {
        let before = Site::ready(true).await;
        let id = before.reserve(1).await;
        assert_eq!(before.status(id).await.as_deref(), Some("PendingPayment"));
        // The process is gone; the next one knows it from the journal alone.
        let after = Site::over(Arc::clone(&before.clock), before.journal.reopen(), false);
        drop(before.core);
        assert_eq!(after.core.recover(vec![CHARGER.to_owned()], Duration::from_secs(2)).await, 1);
        after.connect(2).await;
        tokio::time::sleep(Duration::from_secs(16)).await;
        assert_eq!(*after.bank.asked.borrow(), ["freeze"]);
        assert_eq!(after.status(id).await.as_deref(), Some("Reserved"));
    });
}

#[test]
fn a_capture_without_an_answer_keeps_the_reservation_in_memory_until_there_is_one() {
    virtual_time(async {
        let site = Site::ready(false).await;
        let id = site.reserve(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.bank.silent.set(true);
        tokio::time::sleep(Duration::from_secs(1800)).await;
        assert_eq!(site.status(id).await.as_deref(), Some("NoShow"));
        let asked = site.bank.asked.borrow().len();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(site.bank.asked.borrow().len() >= asked + 3, "{:?}", site.bank.asked.borrow());
        site.bank.silent.set(false);
        tokio::time::sleep(Duration::from_secs(16)).await;
        assert_eq!(site.status(id).await, None);
    });
}
