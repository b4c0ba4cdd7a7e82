//! Keys, endpoints and secrets of a partner.

use super::*;
use crate::domain::access::{Scope, network};
use crate::domain::delivery::testkit::{Partition, Stepped, entry, http, tried};
use crate::domain::delivery::{Answer, PartnerEffect, PartnerRejection, Policy, QueueCommand, Report, Verdict, rows};
use crate::domain::entity::Notice;

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

/// The default endpoint at this URL.
fn set(url: String, secret: Option<&str>) -> PartnerOrder {
    let name = EndpointName::default_endpoint();
    PartnerOrder::SetEndpoint { name, url, secret: secret.map(sealed), wants: None, from: 0, new: false }
}

/// Another endpoint at this URL.
fn called(name: &str, url: &str) -> PartnerOrder {
    let secret = Some(sealed("s"));
    PartnerOrder::SetEndpoint { name: name.parse().unwrap(), url: url.into(), secret, wants: None, from: 7, new: false }
}

fn remove(queue: QueueId, dead: Vec<u64>) -> PartnerOrder {
    let removed = Removed { name: "x".parse().unwrap(), at: Timestamp(5), dropped: 3, dead: 1 };
    PartnerOrder::RemoveEndpoint { queue, dead, removed }
}

fn with_endpoint() -> Partition {
    let mut partition = defined();
    let url = "https://acme.example/hook".to_owned();
    partition.order(set(url, Some("one")), 2).unwrap();
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
    let move_to = |secret| set("https://x.example".to_owned(), secret);
    assert_eq!(Partition::new().order(key(), 1).unwrap_err(), R::NotDefined);
    assert_eq!(Partition::new().order(move_to(None), 1).unwrap_err(), R::NotDefined);
    let mut partition = defined();
    assert_eq!(partition.order(revoke("ck_1"), 1).unwrap_err(), R::UnknownKey);
    partition.order(key(), 1).unwrap();
    assert_eq!(partition.order(key(), 1).unwrap_err(), R::KeyExists);
    assert_eq!(partition.order(move_to(None), 1).unwrap_err(), R::SecretMissing);
    for order in [
        remove(MAIN, vec![]),
        PartnerOrder::EnableEndpoint { queue: MAIN },
        PartnerOrder::DisableEndpoint { queue: MAIN, reason: "x".into() },
        PartnerOrder::RotateSecret { queue: MAIN, secret: sealed("s"), overlap: Duration::ZERO },
    ] {
        assert_eq!(partition.order(order, 1).unwrap_err(), R::UnknownEndpoint);
    }
    let before = partition.partner();
    for n in 0..5 {
        partition.order(called(&format!("e{n}"), "u"), 1).unwrap();
    }
    assert_eq!(partition.order(called("e5", "u"), 1).unwrap_err(), R::TooManyEndpoints);
    partition.order(called("e4", "v"), 1).unwrap();
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
    // Moving an endpoint that runs makes the driver look too.
    let stepped = partition.order(set("https://newer.example/".to_owned(), None), 14).unwrap();
    assert!(stepped.effects.contains(&PartnerEffect::QueueChanged(MAIN)));
    assert_eq!(live(&partition, 15), ["one"]);
}

fn told(stepped: &Stepped) -> Vec<(String, String)> {
    let told = |notice: &Notice| (notice.kind.clone(), notice.data["endpoint"].as_str().unwrap().to_owned());
    stepped.notices.iter().map(told).collect()
}

#[test]
fn each_endpoint_has_a_queue_of_its_own_that_is_never_used_again() {
    let mut partition = with_endpoint();
    partition.order(called("two", "https://two.example/"), 3).unwrap();
    partition.order(called("three", "https://three.example/"), 4).unwrap();
    let begun: Vec<_> = [0, 1, 2].map(|n| partition.queue_of(QueueId(n)).low_water).to_vec();
    assert_eq!(begun, [0, 7, 7], "a new one is sent what comes from now on");
    partition.order(remove(QueueId(2), vec![]), 5).unwrap();
    assert!(partition.queue_of(QueueId(2)).retired && !partition.queue_of(QueueId(2)).is_running());
    partition.order(called("three", "https://three.example/"), 6).unwrap();
    assert_eq!(partition.partner().removed.len(), 1);
    let again = |new| match called("three", "https://other.example/") {
        PartnerOrder::SetEndpoint { name, url, secret, wants, from, .. } => {
            PartnerOrder::SetEndpoint { name, url, secret, wants, from, new }
        }
        other => other,
    };
    assert_eq!(partition.order(again(true), 7).unwrap_err(), PartnerRejection::EndpointExists);
    let names: Vec<_> = partition.partner().endpoints.iter().map(|(q, e)| (q.0, e.name.to_string())).collect();
    assert_eq!(names, [(0, "default".into()), (1, "two".into()), (3, "three".into())]);
    // Set again it is the same endpoint, and nothing that it has is lost.
    partition.order(called("two", "https://other.example/"), 7).unwrap();
    assert_eq!(partition.partner().endpoints.len(), 3);
    assert_eq!(partition.queue_of(QueueId(1)).low_water, 7);
}

#[test]
fn a_url_that_is_new_has_to_prove_itself_and_no_other() {
    let mut partition = with_endpoint();
    let unverified = |partition: &Partition| partition.queue().unverified.is_some();
    assert!(unverified(&partition) && !partition.queue().is_running());
    partition.ask(QueueCommand::Vouch, Timestamp(3)).unwrap();
    assert!(!unverified(&partition) && partition.queue().is_running());
    for (url, expected) in [("https://acme.example/hook", false), ("https://acme.example/new", true)] {
        partition.order(set(url.to_owned(), None), 4).unwrap();
        assert_eq!(unverified(&partition), expected, "{url}");
    }
    partition.ask(QueueCommand::Vouch, Timestamp(5)).unwrap();
    let rotate = PartnerOrder::RotateSecret { queue: MAIN, secret: sealed("two"), overlap: Duration::ZERO };
    partition.order(rotate, 6).unwrap();
    assert!(!unverified(&partition));
}

#[test]
fn the_base_of_tcec_needs_no_challenge_until_it_is_a_webhook_again() {
    use crate::domain::delivery::{Dialect, SealedSet, Stations, Tcec};
    let set_of = || SealedSet { secrets: sealed("s"), created: Timestamp(1), expires: None };
    let tcec = Tcec {
        operator_id: "123456789".into(),
        own_id: "987654321".into(),
        inbound: vec![set_of()],
        outbound: set_of(),
        dialect: Dialect::default(),
        stations: Stations::default(),
    };
    let mut partition = with_endpoint();
    partition.order(PartnerOrder::SetTcec(Some(Box::new(tcec))), 3).unwrap();
    partition.order(set("https://tcec.example/".to_owned(), None), 4).unwrap();
    assert!(partition.queue().is_running());
    partition.order(called("two", "https://two.example/"), 5).unwrap();
    assert!(partition.queue_of(QueueId(1)).unverified.is_some(), "its other endpoints are webhooks");
    partition.order(PartnerOrder::SetTcec(None), 6).unwrap();
    assert!(partition.queue().unverified.is_some());
}

#[test]
fn the_partner_is_told_when_an_endpoint_stops_and_when_it_goes_on() {
    let mut partition = with_endpoint();
    let stop = PartnerOrder::DisableEndpoint { queue: MAIN, reason: "a flood".into() };
    let stepped = partition.order(stop, 10).unwrap();
    assert_eq!(told(&stepped), [("webhook.disabled".into(), "default".into())]);
    assert_eq!(stepped.notices[0].data["by"], "operator");
    let go_on = PartnerOrder::EnableEndpoint { queue: MAIN };
    assert_eq!(told(&partition.order(go_on.clone(), 11).unwrap()), [("webhook.enabled".into(), "default".into())]);
    assert_eq!(told(&partition.order(go_on, 12).unwrap()), []);
    // By the queue: 410.
    let attempts = vec![tried(&entry(1, "k"), Timestamp(13), http(410))];
    let report = Report { attempts, ..Report::default() };
    let stepped = partition.ask(QueueCommand::Report(report), Timestamp(13)).unwrap();
    assert_eq!(told(&stepped), [("webhook.disabled".into(), "default".into())]);
    assert_eq!(stepped.notices[0].data["by"], "gone");
    let moved = partition.order(set("https://new.example/".to_owned(), None), 14).unwrap();
    assert_eq!(told(&moved), [("webhook.enabled".into(), "default".into())]);
}

#[test]
fn an_endpoint_goes_with_its_dead_letters_its_log_and_its_ticket_and_a_late_report_changes_nothing() {
    let mut partition = with_endpoint();
    partition.ask(QueueCommand::Vouch, Timestamp(2)).unwrap();
    for position in 1..=3 {
        let attempts = vec![tried(&entry(position, "k"), Timestamp(3), Answer::Missing)];
        partition.report(Report { attempts, ..Report::default() }, Timestamp(3));
    }
    let left = |partition: &Partition| {
        let of = |wanted: &str| partition.rows.keys().filter(|(table, _)| *table == wanted).count();
        let ticket = &partition.rows[&(rows::TICKET, "webhook-dead/acme/0".to_owned())];
        let ticket: rows::Ticket = serde_json::from_slice(ticket).unwrap();
        (of(rows::DEAD), of(rows::LOG), ticket.state, ticket.count)
    };
    assert_eq!(left(&partition), (3, 3, "open".to_owned(), 3));
    partition.ask(QueueCommand::Discard(vec![1, 2]), Timestamp(4)).unwrap();
    assert_eq!((partition.queue().dead, left(&partition)), (1, (1, 3, "open".to_owned(), 1)));
    partition.order(remove(MAIN, vec![3]), 5).unwrap();
    assert_eq!(left(&partition), (0, 0, "closed".to_owned(), 0));
    let gone = partition.queue();
    let attempts = vec![tried(&entry(9, "k"), Timestamp(6), http(500))];
    let late = Report { attempts, low_water: 9, ..Report::default() };
    assert_eq!(partition.report(late, Timestamp(6)).verdicts, [(9, Verdict::Settled)]);
    assert_eq!(partition.queue(), gone);
    let resend = partition.ask(QueueCommand::Resend(vec![]), Timestamp(7)).unwrap_err();
    assert_eq!(resend, PartnerRejection::UnknownEndpoint);
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
fn a_subscription_changes_what_an_endpoint_takes_and_nothing_else() {
    let mut partition = defined();
    let only = |kind: &str| Wants::kinds([kind.to_owned()].into());
    let subscribe = |queue, wants| PartnerOrder::Subscribe { queue: QueueId(queue), wants };
    let none = partition.order(subscribe(0, only("session.ended")), 1).unwrap_err();
    assert_eq!(none, PartnerRejection::UnknownEndpoint);
    let mut partition = with_endpoint();
    partition.order(called("two", "https://two.example/"), 3).unwrap();
    let before = partition.partner();
    partition.order(subscribe(1, only("session.ended")), 4).unwrap();
    let after = partition.partner();
    assert_eq!(after.wants(&after.endpoints[&QueueId(1)]), only("session.ended"));
    assert_eq!((&after.profile, &after.endpoints[&MAIN]), (&before.profile, &before.endpoints[&MAIN]));
    // It stays when the endpoint moves.
    partition.order(called("two", "https://three.example/"), 5).unwrap();
    let moved = partition.partner();
    assert_eq!(moved.wants(&moved.endpoints[&QueueId(1)]), only("session.ended"));
}

#[test]
fn an_endpoint_of_old_takes_what_the_profile_says_until_it_says_so_itself() {
    let mut partner = Partner::default();
    let events = Subscriptions::Only(["order.paid".to_owned()].into());
    partner.apply(&PartnerFact::Defined(Profile { events: events.clone(), ..Profile::default() }));
    let old = r#"{"EndpointSet":{"queue":0,"endpoint":{"url":"https://a.example/","secrets":[],"disabled":null}}}"#;
    partner.apply(&serde_json::from_str(old).unwrap());
    assert_eq!(partner.wants(&partner.endpoints[&MAIN]), Wants { events, sites: Sites::All });
    assert_eq!(partner.next_queue, 1);
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
