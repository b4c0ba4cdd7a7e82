//! Keys, endpoints and secrets of a partner.

use super::*;
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
    let key = || PartnerOrder::AddKey { id: "ck_1".into(), secret: sealed("s") };
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
    let add = |id: &str| PartnerOrder::AddKey { id: id.into(), secret: sealed("s") };
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
