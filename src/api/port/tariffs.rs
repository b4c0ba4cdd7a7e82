//! What operators' calls about tariffs hold (MO-2). A tariff itself is the domain's own type: one JSON everywhere.

use super::Moment;
use crate::ids::{SiteId, TariffId};
use serde::{Deserialize, Serialize};

/// A roll-out: which version, where, from when on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollOut {
    /// Which.
    pub version: u32,
    /// At these sites; absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<Vec<SiteId>>,
    /// From when on; absent: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
}

/// A tariff as operators see it in lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TariffView {
    /// Its name.
    pub tariff_id: TariffId,
    /// As shown to people.
    pub name: String,
    /// The newest version; it need not be in force anywhere.
    pub version: u32,
    /// Where versions were put in force, in order of time at each place.
    pub places: Vec<PlaceView>,
}

/// A version put in force at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaceView {
    /// Where; absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// Which version.
    pub version: u32,
    /// From when on.
    pub from: Moment,
}
