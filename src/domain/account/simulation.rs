//! Random lives of an account (MO-1, MO-3): commands in any order, each sent once or several times, deadlines that fire,
//! gateways that answer or not, crashes between any two steps. At every step the books balance (`World::step` looks), and:
//! a repeated cause gives the same outcome and books nothing; replaying the history, with or without a snapshot on the way,
//! gives the same state; what users have paid in is what is theirs, ours and the gateway's.

use super::tests::{World, freeze, hold, lines, order, yuan};
use super::*;
use crate::clock::Timestamp;
use crate::domain::entity::Family as _;
use crate::domain::ledger::LedgerAccount;
use crate::ids::TopUpId;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happens {
    Freeze(u8, i64),
    Extend(u8, i64),
    Capture {
        n: u8,
        minor: i64,
        coupon: Option<u8>,
        keep: bool,
    },
    Charge(u8, i64),
    Release(u8),
    Refund(u8, i64),
    PayDebt(u8, i64),
    Open(i64),
    /// The callback of a transaction for the n-th intent.
    Paid {
        transaction: u8,
        intent: u8,
        minor: i64,
        fine: bool,
    },
    Credit(i64),
    Coupon(u8, i64),
    Adjust(i64, bool),
    FailedStart,
    Lift,
    /// The next deadline fires; the gateway, if asked, answers so.
    Deadline(u8),
    /// Time goes by, hours.
    Later(u8),
    /// The process dies: what is left is the snapshot and the events.
    Crash,
}

fn happens() -> impl Strategy<Value = Happens> {
    let minor = prop_oneof![1i64..200, 1i64..20_000];
    let n = 0u8..12;
    prop_oneof![
        6 => (n.clone(), minor.clone()).prop_map(|(n, minor)| Happens::Freeze(n, minor)),
        2 => (n.clone(), minor.clone()).prop_map(|(n, minor)| Happens::Extend(n, minor)),
        6 => (n.clone(), 0i64..20_000, proptest::option::of(0u8..4), any::<bool>())
            .prop_map(|(n, minor, coupon, keep)| Happens::Capture { n, minor, coupon, keep }),
        2 => (n.clone(), minor.clone()).prop_map(|(n, minor)| Happens::Charge(n, minor)),
        3 => n.clone().prop_map(Happens::Release),
        2 => (n.clone(), minor.clone()).prop_map(|(n, minor)| Happens::Refund(n, minor)),
        3 => (n.clone(), minor.clone()).prop_map(|(n, minor)| Happens::PayDebt(n, minor)),
        4 => minor.clone().prop_map(Happens::Open),
        6 => (0u8..16, 0u8..6, minor.clone(), prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(transaction, intent, minor, fine)| Happens::Paid { transaction, intent, minor, fine }),
        1 => (0i64..5_000).prop_map(Happens::Credit),
        1 => (0u8..4, 1i64..2_000).prop_map(|(n, minor)| Happens::Coupon(n, minor)),
        1 => (-3_000i64..3_000, any::<bool>()).prop_map(|(minor, other)| Happens::Adjust(minor, other)),
        1 => Just(Happens::FailedStart),
        1 => Just(Happens::Lift),
        4 => any::<u8>().prop_map(Happens::Deadline),
        2 => (0u8..5).prop_map(Happens::Later),
        2 => Just(Happens::Crash),
    ]
}

/// The account with what its outside knows.
#[derive(Default)]
struct Run {
    world: World,
    intents: Vec<TopUpId>,
    /// The state and how much of the history is in it.
    snapshot: (Account, usize),
    step: u64,
    /// Every wish that was recorded, with what it gave.
    recorded: Vec<(String, Action, Outcome)>,
}

impl Run {
    fn ask(&mut self, cause: String, action: Action) -> Option<Outcome> {
        let entries = self.world.account.entries;
        let outcome = self.world.ask(&cause, action.clone()).ok();
        if let Some(outcome) = outcome.clone()
            && !matches!(
                outcome,
                Outcome::InsufficientFunds { .. }
                    | Outcome::Blocked { .. }
                    | Outcome::UnpaidOrder { .. }
                    | Outcome::TopUpFailed
            )
        {
            self.recorded.push((cause, action, outcome));
        } else {
            assert_eq!(self.world.account.entries, entries, "a refusal has booked something");
        }
        outcome
    }

    fn fresh(&mut self) -> String {
        self.step += 1;
        format!("c{}", self.step)
    }

    fn one(&mut self, what: &Happens) {
        let name = |n: u8| format!("s{n}");
        let cause = self.fresh();
        match what {
            Happens::Freeze(n, minor) => drop(self.ask(cause, freeze(&name(*n), *minor))),
            Happens::Extend(n, minor) => {
                drop(self.ask(cause, Action::Extend { hold: hold(&name(*n)), amount: yuan(*minor) }));
            }
            Happens::Capture { n, minor, coupon, keep } => {
                let linked = format!("{}-occupancy-{cause}", name(*n));
                let keep = keep.then(|| Keep { hold: hold(&linked), order: order(&linked), amount: yuan(300) });
                let coupon = coupon.map(|n| format!("C{n}").parse().unwrap());
                let (amount, lines) = (yuan(*minor), lines(*minor));
                drop(self.ask(cause, Action::Capture { hold: hold(&name(*n)), amount, lines, coupon, keep }));
            }
            Happens::Charge(n, minor) => {
                let (amount, lines) = (yuan(*minor), lines(*minor));
                drop(self.ask(cause, Action::Charge { order: order(&name(*n)), amount, lines, coupon: None }));
            }
            Happens::Release(n) => drop(self.ask(cause, Action::Release { hold: hold(&name(*n)) })),
            Happens::Refund(n, minor) => {
                drop(self.ask(cause, Action::Refund { order: order(&name(*n)), amount: yuan(*minor) }));
            }
            Happens::PayDebt(n, minor) => {
                drop(self.ask(cause, Action::PayDebt { order: order(&name(*n)), amount: yuan(*minor) }));
            }
            Happens::Open(minor) => {
                if let Some(Outcome::TopUpOpened { intent, .. }) =
                    self.ask(cause, Action::OpenTopUp { amount: yuan(*minor) })
                {
                    self.intents.push(intent);
                }
            }
            Happens::Paid { transaction, intent, minor, fine } => {
                let Some(intent) = self.intents.iter().rev().nth(usize::from(*intent)).copied() else { return };
                let payment = format!("T{transaction}").parse().unwrap();
                let action = Action::Payment { payment, intent, amount: yuan(*minor), succeeded: *fine };
                drop(self.ask(format!("payment/T{transaction}"), action));
            }
            Happens::Credit(minor) => {
                drop(self.ask(cause, Action::SetCreditLimit { limit: yuan(*minor), by: "ada".into() }));
            }
            Happens::Coupon(n, minor) => {
                let (from, until) = (Timestamp(0), Timestamp(i64::MAX));
                let discount = Discount::Amount(yuan(*minor));
                let coupon = Coupon { id: format!("C{n}").parse().unwrap(), discount, from, until, least: None };
                drop(self.ask(cause, Action::GrantCoupon { coupon, by: "ada".into() }));
            }
            Happens::Adjust(minor, other) => self.adjust(cause, *minor, *other),
            Happens::FailedStart => drop(self.ask(cause, Action::NoteFailedStart { order: order("s0") })),
            Happens::Lift => {
                if let Some((rule, _)) = self.world.account.block() {
                    drop(self.ask(cause, Action::Lift { rule, by: "ada".into() }));
                }
            }
            Happens::Deadline(answer) => self.deadline(*answer),
            Happens::Later(hours) => self.world.now.0 += i64::from(*hours) * 3_600_000,
            Happens::Crash => self.crash(),
        }
    }

    fn adjust(&mut self, cause: String, minor: i64, other: bool) {
        let propose = Action::Propose { amount: yuan(minor), order: None, reason: "x".into(), by: "ada".into() };
        if let Some(Outcome::Proposed { proposal }) = self.ask(cause, propose) {
            let cause = self.fresh();
            let by = if other { "bob" } else { "ada" };
            let approved = self.ask(cause, Action::Approve { proposal, by: by.into() });
            assert!(other || approved.is_none(), "one person has proposed and approved (MO-6)");
        }
    }

    fn deadline(&mut self, answer: u8) {
        let due = AccountFamily::timers(&self.world.account);
        let Some(next) = due.iter().map(|it| it.due).min() else { return };
        self.world.now = self.world.now.max(next);
        let before = self.world.effects.len();
        // All of one moment: which of them is first hangs on ids that differ from run to run.
        for deadline in due.into_iter().filter(|it| it.due == next) {
            self.world.step(Command::Due(deadline.timer)).unwrap();
        }
        for effect in self.world.effects.split_off(before) {
            let back = match (effect, answer % 3) {
                (Effect::Query(id), 0) => Command::TopUpAnswered(id, TopUpAnswer::Pending),
                (Effect::Query(id), 1) => Command::TopUpAnswered(id, TopUpAnswer::Failed),
                (Effect::Query(id), _) => Command::TopUpAnswered(id, TopUpAnswer::Silent),
                (Effect::Refund { payment, .. }, 0) => Command::RefundAnswered(payment, RefundAnswer::Done),
                (Effect::Refund { payment, .. }, _) => Command::RefundAnswered(payment, RefundAnswer::Silent),
                (Effect::TellSettled(order), 0) => Command::SettledHeard(order),
                (Effect::TellSettled(_) | Effect::Announce(_), _) => continue,
            };
            self.world.step(back).unwrap();
        }
    }

    /// The state comes back from the snapshot and the events after it, both as they are stored.
    fn crash(&mut self) {
        let stored = serde_json::to_vec(&self.snapshot.0).unwrap();
        let mut back: Account = serde_json::from_slice(&stored).unwrap();
        for event in &self.world.history[self.snapshot.1..] {
            let stored = serde_json::to_vec(event).unwrap();
            AccountFamily::apply(&mut back, &serde_json::from_slice(&stored).unwrap());
        }
        assert_eq!(back, self.world.account, "a replay gives another state");
        self.snapshot = (back.clone(), self.world.history.len());
        self.world.account = back;
    }

    /// Every wish that was ever recorded comes again.
    fn repeat(&mut self) {
        let (trial, entries) = (self.world.account.trial.clone(), self.world.account.entries);
        for (cause, action, outcome) in self.recorded.clone() {
            assert_eq!(self.world.ask(&cause, action), Ok(outcome), "{cause}");
        }
        assert_eq!((&self.world.account.trial, self.world.account.entries), (&trial, entries), "booked twice");
    }

    /// No user is below the credit that was ever given, and the store verifies.
    fn judge(&self) {
        let account = &self.world.account;
        assert!(account.frozen() >= 0 && account.debt() >= 0 && account.available() >= -5_000);
        let refunds: i64 = account.refunds.values().map(|refund| refund.amount.minor).sum();
        assert_eq!(account.trial.of(&LedgerAccount::GatewayRefunds), refunds);
        let findings = self.world.verified();
        assert!(findings.sound(), "{:?}", findings.problems);
    }
}

/// What partners are told in some of these scripts, the same each time, for the catalogue of events.
pub(crate) fn told() -> Vec<crate::domain::entity::Notice> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let scripts = prop::collection::vec(happens(), 40..80);
    let mut told = Vec::new();
    for _ in 0..60 {
        let script = scripts.new_tree(&mut runner).unwrap().current();
        let mut run = Run::default();
        let owner = super::Owner { partner: "app".parse().unwrap(), sealed: "sealed".into() };
        run.ask("open".to_owned(), Action::Open(owner));
        script.iter().for_each(|what| run.one(what));
        run.ask("block".to_owned(), Action::Block { reason: "fraud".into(), by: "ada".into() });
        run.ask("lift".to_owned(), Action::Lift { rule: super::risk::Rule::Blacklist, by: "ada".into() });
        told.extend(run.world.notices);
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_books_balance_whatever_happens(script in prop::collection::vec((happens(), 1usize..3), 1..80), few in any::<bool>()) {
        let mut run = Run::default();
        if few {
            run.world.policy.memos = (8, 4096);
        }
        for (what, _) in &script {
            run.one(what);
            run.judge();
        }
        run.repeat();
        run.crash();
        run.judge();
    }

    #[test]
    fn a_command_sent_several_times_is_as_one(script in prop::collection::vec((happens(), 1usize..4), 1..60)) {
        let (mut once, mut often) = (Run::default(), Run::default());
        for (what, times) in &script {
            once.one(what);
            let (step, intents) = (often.step, often.intents.len());
            often.one(what);
            if matches!(what, Happens::Deadline(_) | Happens::Later(_) | Happens::Crash | Happens::Adjust(..) | Happens::Lift) {
                continue;
            }
            for _ in 1..*times {
                let after = often.step;
                often.step = step;
                often.one(what);
                often.step = after;
                often.intents.truncate(intents + 1);
            }
        }
        prop_assert_eq!(&once.world.account.trial, &often.world.account.trial);
        prop_assert_eq!(once.world.account.holds, often.world.account.holds);
        prop_assert_eq!(once.world.account.debts, often.world.account.debts);
    }
}
