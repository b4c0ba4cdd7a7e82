//! The feed of the catalogue (EM-6): in which order what partners are shown of sites has changed. Owns its rows.
//!
//! One row a site, under the sequence of the step that listed it last: a reader who has read up to a sequence misses nothing,
//! since a site that changes moves to the end.

use crate::clock::Timestamp;
use crate::domain::entity::Row;
use crate::ids::SiteId;
use serde::{Deserialize, Serialize};

/// The table of the feed.
pub const FEED: &str = "catalogue-feed";

/// What partners are shown of a site is now this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Which site.
    pub site_id: SiteId,
    /// Digest of what is shown.
    pub digest: String,
    /// Where it was in the feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<u64>,
}

/// A place in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What was listed.
    #[serde(flatten)]
    pub listing: Listing,
    /// The sequence of the step: the place.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
}

impl Listed {
    /// The row at its place; the old place is given up in the same step.
    pub(super) fn rows(&self) -> Vec<Row> {
        // Zero-padded so that keys sort by place.
        let key = |sequence: u64| format!("{sequence:020}");
        let old = self.listing.was.filter(|was| *was != self.sequence);
        let gone = old.map(|was| Row { table: FEED, key: key(was), value: None });
        gone.into_iter().chain([super::row(FEED, key(self.sequence), self)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_one_place_in_the_feed() {
        let listing = |was| Listing { site_id: "A".parse().unwrap(), digest: "d".into(), was };
        let listed = |was, sequence| Listed { listing: listing(was), sequence, at: Timestamp(7) };
        let keys = |listed: &Listed| -> Vec<(String, bool)> {
            listed.rows().into_iter().map(|row| (row.key, row.value.is_some())).collect()
        };
        assert_eq!(keys(&listed(None, 3)), [(format!("{:020}", 3), true)]);
        assert_eq!(keys(&listed(Some(3), 12)), [(format!("{:020}", 3), false), (format!("{:020}", 12), true)]);
        let kept: Listed = serde_json::from_slice(listed(Some(3), 12).rows()[1].value.as_deref().unwrap()).unwrap();
        assert_eq!(kept, listed(Some(3), 12));
    }
}
