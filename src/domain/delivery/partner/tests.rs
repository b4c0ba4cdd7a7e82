//! Keys, endpoints and secrets of a partner.

use super::*;
use crate::domain::access::{Scope, network};
use crate::domain::delivery::testkit::Partition;
use crate::domain::delivery::{PartnerEffect, PartnerRejection, Policy, QueueCommand, rows};

const MAIN: QueueId = QueueId::MAIN;
const HOUR: i64 = 3_600_000;

fn sealed(text: &str) -> Sealed {
    Sealed(text.to_owned())
}

fn defined() -> Partition {
    let mut partition = Partition::new();
    partition.order(PartnerOrder::Define(Profile { name: "Acme".into(), ..Profile::default() }), 1).unwrap();
    partition
}

fn with_endpoint() -> Partition {
    let mut partition = defined();
    let url = "https://acme.example/hook".to_owned();
    partition.order(PartnerOrder::SetEndpoint { queue: MAIN, url, secret: Some(sealed("one")) }, 2).unwrap();
    partition
}

fn live(partition: &Partition, now: i64) -> Vec<String> {
    partition.partner().endpoints[&MAIN].live_secrets(Timestamp(now)).map(|s| s.0.clone()).collect()
}

#[test]
fn each_order_is_refused_where_it_does_not_apply() {
    use PartnerRejection as R;
    let key = || PartnerOrder::AddKey { id: "ck_1".into(), secret: sealed("s"), grant: Grant::default() };
    let revoke = |id: &str| PartnerOrder::RevokeKey { id: id.into() };
    let move_to = |secret| PartnerOrder::SetEndpoint { queue: MAIN, url: "https://x.example".into(), secret };
    assert_eq!(Partition::new().order(key(), 1).unwrap_err(), R::NotDefined);
    assert_eq!(Partition::new().order(move_to(None), 1).unwrap_err(), R::NotDefined);
    let mut partition = defined();
    assert_eq!(partition.order(revoke("ck_1"), 1).unwrap_err(), R::UnknownKey);
    partition.order(key(), 1).unwrap();
    assert_eq!(partition.order(key(), 1).unwrap_err(), R::KeyExists);
    assert_eq!(partition.order(move_to(None), 1).unwrap_err(), R::SecretMissing);
    for order in [
        PartnerOrder::RemoveEndpoint { queue: MAIN },
        PartnerOrder::EnableEndpoint { queue: MAIN },
        PartnerOrder::DisableEndpoint { queue: MAIN, reason: "x".into() },
        PartnerOrder::RotateSecret { queue: MAIN, secret: sealed("s"), overlap: Duration::ZERO },
    ] {
        assert_eq!(partition.order(order, 1).unwrap_err(), R::UnknownEndpoint);
    }
    let before = partition.partner();
    for queue in 0..4 {
        let secret = Some(sealed("s"));
        partition.order(PartnerOrder::SetEndpoint { queue: QueueId(queue), url: "u".into(), secret }, 1).unwrap();
    }
    let fifth = PartnerOrder::SetEndpoint { queue: QueueId(4), url: "u".into(), secret: Some(sealed("s")) };
    assert_eq!(partition.order(fifth, 1).unwrap_err(), R::TooManyEndpoints);
    assert_eq!(before.keys, partition.partner().keys);
}

#[test]
fn what_is_agreed_in_tcec_is_kept_whole_and_taken_away_again() {
    use crate::domain::delivery::{Dialect, SealedSet, Stations, Tcec};
    let set = || SealedSet { secrets: sealed("s"), created: Timestamp(1), expires: None };
    let tcec = Box::new(Tcec {
        operator_id: "123456789".into(),
        own_id: "987654321".into(),
        inbound: vec![set()],
        outbound: set(),
        dialect: Dialect::default(),
        stations: Stations::default(),
    });
    assert_eq!(
        Partition::new().order(PartnerOrder::SetTcec(Some(tcec.clone())), 1).unwrap_err(),
        PartnerRejection::NotDefined
    );
    let mut partition = with_endpoint();
    let stepped = partition.order(PartnerOrder::SetTcec(Some(tcec.clone())), 3).unwrap();
    assert_eq!(stepped.effects, [PartnerEffect::DirectoryChanged, PartnerEffect::QueueChanged(MAIN)]);
    assert_eq!(partition.partner().tcec, Some(tcec));
    let kept = serde_json::to_value(partition.partner()).unwrap();
    assert_eq!(serde_json::from_value::<Partner>(kept).unwrap(), partition.partner());
    partition.order(PartnerOrder::SetTcec(None), 4).unwrap();
    assert_eq!(partition.partner().tcec, None);
}

#[test]
fn several_keys_live_at_once_and_a_revoked_one_makes_room() {
    let mut partition = defined();
    partition.policy = Policy { keys_max: 2, ..Policy::default() };
    let add = |id: &str| PartnerOrder::AddKey { id: id.into(), secret: sealed("s"), grant: Grant::default() };
    partition.order(add("ck_1"), 1).unwrap();
    partition.order(add("ck_2"), 2).unwrap();
    assert_eq!(partition.order(add("ck_3"), 3).unwrap_err(), PartnerRejection::TooManyKeys);
    let stepped = partition.order(PartnerOrder::RevokeKey { id: "ck_1".into() }, 4).unwrap();
    assert_eq!(stepped.effects, [PartnerEffect::DirectoryChanged]);
    partition.order(add("ck_3"), 5).unwrap();
    let revoked: Vec<_> = partition.partner().keys.values().map(|k| k.revoked.map(|t| t.0)).collect();
    assert_eq!(revoked, [Some(4), None, None]);
    assert!(partition.order(PartnerOrder::RevokeKey { id: "ck_1".into() }, 6).unwrap().events.is_empty());
}

#[test]
fn secrets_overlap_after_a_rotation_and_then_expire() {
    let mut partition = with_endpoint();
    let rotate = |text: &str, hours: u64| PartnerOrder::RotateSecret {
        queue: MAIN,
        secret: sealed(text),
        overlap: Duration::from_secs(hours * 3600),
    };
    partition.order(rotate("two", 24), HOUR).unwrap();
    assert_eq!(live(&partition, 2 * HOUR), ["two", "one"]);
    partition.order(rotate("three", 2), 3 * HOUR).unwrap();
    assert_eq!(live(&partition, 4 * HOUR), ["three", "two", "one"]);
    // The second rotation shortens the first one's overlap, and never lengthens one.
    assert_eq!(live(&partition, 5 * HOUR), ["three"]);
    partition.order(rotate("four", 24 * 365), 6 * HOUR).unwrap();
    assert_eq!(live(&partition, 6 * HOUR + 7 * 24 * HOUR - 1), ["four", "three"]);
    assert_eq!(live(&partition, 6 * HOUR + 7 * 24 * HOUR), ["four"]);
    for n in 0..20 {
        partition.order(rotate(&format!("more {n}"), 24), 7 * HOUR).unwrap();
    }
    assert_eq!(live(&partition, 7 * HOUR).len(), partition.policy.secrets_max);
}

#[test]
fn an_endpoint_takes_its_queue_along() {
    let mut partition = with_endpoint();
    let stop = PartnerOrder::DisableEndpoint { queue: MAIN, reason: "too slow".into() };
    let stepped = partition.order(stop, 10).unwrap();
    assert!(stepped.effects.contains(&PartnerEffect::QueueChanged(MAIN)), "{:?}", stepped.effects);
    assert_eq!(partition.queue().disabled.map(|d| d.reason), Some("too slow".into()));
    assert!(partition.partner().endpoints[&MAIN].disabled.is_some());
    partition.order(PartnerOrder::EnableEndpoint { queue: MAIN }, 11).unwrap();
    assert_eq!((partition.queue().disabled, partition.partner().endpoints[&MAIN].disabled.clone()), (None, None));
    partition.order(PartnerOrder::RemoveEndpoint { queue: MAIN }, 12).unwrap();
    assert!(!partition.queue().is_running());
    let url = "https://new.example/".to_owned();
    partition.order(PartnerOrder::SetEndpoint { queue: MAIN, url, secret: Some(sealed("n")) }, 13).unwrap();
    assert!(partition.queue().is_running());
    // Moving an endpoint that runs makes the driver look too.
    let url = "https://newer.example/".to_owned();
    let stepped = partition.order(PartnerOrder::SetEndpoint { queue: MAIN, url, secret: None }, 14).unwrap();
    assert!(stepped.effects.contains(&PartnerEffect::QueueChanged(MAIN)));
    assert_eq!(live(&partition, 15), ["n"]);
}

#[test]
fn the_row_is_the_whole_partner_and_shows_no_open_secret_in_debug() {
    let partition = with_endpoint();
    let row = &partition.rows[&(rows::PARTNER, "acme".to_owned())];
    assert_eq!(serde_json::from_slice::<Partner>(row).unwrap(), partition.partner());
    assert!(!format!("{:?}", partition.partner()).contains("\"one\""));
}

#[test]
fn a_command_for_the_other_kind_of_entity_is_refused() {
    use crate::domain::delivery::{PartnerCommand, PartnerKey};
    let mut partition = defined();
    let wrong = partition.step(PartnerKey::Partner, PartnerCommand::Queue(QueueCommand::Pause), Timestamp(1));
    assert_eq!(wrong.unwrap_err(), PartnerRejection::WrongEntity);
}

#[test]
fn a_subscription_always_includes_the_test_event() {
    let only = Subscriptions::Only(["session.ended".to_owned()].into());
    let kinds = ["session.ended", "session.progress", "webhook.test"];
    assert_eq!(kinds.map(|kind| only.wants(kind)), [true, false, true]);
    assert_eq!(kinds.map(|kind| Subscriptions::All.wants(kind)), [true; 3]);
}

fn with_key(grant: Grant) -> Partition {
    let mut partition = defined();
    partition.order(PartnerOrder::AddKey { id: "ck_1".into(), secret: sealed("one"), grant }, 2).unwrap();
    partition
}

fn rotation(id: &str, new_id: &str, overlap_s: u64) -> PartnerOrder {
    let overlap = Duration::from_secs(overlap_s);
    PartnerOrder::RotateKey { id: id.into(), new_id: new_id.into(), secret: sealed("two"), overlap }
}

fn live_keys(partition: &Partition, now: i64) -> Vec<String> {
    let partner = partition.partner();
    partner.keys.values().filter(|key| key.is_live(Timestamp(now))).map(|key| key.id.clone()).collect()
}

#[test]
fn a_key_rotates_with_overlap_or_without_and_its_successor_has_the_same_grant() {
    // EM-2.
    let grant = Grant { scopes: [Scope::Query].into(), networks: vec![network("192.0.2.0/24").unwrap()] };
    for (overlap_s, at, live) in [
        (3600, 10, &["ck_1", "ck_2"][..]),
        (3600, 10 + HOUR - 1, &["ck_1", "ck_2"]),
        (3600, 10 + HOUR, &["ck_2"]),
        (0, 10, &["ck_2"]),
        // As long as overlaps may be, and no longer.
        (u64::MAX / 2000, 10 + 7 * 24 * HOUR - 1, &["ck_1", "ck_2"]),
        (u64::MAX / 2000, 10 + 7 * 24 * HOUR, &["ck_2"]),
    ] {
        let mut partition = with_key(grant.clone());
        partition.order(rotation("ck_1", "ck_2", overlap_s), 10).unwrap();
        assert_eq!(live_keys(&partition, at), live, "{overlap_s} s, at {at}");
        assert_eq!(partition.partner().keys["ck_2"].grant, grant);
    }
}

#[test]
fn a_rotation_is_possible_with_all_places_taken_and_gives_no_more_time() {
    let mut partition = with_key(Grant::default());
    partition.policy = Policy { keys_max: 1, ..Policy::default() };
    partition.order(rotation("ck_1", "ck_2", 3600), 10).unwrap();
    assert_eq!(partition.order(rotation("ck_2", "ck_3", 60), 20).unwrap_err(), PartnerRejection::TooManyKeys);
    partition.order(rotation("ck_1", "ck_4", 7200), 20).unwrap_err();
    partition.order(PartnerOrder::RevokeKey { id: "ck_1".into() }, 30).unwrap();
    partition.order(rotation("ck_2", "ck_3", 60), 40).unwrap();
    assert_eq!(live_keys(&partition, 41), ["ck_2", "ck_3"]);
    for (id, new_id, why) in [
        ("ck_1", "ck_9", PartnerRejection::UnknownKey),
        ("ck_x", "ck_9", PartnerRejection::UnknownKey),
        ("ck_3", "ck_2", PartnerRejection::KeyExists),
    ] {
        assert_eq!(partition.order(rotation(id, new_id, 0), 50).unwrap_err(), why, "{id} {new_id}");
    }
}

#[test]
fn networks_and_use_of_a_key_are_kept_and_those_that_are_over_are_forgotten_in_time() {
    let mut partition = with_key(Grant::default());
    let networks = vec![network("2001:db8::/32").unwrap()];
    let order = PartnerOrder::SetKeyNetworks { id: "ck_1".into(), networks: networks.clone() };
    partition.order(order.clone(), 3).unwrap();
    partition.order(PartnerOrder::NoteKeyUse { id: "ck_1".into() }, 4).unwrap();
    partition.order(PartnerOrder::NoteKeyUse { id: "ck_gone".into() }, 4).unwrap();
    let key = partition.partner().keys["ck_1"].clone();
    assert_eq!((key.grant.networks, key.used), (networks, Some(Timestamp(4))));
    let mut last = "ck_1".to_owned();
    for n in 0..200 {
        let next = format!("ck_n{n:03}");
        partition.order(rotation(&last, &next, 0), 10 + n).unwrap();
        last = next;
    }
    assert_eq!((partition.partner().keys.len(), live_keys(&partition, 300)), (64, vec![last]));
    assert_eq!(partition.order(order, 301).unwrap_err(), PartnerRejection::UnknownKey);
}

#[test]
fn a_key_of_the_time_before_grants_may_do_everything() {
    let old = r#"{"id":"ck_1","secret":"s","created":1,"revoked":null}"#;
    let key: ApiKey = serde_json::from_str(old).unwrap();
    assert_eq!((key.grant.clone(), key.is_live(Timestamp(i64::MAX))), (Grant::default(), true));
}

#[test]
fn a_subscription_changes_what_is_sent_and_nothing_else() {
    let mut partition = Partition::new();
    let only = Subscriptions::Only(["session.ended".to_owned()].into());
    assert_eq!(partition.order(PartnerOrder::Subscribe(only.clone()), 1).unwrap_err(), PartnerRejection::NotDefined);
    let profile = Profile { name: "Acme".into(), accounts: true, sites: Sites::Only([].into()), ..Profile::default() };
    partition.order(PartnerOrder::Define(profile.clone()), 2).unwrap();
    for events in [only, Subscriptions::All] {
        partition.order(PartnerOrder::Subscribe(events.clone()), 3).unwrap();
        assert_eq!(partition.partner().profile, Some(Profile { events, ..profile.clone() }));
    }
}

#[test]
fn a_change_of_sites_keeps_what_could_be_seen_before_and_no_other_change_does() {
    let only = |sites: &[&str]| Sites::Only(sites.iter().map(|site| site.parse().unwrap()).collect());
    let mut partition = Partition::new();
    for (now, name, sites, number) in [
        (1, "A", Sites::All, 0),
        (2, "B", Sites::All, 0),
        (3, "B", only(&["x"]), 1),
        (4, "B", only(&["y"]), 2),
        (5, "C", only(&["y"]), 2),
    ] {
        let profile = Profile { name: name.into(), sites, ..Profile::default() };
        partition.order(PartnerOrder::Define(profile), now).unwrap();
        assert_eq!(partition.partner().grants.number, number, "{now}");
    }
    let grants = partition.partner().grants;
    assert_eq!((grants.before(0), grants.before(1)), (Some(&Sites::All), Some(&only(&["x"]))));
    assert_eq!(grants.past[0].until, Timestamp(3));
    let old: Partner = serde_json::from_str("{\"profile\":null,\"keys\":{},\"endpoints\":{}}").unwrap();
    assert_eq!(old, Partner::default());
}
