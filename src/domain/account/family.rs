//! The account's partition as the engine sees it: key, commands, effects, timers. Owns the glue between the engine's contract
//! and the rules; never a rule itself.

use super::decide;
use super::event::Event;
use super::memo::{MemoKey, Recalled};
use super::policy::Policy;
use super::request::{Outcome, Rejection, Request};
use super::rows;
use super::state::Account;
use crate::domain::charging::case::Case;
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::domain::ledger::{OrderId, PaymentId};
use crate::domain::money::Money;
use crate::ids::TopUpId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// The only entity of an account's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("account")
    }
}

/// A deadline of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Ask the gateway about an intent, or let it expire.
    TopUp(TopUpId),
    /// Ask the gateway to take a payment back.
    Refund(PaymentId),
    /// Tell the owner of an order that its debt is paid.
    Settled(OrderId),
}

/// What the gateway says when it is asked about an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopUpAnswer {
    /// Not paid so far.
    Pending,
    /// It will not be paid any more.
    Failed,
    /// It did not answer, or not understandably.
    Silent,
}

/// What the gateway says when it is to take a payment back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundAnswer {
    /// It has.
    Done,
    /// It did not answer, or not understandably: it is asked again.
    Silent,
}

/// A command to an account.
#[derive(Debug, Clone)]
pub enum Command {
    /// A wish.
    Do {
        /// It.
        request: Box<Request>,
        /// What the rows say, if they were asked for.
        recalled: Option<Recalled>,
    },
    /// A deadline has come.
    Due(Timer),
    /// The gateway was asked about an intent. What was paid comes as a request.
    TopUpAnswered(TopUpId, TopUpAnswer),
    /// The gateway was asked to take a payment back.
    RefundAnswered(PaymentId, RefundAnswer),
    /// The owner of an order has heard that its debt is paid.
    SettledHeard(OrderId),
}

impl From<Timer> for Command {
    fn from(timer: Timer) -> Self {
        Command::Due(timer)
    }
}

impl From<Request> for Command {
    fn from(request: Request) -> Self {
        Command::Do { request: Box::new(request), recalled: None }
    }
}

/// What the shell does once a step is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the gateway about an intent.
    Query(TopUpId),
    /// Ask the gateway to take a payment back. The payment's id makes it idempotent there.
    Refund {
        /// Which payment.
        payment: PaymentId,
        /// Its intent.
        intent: TopUpId,
        /// How much.
        amount: Money,
    },
    /// Tell the owner of an order that its debt is paid.
    TellSettled(OrderId),
    /// Log and count a case whose rows are written.
    Announce(Case),
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This came of it.
    Done(Outcome),
    /// Read the rows of these keys, and send the request again with them.
    Recall(Vec<MemoKey>),
}

/// The rules of accounts.
#[derive(Debug, Clone, Copy)]
pub struct AccountFamily;

impl Family for AccountFamily {
    const NAME: &'static str = "account";
    type Key = Key;
    type State = Account;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = Reply;
    type Rejection = Rejection;
    type Timer = Timer;
    type Ambient = Policy;

    fn root() -> Key {
        Key
    }

    fn birth(_: &Key) -> Account {
        Account::default()
    }

    fn decide(
        _: &Key,
        state: &Account,
        command: Command,
        context: &Context<'_, Policy>,
    ) -> Result<Decision<Self>, Rejection> {
        decide::decide(state, command, context)
    }

    fn apply(state: &mut Account, event: &Event) {
        state.fold(event);
    }

    fn timers(state: &Account) -> SmallVec<[Deadline<Timer>; 4]> {
        let top_ups = state.top_ups.values().map(|it| Deadline { timer: Timer::TopUp(it.id), due: it.due });
        let refunds =
            state.refunds.values().map(|it| Deadline { timer: Timer::Refund(it.payment.clone()), due: it.due });
        let settled =
            state.settled.iter().map(|(order, it)| Deadline { timer: Timer::Settled(order.clone()), due: it.due });
        top_ups.chain(refunds).chain(settled).collect()
    }

    fn standing(state: &Account) -> Standing {
        let nothing_due = state.top_ups.is_empty() && state.refunds.is_empty() && state.settled.is_empty();
        if nothing_due { Standing::Idle } else { Standing::Open }
    }

    fn project(partition: &str, _: &Key, state: &Account, events: &[Event]) -> Vec<Row> {
        rows::project(partition, state, events)
    }

    fn give_back(_: &Account, _: std::time::Duration) -> Option<Command> {
        // What a user is promised keeps its wall-clock time (RT-3); the gateway is asked before an intent expires anyway.
        None
    }
}
