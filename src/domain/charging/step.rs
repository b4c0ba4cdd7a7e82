//! A decision while it is made: the working copy of one entity, and what it has decided so far. Owns nothing durable;
//! lets a rule see the outcome of its own events.

use super::case::{Case, Raised};
use super::{ChargingFamily, Command, Effect, Event, Key, Reply, StepContext};
use crate::domain::entity::{Decision, Notice};
use std::borrow::Cow;

/// A state that is the fold of its events.
pub trait Fold: Clone {
    /// What happens to it.
    type Event: Into<Event>;

    /// Folds an event in. Total.
    fn fold(&mut self, event: &Self::Event);

    /// The event of a raised case.
    fn raised(raised: Raised) -> Self::Event;

    /// How many cases it has raised so far.
    fn raised_count(&self) -> u32;
}

/// A decision while it is made.
#[derive(Debug)]
pub struct Step<'a, S: Fold> {
    /// The state with all events so far folded in.
    pub state: Cow<'a, S>,
    /// What it is decided with.
    pub context: &'a StepContext<'a>,
    events: Vec<Event>,
    also: Vec<(Key, Command)>,
    notices: Vec<Notice>,
    effects: Vec<Effect>,
    /// The entity's short name in case ids.
    tag: String,
}

impl<'a, S: Fold> Step<'a, S> {
    /// Begins a decision of the entity that case ids call `tag`.
    pub fn new(state: &'a S, context: &'a StepContext<'a>, tag: String) -> Self {
        Step {
            state: Cow::Borrowed(state),
            context,
            events: Vec::new(),
            also: Vec::new(),
            notices: Vec::new(),
            effects: Vec::new(),
            tag,
        }
    }

    /// Something has happened.
    pub fn emit(&mut self, event: S::Event) {
        self.state.to_mut().fold(&event);
        self.events.push(event.into());
    }

    /// A sibling is commanded within the same record.
    pub fn also(&mut self, key: Key, command: impl Into<Command>) {
        self.also.push((key, command.into()));
    }

    /// A partner is told, and where it happened: an endpoint can be for some sites only.
    pub fn notice(&mut self, mut notice: Notice) {
        if let (Some(site), Some(members)) = (&self.context.ambient.site, notice.data.as_object_mut()) {
            members.insert("site_id".to_owned(), site.as_str().into());
        }
        self.notices.push(notice);
    }

    /// The shell does something.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Operators are told.
    pub fn raise(&mut self, case: Case) {
        let context = self.context;
        let count = self.state.raised_count();
        let id = format!("{}-{:020}-{}{count}", context.partition, context.sequence, self.tag).into();
        self.emit(S::raised(Raised { id, at: context.now, case: case.clone() }));
        self.effect(Effect::Alert(case));
    }

    /// Ends the decision.
    pub fn done(self, reply: Reply) -> Decision<ChargingFamily> {
        Decision { events: self.events, also: self.also, notices: self.notices, effects: self.effects, reply }
    }
}
