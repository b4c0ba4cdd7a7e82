//! A partner's book: the stretch that collects lines now, when its statement is made, and by what rules orders are shared. Owns
//! the chain of stretches; never a line.
//!
//! Invariants: each stretch begins where the one before it ended; one is made after the other, also after we were away for
//! days; a rule holds from the open stretch on at the earliest, so what is stated is shared the same way for ever.

use super::days::Open;
use super::family::{Command, Effect, Event, Key, Rejection, Reply, StatementFamily};
use super::file::Made;
use super::period;
use super::policy::Policy;
use super::shares::{RULES_MAX, Rule};
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Decision};
use crate::ids::StatementId;
use serde::{Deserialize, Serialize};

/// What has happened to a book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookFact {
    /// Its first stretch begins.
    Opened(Open),
    /// The open stretch ends earlier.
    Cut {
        /// Then.
        until: Timestamp,
        /// When its statement is made.
        due: Timestamp,
        /// Who wants it.
        by: Box<str>,
    },
    /// Its statement is being made; if that comes to nothing, it is tried again then.
    Tried {
        /// How often so far.
        tries: u32,
        /// When.
        due: Timestamp,
    },
    /// Its statement is made.
    Closed {
        /// Which.
        id: StatementId,
        /// What follows.
        next: Open,
    },
    /// Orders are shared so.
    RuleSet(Rule),
}

/// What a book can be asked.
#[derive(Debug, Clone)]
pub enum BookCommand {
    /// The partner is there: its lines are collected from now on. Again: nothing.
    Open,
    /// The open stretch ends now, whatever the day.
    Cut {
        /// Who wants it.
        by: Box<str>,
    },
    /// The statement is to be made.
    Due,
    /// It is made.
    Made {
        /// Which.
        id: StatementId,
        /// What it comes to.
        made: Box<Made>,
    },
    /// Orders are to be shared so.
    PutRule(Rule),
}

/// A partner's book.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    /// The stretch that collects lines now.
    pub open: Option<Open>,
    /// Tries to make its statement.
    pub tries: u32,
    /// By what orders are shared, in order of setting.
    pub rules: Vec<Rule>,
}

impl Book {
    /// Folds an event in.
    pub(super) fn fold(&mut self, fact: &BookFact) {
        match fact {
            BookFact::Opened(open) => self.open = Some(open.clone()),
            BookFact::Cut { until, due, .. } => {
                if let Some(open) = &mut self.open {
                    (open.until, open.due) = (*until, *due);
                }
            }
            BookFact::Tried { tries, due } => {
                self.tries = *tries;
                if let Some(open) = &mut self.open {
                    open.due = *due;
                }
            }
            BookFact::Closed { next, .. } => (self.open, self.tries) = (Some(next.clone()), 0),
            BookFact::RuleSet(rule) => {
                self.rules.retain(|known| !known.same_place(rule));
                self.rules.push(rule.clone());
            }
        }
    }
}

type Decided = Result<Decision<StatementFamily>, Rejection>;

fn done() -> Decision<StatementFamily> {
    Decision::reply(Reply::Done)
}

fn happened(fact: BookFact) -> Decision<StatementFamily> {
    done().event(Event::Book(fact))
}

/// Decides a command.
pub(super) fn decide(book: &Book, command: BookCommand, context: &Context<'_, Policy>) -> Decided {
    match (command, &book.open) {
        (BookCommand::Open, Some(_)) => Ok(done()),
        (BookCommand::Open, None) => {
            let days = context.ambient.days();
            Ok(happened(BookFact::Opened(days.open(days.midnight_before(context.now), None))))
        }
        (BookCommand::Cut { .. } | BookCommand::PutRule(_), None) => Err(Rejection::NotOpen),
        (BookCommand::Due | BookCommand::Made { .. }, None) => Ok(done()),
        (BookCommand::Cut { by }, Some(open)) => cut(open, by, context),
        (BookCommand::Due, Some(open)) => Ok(due(book, open, context)),
        (BookCommand::Made { id, made }, Some(open)) => Ok(closed(open, &id, made, context)),
        (BookCommand::PutRule(rule), Some(open)) => put_rule(book, open, rule),
    }
}

fn cut(open: &Open, by: Box<str>, context: &Context<'_, Policy>) -> Decided {
    let until = context.now;
    if open.until <= until {
        // It is over already, and its statement on the way.
        return Ok(Decision::reply(Reply::Cut(open.clone())));
    }
    if until <= open.from {
        return Err(Rejection::NothingToCut);
    }
    let due = until + context.ambient.settle;
    let cut = Open { until, due, ..open.clone() };
    Ok(Decision { reply: Reply::Cut(cut), ..happened(BookFact::Cut { until, due, by }) })
}

fn due(book: &Book, open: &Open, context: &Context<'_, Policy>) -> Decision<StatementFamily> {
    if context.now < open.due || context.now < open.until {
        return done();
    }
    let due = context.now + context.ambient.wait(book.tries);
    let tries = book.tries.saturating_add(1);
    happened(BookFact::Tried { tries, due }).effect(Effect::Make { open: open.clone(), rules: book.rules.clone() })
}

fn closed(open: &Open, id: &StatementId, made: Box<Made>, context: &Context<'_, Policy>) -> Decision<StatementFamily> {
    if open.id != *id {
        // Made twice: the first counts, and the bytes are the same.
        return done();
    }
    let next = context.ambient.days().open(open.until, Some(open));
    let born = period::PeriodCommand::Begin { open: open.clone(), made };
    happened(BookFact::Closed { id: id.clone(), next }).also(Key::Period(id.clone()), Command::Period(born))
}

fn put_rule(book: &Book, open: &Open, rule: Rule) -> Decided {
    rule.check().map_err(Rejection::Rule)?;
    if rule.from < open.from {
        return Err(Rejection::RuleTooEarly(open.from));
    }
    if book.rules.contains(&rule) {
        return Ok(done());
    }
    if book.rules.len() >= RULES_MAX && !book.rules.iter().any(|known| known.same_place(&rule)) {
        return Err(Rejection::TooMany { what: "revenue rules", most: RULES_MAX });
    }
    Ok(happened(BookFact::RuleSet(rule)))
}
