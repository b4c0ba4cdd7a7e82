//! Applications in memory (EM-1). Owns the directory that HTTP asks without waiting; the truth is in the partners' partitions.

use crate::domain::onboarding::{Application, Stage};
use crate::ids::PartnerId;
use dashmap::DashMap;
use std::sync::Arc;

/// All applications.
#[derive(Debug, Default)]
pub struct Applications(DashMap<PartnerId, Arc<Application>>);

impl Applications {
    /// Takes an application's newest state.
    pub fn put(&self, id: &PartnerId, application: &Application) {
        if application.form.is_some() {
            self.0.insert(id.clone(), Arc::new(application.clone()));
        }
    }

    /// One application.
    pub fn get(&self, id: &PartnerId) -> Option<Arc<Application>> {
        self.0.get(id).map(|known| Arc::clone(&known))
    }

    /// All of them, by id.
    pub fn all(&self) -> Vec<(PartnerId, Arc<Application>)> {
        let mut all: Vec<_> = self.0.iter().map(|known| (known.key().clone(), Arc::clone(&known))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// How many wait for a person or their applicant.
    pub fn open(&self) -> usize {
        self.0.iter().filter(|known| matches!(known.stage, Stage::Waiting | Stage::Returned)).count()
    }
}
