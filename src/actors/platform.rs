//! The platform partition's shell. It has no effects: its rows tell all. Keeps the tariffs that others read.

use super::engine::{Partition, Shell};
use super::tariffs::Tariffs;
use crate::domain::platform::{Effect, Platform, PlatformFamily, State};
use crate::ids::PartnerId;
use crate::persistence::StreamName;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// The impure half of [`PlatformFamily`].
#[derive(Debug, Default)]
pub struct PlatformShell {
    /// Follows the committed state.
    pub tariffs: Arc<Tariffs>,
}

impl Shell<PlatformFamily> for PlatformShell {
    fn perform(&self, _: &Rc<Partition<PlatformFamily>>, _: &Platform, effect: Effect) {
        match effect {}
    }

    fn refresh(&self, _: &Partition<PlatformFamily>) {}

    fn applied(&self, _: &Rc<Partition<PlatformFamily>>, _: &Platform, state: &State) {
        self.tariffs.put(&state.tariffs);
    }

    fn noticed(&self, _: &BTreeSet<PartnerId>) {}

    // Alerts are kept by this very partition: with it quarantined, the engine's log and metric are what is left.
    fn quarantined(&self, _: &StreamName, _: &Platform, _: &str) {}

    fn pinned(&self, _: &Partition<PlatformFamily>) -> bool {
        true
    }
}
