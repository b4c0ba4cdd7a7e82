//! Tariffs in memory: what is in force at a site, for everyone who starts a session or shows a price. Owns the shared view;
//! never decides: it follows the platform partition's committed state.

use crate::clock::Timestamp;
use crate::domain::tariff::{Book, Tariff};
use crate::ids::SiteId;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The book of tariffs as it is committed. One in the process; reading takes no lock.
#[derive(Debug, Default)]
pub struct Tariffs(ArcSwap<Book>);

impl Tariffs {
    /// Takes the newest book.
    pub fn put(&self, book: &Arc<Book>) {
        if !Arc::ptr_eq(&self.0.load(), book) {
            self.0.store(Arc::clone(book));
        }
    }

    /// All of it.
    pub fn book(&self) -> Arc<Book> {
        self.0.load_full()
    }

    /// The tariff in force at a site then: to be shown to a user, journaled with the session and billed by (MO-2).
    pub fn tariff_at(&self, site: &SiteId, at: Timestamp) -> Option<Arc<Tariff>> {
        self.0.load().tariff_at(site, at)
    }
}
