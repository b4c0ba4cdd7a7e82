//! How each key is usually used, in memory (EM-4). Owns the habits; what a sharp change is, is a rule of
//! [`crate::domain::access::watch`].
//!
//! Only proven keys have one, so the memory is bounded by the keys there are.

use crate::clock::Timestamp;
use crate::domain::access::watch::{Change, Habit, Rule};
use dashmap::DashMap;
use std::net::IpAddr;

/// The habits of all keys.
#[derive(Debug, Default)]
pub(super) struct Habits {
    keys: DashMap<String, Habit>,
}

impl Habits {
    /// Takes in an accepted call; what is sharply different about it.
    pub(super) fn observe(&self, key_id: &str, at: Timestamp, from: IpAddr, write: bool) -> Vec<Change> {
        if let Some(mut habit) = self.keys.get_mut(key_id) {
            return habit.observe(&Rule::default(), at, from, write);
        }
        self.keys.entry(key_id.to_owned()).or_default().observe(&Rule::default(), at, from, write)
    }
}
