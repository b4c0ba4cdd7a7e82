//! One statement's life (RC-3, RC-4): stated, then confirmed or disputed order by order, then settled. Owns its states, its
//! disputes and the papers that go to and fro; never a line: what is corrected becomes a line of the stretch that is open then.
//!
//! ```text
//! Stated ──► Confirmed ──► Settled
//!   │ ▲          │            ▲
//!   ▼ │          ▼            │ (not while anything is disputed)
//! Disputed ◄─────┘   Stated ──┘
//! ```

use super::days::Open;
use super::family::{Effect, Event, Rejection, Reply, StatementFamily};
use super::file::Made;
use super::line::{Figures, Line};
use super::policy::Policy;
use super::view;
use crate::clock::Timestamp;
use crate::domain::charging::case::{Case, Level, Raised};
use crate::domain::entity::{Context, Decision, Notice};
use crate::domain::money::Money;
use crate::ids::{OrderId, PartnerId, RequestId, StatementId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Papers of a side, at most.
pub const PAPERS_MAX: usize = 40;

/// Where a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is made; the partner looks at it.
    Stated,
    /// The partner agrees.
    Confirmed,
    /// The partner disagrees about orders.
    Disputed,
    /// It is settled; nothing of it changes any more.
    Settled,
}

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The partner's.
    Partner,
    /// Ours.
    Operator,
}

/// What a paper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaperKind {
    /// Somebody wants money.
    Invoice,
    /// Somebody says that money was sent.
    Payment,
    /// Somebody says that money has come.
    Receipt,
}

/// An invoice, or word of a payment. Named by its side, kind and reference; once written it stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paper {
    /// Whose.
    pub side: Side,
    /// What.
    pub kind: PaperKind,
    /// Its number, or the bank's.
    pub reference: Box<str>,
    /// How much.
    pub amount: Money,
    /// Title, tax number, bank: as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<str>>,
}

/// A dispute about an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The partner's name of the operation.
    pub request: RequestId,
    /// Why, in the partner's words.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
    /// Its ticket.
    pub ticket: Raised,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

/// How a dispute ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Who has decided.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
    /// What the partner is told.
    pub note: Box<str>,
    /// The correction, if there is one: a line of the stretch that was open then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Box<Line>>,
}

/// What has happened to a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PeriodFact {
    /// It is made.
    Stated {
        /// Of which stretch.
        open: Open,
        /// What it comes to.
        made: Box<Made>,
        /// When.
        at: Timestamp,
    },
    /// The partner agrees about one order.
    OrderConfirmed(OrderId),
    /// The partner agrees.
    Confirmed {
        /// When.
        at: Timestamp,
    },
    /// The partner disagrees about an order.
    Disputed {
        /// Which.
        order: OrderId,
        /// Why.
        dispute: Box<Dispute>,
    },
    /// A dispute has ended.
    Resolved {
        /// Of which order.
        order: OrderId,
        /// How.
        resolution: Box<Resolution>,
    },
    /// It is settled.
    Settled {
        /// When.
        at: Timestamp,
        /// Who has settled it.
        by: Box<str>,
        /// What is to be known.
        note: Box<str>,
        /// Until when it takes papers.
        archive_due: Timestamp,
    },
    /// There is a paper.
    Noted(Paper),
    /// It takes no more papers.
    Archived,
    /// The partner was told.
    Told {
        /// The notice's number.
        sequence: u64,
    },
    /// Operators were told.
    Raised(Raised),
}

/// What a statement can be asked.
#[derive(Debug, Clone)]
pub enum PeriodCommand {
    /// From the book: it is made.
    Begin {
        /// Of which stretch.
        open: Open,
        /// What it comes to.
        made: Box<Made>,
    },
    /// The partner agrees about one order, which is in it.
    ConfirmOrder(OrderId),
    /// The partner agrees.
    Confirm,
    /// The partner disagrees about an order, which is in it.
    Dispute {
        /// Which.
        order: OrderId,
        /// The operation's name: the same one again changes nothing.
        request: RequestId,
        /// Why.
        reason: Box<str>,
        /// What it says of the order, for the ticket.
        evidence: Box<str>,
    },
    /// An operator ends a dispute.
    Resolve {
        /// Of which order.
        order: OrderId,
        /// A line of the order in this statement.
        base: Box<Line>,
        /// The difference that becomes a new line; `None`: the statement was right.
        change: Option<Figures>,
        /// What the partner is told.
        note: Box<str>,
        /// Who.
        by: Box<str>,
    },
    /// An operator settles it.
    Settle {
        /// Who.
        by: Box<str>,
        /// What is to be known.
        note: Box<str>,
    },
    /// There is a paper.
    Note(Paper),
    /// It takes no more papers.
    Archive,
}

/// A statement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Period {
    /// `None`: it never was, or is only in its rows.
    pub status: Option<Status>,
    /// Its stretch.
    pub open: Option<Open>,
    /// What it comes to.
    pub made: Made,
    /// When it was made.
    pub made_at: Timestamp,
    /// When the partner agreed.
    pub confirmed_at: Option<Timestamp>,
    /// Orders about which the partner agrees, one by one.
    pub confirmed: BTreeSet<OrderId>,
    /// Orders about which it did not.
    pub disputes: BTreeMap<OrderId, Dispute>,
    /// When it was settled, by whom, and what is to be known.
    pub settled: Option<(Timestamp, Box<str>, Box<str>)>,
    /// Invoices and payments.
    pub papers: Vec<Paper>,
    /// Until when it takes them once it is settled.
    pub archive_due: Option<Timestamp>,
    /// It takes no more.
    pub archived: bool,
    /// Notices sent so far.
    pub sequence: u64,
}

impl Period {
    /// Whether something is disputed and not decided.
    pub fn is_disputed(&self) -> bool {
        self.disputes.values().any(|dispute| dispute.resolution.is_none())
    }

    pub(super) fn fold(&mut self, fact: &PeriodFact) {
        match fact {
            PeriodFact::Stated { open, made, at } => {
                self.status = Some(Status::Stated);
                (self.open, self.made, self.made_at) = (Some(open.clone()), (**made).clone(), *at);
            }
            PeriodFact::OrderConfirmed(order) => drop(self.confirmed.insert(*order)),
            PeriodFact::Confirmed { at } => {
                (self.status, self.confirmed_at) = (Some(Status::Confirmed), Some(*at));
                self.confirmed.clear();
            }
            PeriodFact::Disputed { order, dispute } => {
                (self.status, self.confirmed_at) = (Some(Status::Disputed), None);
                self.confirmed.remove(order);
                self.disputes.insert(*order, (**dispute).clone());
            }
            PeriodFact::Resolved { order, resolution } => {
                if let Some(dispute) = self.disputes.get_mut(order) {
                    dispute.resolution = Some((**resolution).clone());
                }
                if !self.is_disputed() {
                    self.status = Some(Status::Stated);
                }
            }
            PeriodFact::Settled { at, by, note, archive_due } => {
                self.status = Some(Status::Settled);
                self.settled = Some((*at, by.clone(), note.clone()));
                self.archive_due = Some(*archive_due);
                self.confirmed.clear();
            }
            PeriodFact::Noted(paper) => self.papers.push(paper.clone()),
            PeriodFact::Archived => (self.archived, self.archive_due) = (true, None),
            PeriodFact::Told { sequence } => self.sequence = *sequence,
            PeriodFact::Raised(_) => {}
        }
    }
}

/// A decision while it is made.
struct Draft<'a> {
    id: &'a StatementId,
    period: Period,
    context: &'a Context<'a, Policy>,
    decision: Decision<StatementFamily>,
}

impl Draft<'_> {
    fn happened(&mut self, fact: PeriodFact) {
        self.period.fold(&fact);
        self.decision.events.push(Event::Period(fact));
    }

    /// Tells the partner the whole statement.
    fn tell(&mut self, kind: &str) {
        let Ok(partner) = self.context.partition.parse::<PartnerId>() else { return };
        let sequence = self.period.sequence + 1;
        self.happened(PeriodFact::Told { sequence });
        let data = view::value(&partner, &self.period);
        let (kind, order_key) = (kind.to_owned(), format!("statement/{}", self.id));
        let notice = Notice { partner, kind, order_key, sequence: Some(sequence), at: self.context.now, data };
        self.decision.notices.push(notice);
    }
}

type Decided = Result<Decision<StatementFamily>, Rejection>;

/// Decides a command.
pub(super) fn decide(
    id: &StatementId,
    period: &Period,
    command: PeriodCommand,
    context: &Context<'_, Policy>,
) -> Decided {
    let known = period.status.is_some() && !period.archived;
    let mut draft = Draft { id, period: period.clone(), context, decision: Decision::reply(Reply::Done) };
    match command {
        PeriodCommand::Begin { open, made } => begin(&mut draft, open, made),
        _ if !known => return Err(Rejection::Unknown),
        PeriodCommand::ConfirmOrder(order) => confirm_order(&mut draft, order)?,
        PeriodCommand::Confirm => confirm(&mut draft)?,
        PeriodCommand::Dispute { order, request, reason, evidence } => {
            dispute(&mut draft, order, (request, reason), &evidence)?;
        }
        PeriodCommand::Resolve { order, base, change, note, by } => {
            resolve(&mut draft, order, (*base, change), note, by)?;
        }
        PeriodCommand::Settle { by, note } => settle(&mut draft, by, note)?,
        PeriodCommand::Note(paper) => note(&mut draft, paper)?,
        PeriodCommand::Archive => archive(&mut draft),
    }
    Ok(draft.decision)
}

fn begin(draft: &mut Draft<'_>, open: Open, made: Box<Made>) {
    if draft.period.status.is_some() {
        return;
    }
    let (at, empty) = (draft.context.now, made.lines == 0);
    draft.happened(PeriodFact::Stated { open, made, at });
    if empty {
        // Nothing to agree about, and nothing to pay.
        let (by, note) = ("system".into(), "no lines".into());
        draft.happened(PeriodFact::Settled { at, by, note, archive_due: at });
        draft.happened(PeriodFact::Archived);
    }
    draft.tell("statement.ready");
}

fn confirm_order(draft: &mut Draft<'_>, order: OrderId) -> Result<(), Rejection> {
    match draft.period.status {
        Some(Status::Settled) | None => return Err(Rejection::Settled),
        // It was agreed to in whole.
        Some(Status::Confirmed) => return Ok(()),
        Some(Status::Stated | Status::Disputed) => {}
    }
    if draft.period.disputes.get(&order).is_some_and(|dispute| dispute.resolution.is_none()) {
        return Err(Rejection::Disputed);
    }
    if draft.period.confirmed.contains(&order) {
        return Ok(());
    }
    bounded(draft, draft.period.confirmed.len(), "orders confirmed one by one")?;
    draft.happened(PeriodFact::OrderConfirmed(order));
    Ok(())
}

fn bounded(draft: &Draft<'_>, many: usize, what: &'static str) -> Result<(), Rejection> {
    let most = draft.context.ambient.orders_max;
    if many >= most { Err(Rejection::TooMany { what, most }) } else { Ok(()) }
}

fn confirm(draft: &mut Draft<'_>) -> Result<(), Rejection> {
    match draft.period.status {
        Some(Status::Stated) => {
            let at = draft.context.now;
            draft.happened(PeriodFact::Confirmed { at });
            draft.tell("statement.confirmed");
            Ok(())
        }
        Some(Status::Confirmed) => Ok(()),
        Some(Status::Settled) if draft.period.confirmed_at.is_some() => Ok(()),
        Some(Status::Settled) | None => Err(Rejection::Settled),
        Some(Status::Disputed) => Err(Rejection::Disputed),
    }
}

fn dispute(
    draft: &mut Draft<'_>,
    order: OrderId,
    (request, reason): (RequestId, Box<str>),
    evidence: &str,
) -> Result<(), Rejection> {
    if let Some(known) = draft.period.disputes.get(&order) {
        return if known.request == request { Ok(()) } else { Err(Rejection::DisputeExists) };
    }
    if draft.period.status == Some(Status::Settled) {
        return Err(Rejection::Settled);
    }
    bounded(draft, draft.period.disputes.len(), "disputes")?;
    let (at, partner) = (draft.context.now, draft.context.partition);
    let text = format!("{partner} disputes order {order} of its statement {}: {reason}", draft.id);
    let case =
        Case::alert(Level::Warning, "statement_disputed", format!("statement/{partner}/{}/{order}", draft.id), text);
    let case = case.ticket("resolve it, with a correction or without").with(evidence);
    let id = format!("statement-{partner}-{}-{}", draft.context.sequence, draft.id).into();
    let ticket = Raised { id, at, case: case.clone() };
    draft.happened(PeriodFact::Raised(ticket.clone()));
    let dispute = Dispute { request, reason, at, ticket, resolution: None };
    draft.happened(PeriodFact::Disputed { order, dispute: Box::new(dispute) });
    draft.decision.effects.push(Effect::Announce(case));
    draft.tell("statement.disputed");
    Ok(())
}

fn resolve(
    draft: &mut Draft<'_>,
    order: OrderId,
    (base, change): (Line, Option<Figures>),
    note: Box<str>,
    by: Box<str>,
) -> Result<(), Rejection> {
    let open = draft.period.disputes.get(&order).is_some_and(|dispute| dispute.resolution.is_none());
    if !open || base.order != order {
        return Err(Rejection::NoDispute);
    }
    let at = draft.context.now;
    let resolved = draft.period.disputes.values().filter(|dispute| dispute.resolution.is_some()).count();
    let line = change.filter(|change| !change.is_zero()).map(|figures| {
        let number = format!("d-{}-{}", draft.id, resolved + 1).into();
        Box::new(Line { number, corrects: true, at, figures, note: Some(note.clone()), ..base })
    });
    let resolution = Box::new(Resolution { by, at, note, line });
    draft.happened(PeriodFact::Resolved { order, resolution });
    draft.tell("statement.dispute_resolved");
    Ok(())
}

fn settle(draft: &mut Draft<'_>, by: Box<str>, note: Box<str>) -> Result<(), Rejection> {
    match draft.period.status {
        Some(Status::Stated | Status::Confirmed) => {
            let at = draft.context.now;
            let archive_due = at + draft.context.ambient.keep;
            draft.happened(PeriodFact::Settled { at, by, note, archive_due });
            draft.tell("statement.settled");
            Ok(())
        }
        Some(Status::Settled) => Ok(()),
        Some(Status::Disputed) => Err(Rejection::Disputed),
        None => Err(Rejection::Unknown),
    }
}

fn note(draft: &mut Draft<'_>, paper: Paper) -> Result<(), Rejection> {
    let same =
        |known: &&Paper| known.side == paper.side && known.kind == paper.kind && known.reference == paper.reference;
    if let Some(known) = draft.period.papers.iter().find(same) {
        return if *known == paper { Ok(()) } else { Err(Rejection::PaperDiffers) };
    }
    let many = draft.period.papers.iter().filter(|known| known.side == paper.side).count();
    if many >= PAPERS_MAX {
        return Err(Rejection::TooMany { what: "papers", most: PAPERS_MAX });
    }
    draft.happened(PeriodFact::Noted(paper));
    draft.tell("statement.paper");
    Ok(())
}

fn archive(draft: &mut Draft<'_>) {
    if draft.period.archive_due.is_some_and(|due| due <= draft.context.now) {
        draft.happened(PeriodFact::Archived);
    }
}
