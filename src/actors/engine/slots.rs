//! The entities of a partition that are in memory, by key. Owns their order and their place; never a rule of theirs.
//!
//! Nearly always it is one, the charger or the partner itself, and it is held for every idle charger: it lies here in
//! place, where a tree would keep room for eleven.

use super::entity::{EntityActor, Rearm};
use crate::domain::entity::{Deadline, Family};
use actix::Addr;
use smallvec::SmallVec;
use std::rc::Rc;

/// The deadlines of an entity. Most of the idle have none.
pub(super) type Deadlines<F> = Box<[Deadline<<F as Family>::Timer>]>;

/// One entity in memory.
pub(super) struct Slot<F: Family> {
    pub(super) state: F::State,
    pub(super) deadlines: Deadlines<F>,
    pub(super) actor: Option<Addr<EntityActor<F>>>,
    pub(super) rearm: Rc<Rearm>,
}

impl<F: Family> Slot<F> {
    /// An entity whose actor has not been started yet.
    pub(super) fn new(state: F::State, deadlines: Deadlines<F>) -> Self {
        Slot { state, deadlines, actor: None, rearm: Rc::default() }
    }
}

/// The entities, sorted by key.
pub(super) struct Slots<F: Family>(SmallVec<[(F::Key, Slot<F>); 1]>);

impl<F: Family> Default for Slots<F> {
    fn default() -> Self {
        Slots(SmallVec::new())
    }
}

impl<F: Family> Slots<F> {
    fn find(&self, key: &F::Key) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    pub(super) fn get(&self, key: &F::Key) -> Option<&Slot<F>> {
        self.find(key).ok().map(|place| &self.0[place].1)
    }

    pub(super) fn get_mut(&mut self, key: &F::Key) -> Option<&mut Slot<F>> {
        self.find(key).ok().map(|place| &mut self.0[place].1)
    }

    pub(super) fn insert(&mut self, key: F::Key, slot: Slot<F>) {
        match self.find(&key) {
            Ok(place) => self.0[place].1 = slot,
            Err(place) => self.0.insert(place, (key, slot)),
        }
    }

    /// Takes an entity out and gives back the room of those that have gone.
    pub(super) fn remove(&mut self, key: &F::Key) -> Option<Slot<F>> {
        let place = self.find(key).ok()?;
        let (_, slot) = self.0.remove(place);
        self.0.shrink_to_fit();
        Some(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&F::Key, &Slot<F>)> {
        self.0.iter().map(|(key, slot)| (key, slot))
    }
}
