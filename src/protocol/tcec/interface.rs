//! The interfaces by name (T/CEC 102.2, 102.3, 102.4 annex A).

use crate::domain::delivery::Dialect;

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the standard; `wire` has the exact spelling")]
pub enum Interface {
    QueryToken,
    QueryStationsInfo,
    QueryStationStatus,
    QueryStationStats,
    NotificationStationStatus,
    QueryEquipAuth,
    QueryEquipBusinessPolicy,
    QueryStartCharge,
    NotificationStartChargeResult,
    QueryEquipChargeStatus,
    NotificationEquipChargeStatus,
    QueryStopCharge,
    NotificationStopChargeResult,
    NotificationChargeOrderInfo,
    CheckChargeOrders,
}

impl Interface {
    /// All of them.
    pub const ALL: [Interface; 15] = [
        Interface::QueryToken,
        Interface::QueryStationsInfo,
        Interface::QueryStationStatus,
        Interface::QueryStationStats,
        Interface::NotificationStationStatus,
        Interface::QueryEquipAuth,
        Interface::QueryEquipBusinessPolicy,
        Interface::QueryStartCharge,
        Interface::NotificationStartChargeResult,
        Interface::QueryEquipChargeStatus,
        Interface::NotificationEquipChargeStatus,
        Interface::QueryStopCharge,
        Interface::NotificationStopChargeResult,
        Interface::NotificationChargeOrderInfo,
        Interface::CheckChargeOrders,
    ];

    /// The name as the standard spells it.
    pub const fn wire(self) -> &'static str {
        match self {
            Interface::QueryToken => "query_token",
            Interface::QueryStationsInfo => "query_stations_info",
            Interface::QueryStationStatus => "query_station_status",
            Interface::QueryStationStats => "query_station_stats",
            Interface::NotificationStationStatus => "notification_stationStatus",
            Interface::QueryEquipAuth => "query_equip_auth",
            Interface::QueryEquipBusinessPolicy => "query_equip_business_policy",
            Interface::QueryStartCharge => "query_start_charge",
            Interface::NotificationStartChargeResult => "notification_start_charge_result",
            Interface::QueryEquipChargeStatus => "query_equip_charge_status",
            Interface::NotificationEquipChargeStatus => "notification_equip_charge_status",
            Interface::QueryStopCharge => "query_stop_charge",
            Interface::NotificationStopChargeResult => "notification_stop_charge_result",
            Interface::NotificationChargeOrderInfo => "notification_charge_order_info",
            Interface::CheckChargeOrders => "check_charge_orders",
        }
    }

    /// The interface that a path segment names, in any case of letters: partners' spellings differ.
    pub fn named(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.wire().eq_ignore_ascii_case(segment))
    }

    /// The URL of the interface at a partner: its base, and the path that the dialect names.
    pub fn url(self, base: &str, dialect: &Dialect) -> String {
        let path = dialect.paths.get(self.wire()).map_or(self.wire(), String::as_str);
        format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_in_any_case() {
        for interface in Interface::ALL {
            assert_eq!(Interface::named(interface.wire()), Some(interface));
            assert_eq!(Interface::named(&interface.wire().to_uppercase()), Some(interface));
        }
        assert_eq!(Interface::named("query_everything"), None);
    }

    #[test]
    fn a_dialects_paths_count_before_the_names() {
        let paths = [("check_charge_orders".to_owned(), "/sdk/check_charge_order".to_owned())].into();
        let dialect = Dialect { paths, ..Dialect::default() };
        let base = "https://p.example/evcs/v20160701/";
        assert_eq!(
            Interface::CheckChargeOrders.url(base, &dialect),
            "https://p.example/evcs/v20160701/sdk/check_charge_order"
        );
        assert_eq!(Interface::QueryToken.url(base, &dialect), "https://p.example/evcs/v20160701/query_token");
    }
}
