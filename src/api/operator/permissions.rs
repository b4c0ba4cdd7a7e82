//! Which role may make which call (OP-3, control 40). Owns the closed table; a route that is not in it opens to administrators
//! only, and a test sees that every route is in it and nothing else.

use crate::api::port::WaitingAct;
use crate::domain::operator::Role::{self, Finance, Operations, Support};
use crate::domain::operator::approval::Kind;
use http::Method;

/// Administrators alone, who may make every call.
const ADMINISTRATORS: &[Role] = &[];
const EVERYONE: &[Role] = &[Support, Operations, Finance];
const PEOPLE: &[Role] = &[Support, Operations];
const MACHINES: &[Role] = &[Operations];
const MONEY: &[Role] = &[Finance];
const CUSTOMERS: &[Role] = &[Support, Finance];

/// Method, route, roles besides the administrator's.
type Entry = (&'static str, &'static str, &'static [Role]);

/// The table, in the order of the routes.
pub(crate) const TABLE: &[Entry] = &[
    ("GET", "/sites", EVERYONE),
    ("PUT", "/sites/{site_id}", MACHINES),
    ("GET", "/sites/{site_id}/tariff", EVERYONE),
    ("GET", "/tariffs", EVERYONE),
    ("GET", "/tariffs/{id}", EVERYONE),
    ("PUT", "/tariffs/{id}", MONEY),
    ("POST", "/tariffs/{id}/check", EVERYONE),
    ("GET", "/tariffs/{id}/versions/{version}", EVERYONE),
    ("POST", "/tariffs/{id}/roll-out", MONEY),
    ("POST", "/tariffs/{id}/roll-back", MONEY),
    ("GET", "/tariffs/{id}/ocpi", EVERYONE),
    ("POST", "/tariffs/{id}/ocpi", MONEY),
    ("GET", "/chargers", EVERYONE),
    ("GET", "/chargers/{id}", EVERYONE),
    ("PUT", "/chargers/{id}", MACHINES),
    ("POST", "/import", MACHINES),
    ("POST", "/chargers/{id}/commands", MACHINES),
    ("GET", "/chargers/{id}/commands/{command_id}", PEOPLE),
    ("POST", "/chargers/{id}/lock", PEOPLE),
    ("POST", "/chargers/{id}/authorization-key", MACHINES),
    ("POST", "/chargers/{id}/maintenance", MACHINES),
    ("GET", "/chargers/{id}/messages", PEOPLE),
    ("PUT", "/tokens/{id_tag}", PEOPLE),
    ("GET", "/applications", EVERYONE),
    ("GET", "/applications/{id}", CUSTOMERS),
    ("POST", "/applications/{id}/approve", ADMINISTRATORS),
    ("POST", "/applications/{id}/return", &[Support]),
    ("POST", "/applications/{id}/refuse", &[Support]),
    ("POST", "/partners/{id}/suspend", MONEY),
    ("POST", "/partners/{id}/resume", MONEY),
    ("GET", "/partners", EVERYONE),
    ("GET", "/partners/{id}", EVERYONE),
    ("PUT", "/partners/{id}", ADMINISTRATORS),
    ("POST", "/partners/{id}/keys", ADMINISTRATORS),
    ("DELETE", "/partners/{id}/keys/{key_id}", PEOPLE),
    ("POST", "/partners/{id}/keys/{key_id}/rotate", ADMINISTRATORS),
    ("PUT", "/partners/{id}/keys/{key_id}/networks", ADMINISTRATORS),
    ("GET", "/partners/{id}/webhook", EVERYONE),
    ("POST", "/partners/{id}/webhook/secret", ADMINISTRATORS),
    ("POST", "/partners/{id}/webhook/enable", PEOPLE),
    ("POST", "/partners/{id}/webhook/disable", PEOPLE),
    ("POST", "/partners/{id}/webhook/verify", PEOPLE),
    ("POST", "/partners/{id}/webhook/vouch", ADMINISTRATORS),
    ("POST", "/partners/{id}/webhook/replay", PEOPLE),
    ("GET", "/partners/{id}/webhook/dead-letters", EVERYONE),
    ("GET", "/partners/{id}/webhook/deliveries", EVERYONE),
    ("GET", "/partners/{id}/webhooks", EVERYONE),
    ("GET", "/partners/{id}/webhooks/{name}", EVERYONE),
    ("PUT", "/partners/{id}/webhooks/{name}", ADMINISTRATORS),
    ("DELETE", "/partners/{id}/webhooks/{name}", ADMINISTRATORS),
    ("POST", "/partners/{id}/webhooks/{name}/secret", ADMINISTRATORS),
    ("POST", "/partners/{id}/webhooks/{name}/enable", PEOPLE),
    ("POST", "/partners/{id}/webhooks/{name}/disable", PEOPLE),
    ("POST", "/partners/{id}/webhooks/{name}/verify", PEOPLE),
    ("POST", "/partners/{id}/webhooks/{name}/vouch", ADMINISTRATORS),
    ("POST", "/partners/{id}/webhooks/{name}/replay", PEOPLE),
    ("GET", "/partners/{id}/webhooks/{name}/dead-letters", EVERYONE),
    ("GET", "/partners/{id}/webhooks/{name}/deliveries", EVERYONE),
    ("GET", "/partners/{id}/tcec", EVERYONE),
    ("PUT", "/partners/{id}/tcec", ADMINISTRATORS),
    ("POST", "/partners/{id}/tcec/secrets", ADMINISTRATORS),
    ("POST", "/partners/{id}/users/erase", &[Support]),
    ("GET", "/accounts", CUSTOMERS),
    ("GET", "/accounts/{account}", CUSTOMERS),
    ("GET", "/accounts/{account}/entries", CUSTOMERS),
    ("POST", "/accounts/{account}/block", CUSTOMERS),
    ("POST", "/accounts/{account}/unblock", CUSTOMERS),
    ("PUT", "/accounts/{account}/credit", MONEY),
    ("POST", "/accounts/{account}/coupons", MONEY),
    ("POST", "/accounts/{account}/adjustments", CUSTOMERS),
    ("POST", "/accounts/{account}/adjustments/{adjustment_id}/approve", MONEY),
    ("POST", "/accounts/{account}/adjustments/{adjustment_id}/withdraw", CUSTOMERS),
    ("GET", "/ledger/verify", MONEY),
    ("GET", "/sessions", EVERYONE),
    ("GET", "/sessions/{id}", EVERYONE),
    ("GET", "/sessions/{id}/signed", EVERYONE),
    ("POST", "/sessions/{id}/stop", PEOPLE),
    ("GET", "/sessions/{id}/messages", PEOPLE),
    ("GET", "/orders", EVERYONE),
    ("GET", "/orders/{id}", EVERYONE),
    ("POST", "/orders/{id}/settle", MONEY),
    ("POST", "/orders/{id}/close", MONEY),
    ("POST", "/orders/{id}/refund", CUSTOMERS),
    ("POST", "/orders/{id}/refund/approve", MONEY),
    ("POST", "/orders/{id}/refund/withdraw", CUSTOMERS),
    ("GET", "/order-reviews", CUSTOMERS),
    ("GET", "/reservations", EVERYONE),
    ("GET", "/reservations/{id}", EVERYONE),
    ("POST", "/reservations/{id}/cancel", PEOPLE),
    ("GET", "/partners/{id}/statements", MONEY),
    ("POST", "/partners/{id}/statements/cut", MONEY),
    ("GET", "/partners/{id}/statements/{statement_id}", MONEY),
    ("GET", "/partners/{id}/statements/{statement_id}/lines", MONEY),
    ("GET", "/partners/{id}/statements/{statement_id}/disputes", CUSTOMERS),
    ("GET", "/partners/{id}/statements/{statement_id}/csv", MONEY),
    ("GET", "/partners/{id}/statements/{statement_id}/json", MONEY),
    ("POST", "/partners/{id}/statements/{statement_id}/orders/{order_id}/resolve", MONEY),
    ("POST", "/partners/{id}/statements/{statement_id}/settle", MONEY),
    ("POST", "/partners/{id}/statements/{statement_id}/papers", MONEY),
    ("GET", "/revenue-rules/{id}", MONEY),
    ("PUT", "/revenue-rules/{id}", MONEY),
    ("GET", "/tickets", EVERYONE),
    ("GET", "/tickets/{id}", EVERYONE),
    ("POST", "/tickets/{id}/assign", EVERYONE),
    ("POST", "/tickets/{id}/note", EVERYONE),
    ("POST", "/tickets/{id}/close", EVERYONE),
    ("GET", "/approvals", EVERYONE),
    ("GET", "/approvals/{id}", EVERYONE),
    // Who may agree to what is asked of the act itself: see `of_act`.
    ("POST", "/approvals/{id}/approve", EVERYONE),
    ("POST", "/approvals/{id}/withdraw", EVERYONE),
    ("GET", "/operators", ADMINISTRATORS),
    ("GET", "/operators/{id}", ADMINISTRATORS),
    ("PUT", "/operators/{id}", ADMINISTRATORS),
    ("POST", "/operators/{id}/suspend", ADMINISTRATORS),
    ("POST", "/operators/{id}/resume", ADMINISTRATORS),
    ("POST", "/operators/{id}/tokens", ADMINISTRATORS),
    ("DELETE", "/operators/{id}/tokens/{token_id}", ADMINISTRATORS),
    ("GET", "/audit", ADMINISTRATORS),
    ("GET", "/audit/verify", ADMINISTRATORS),
    ("GET", "/alerts", EVERYONE),
    ("GET", "/quarantine", EVERYONE),
    ("POST", "/quarantine/release", MACHINES),
    ("GET", "/config", MACHINES),
    ("PUT", "/config", ADMINISTRATORS),
    ("POST", "/config/rollback", ADMINISTRATORS),
    ("POST", "/journal/backup", MACHINES),
    ("POST", "/journal/compact", ADMINISTRATORS),
    ("GET", "/journal/stats", MACHINES),
];

/// The roles besides the administrator's that may make a call; `route` as it is registered, without its base.
pub(super) fn of_route(method: &Method, route: &str) -> &'static [Role] {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let entry = TABLE.iter().find(|(verb, path, _)| (*verb, *path) == (method, route));
    entry.map_or(ADMINISTRATORS, |(_, _, roles)| roles)
}

/// The roles besides the administrator's that may agree to an act: those that may do it.
pub(super) const fn of_act(act: WaitingAct) -> &'static [Role] {
    match act {
        WaitingAct::Adjustment | WaitingAct::Refund => MONEY,
        WaitingAct::Other(Kind::EraseUser) => &[Support],
        WaitingAct::Other(Kind::RollBackConfig) => ADMINISTRATORS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_route_has_its_roles_and_every_entry_its_route() {
        let mut entries: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (method, path, _) in TABLE {
            *entries.entry((method, path)).or_default() += 1;
        }
        let routes = crate::api::operator::routes();
        for (method, path, _) in &routes {
            assert_eq!(entries.remove(&(*method, *path)), Some(1), "{method} {path} has an entry, and one only");
        }
        assert!(entries.is_empty(), "entries without a route: {entries:?}");
    }

    #[test]
    fn what_changes_who_may_act_is_for_administrators_alone() {
        for (method, path, roles) in TABLE {
            let guarded = ["/operators", "/audit", "/config"].iter().any(|base| path.starts_with(base));
            assert!(!guarded || roles.is_empty() || (*method, *path) == ("GET", "/config"), "{method} {path}");
            let looks = *method == "GET";
            assert!(
                looks
                    || roles.len() < 3
                    || path.starts_with("/tickets/")
                    || path.starts_with("/approvals/")
                    || path.ends_with("/check"),
                "{method} {path}: a write for everyone"
            );
        }
        assert_eq!(of_route(&Method::POST, "/nowhere"), ADMINISTRATORS);
        assert_eq!(of_route(&Method::HEAD, "/sites"), EVERYONE);
    }
}
