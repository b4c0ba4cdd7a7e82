//! Everything that the rules tell partners in the simulations is of the types of the catalogue, and the examples are of it.

use super::*;
use crate::domain::delivery::testkit::{Partition, entry, http, tried};
use crate::domain::delivery::{PartnerOrder, Profile, QueueCommand, QueueId, Report, Sealed};
use crate::domain::entity::Notice;
use crate::persistence::OutboxEntry;
use crate::protocol::webhook::{challenge, event_json};
use std::collections::{BTreeMap, BTreeSet};

const EXAMPLES: &str = "src/api/events/examples.json";

/// What a partner's partition tells about its endpoints.
fn of_endpoints() -> Vec<Notice> {
    use crate::clock::Timestamp;
    let mut partition = Partition::new();
    partition.order(PartnerOrder::Define(Profile::default()), 0).unwrap();
    let (name, url) = ("default".parse().unwrap(), "https://acme.example/".to_owned());
    let secret = Some(Sealed("s".into()));
    partition.order(PartnerOrder::SetEndpoint { name, url, secret, wants: None, from: 0, new: true }, 0).unwrap();
    let name: crate::ids::EndpointName = "default".parse().unwrap();
    let mut told = partition.ask(QueueCommand::Test(name.clone()), Timestamp(1)).unwrap().notices;
    let attempts = vec![tried(&entry(1, "k"), Timestamp(2), http(410))];
    let report = Report { attempts, ..Report::default() };
    told.extend(partition.ask(QueueCommand::Report(report), Timestamp(2)).unwrap().notices);
    let enable = PartnerOrder::EnableEndpoint { queue: QueueId::MAIN };
    told.extend(partition.order(enable, 3).unwrap().notices);
    told.push(challenge::event(&"acme".parse().unwrap(), &name, &challenge::text(&[7; 32]), Timestamp(4)).notice);
    told
}

fn of_statements() -> Vec<Notice> {
    let data = crate::domain::statement::tests::a_view();
    let kinds = KINDS.iter().filter(|kind| kind.name.starts_with("statement."));
    let told = |(n, kind): (usize, &Kind)| Notice {
        partner: "acme".parse().unwrap(),
        kind: kind.name.to_owned(),
        order_key: format!("statement/{}", data["statement_id"].as_str().unwrap()),
        sequence: Some(n as u64 + 1),
        at: crate::clock::Timestamp(1_700_000_000_000),
        data: data.clone(),
    };
    kinds.enumerate().map(told).collect()
}

/// What partners read: the event as it is sent, the user's name in its place.
fn sent(n: usize, mut notice: Notice) -> Value {
    let (user, _) = crate::actors::personal::strip(&mut notice.data, false);
    crate::actors::personal::name(&mut notice.data, user.map(|_| "user-1".to_owned()));
    event_json(&OutboxEntry { position: 1, id: format!("evt_{n:04}"), notice })
}

fn told() -> impl Iterator<Item = Value> {
    let rooms = [
        crate::domain::order::simulation::told(),
        crate::domain::charging::simulation::told(),
        crate::domain::reservation::tests::simulation::told(),
        crate::domain::account::simulation::told(),
        of_statements(),
        of_endpoints(),
    ];
    rooms.into_iter().flatten().enumerate().map(|(n, notice)| sent(n, notice))
}

#[test]
fn everything_that_is_ever_told_is_in_the_catalogue_and_the_examples_are_such_events() {
    let mut examples: BTreeMap<String, Value> = BTreeMap::new();
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for event in told() {
        let name = event["type"].as_str().unwrap().to_owned();
        match kind(&name) {
            None => drop(wrong.insert(format!("{name} is not in the catalogue"))),
            Some(kind) => wrong.extend(kind.check(&event["data"]).err()),
        }
        let has = event["data"].as_object().unwrap().keys().cloned();
        members.entry(name.clone()).or_default().extend(has);
        // The one that shows most, the first of those.
        let rich = |event: &Value| event["data"].as_object().map_or(0, serde_json::Map::len);
        match examples.get(&name) {
            Some(known) if rich(known) >= rich(&event) => {}
            _ => drop(examples.insert(name, event)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let missing: Vec<_> = KINDS.iter().filter(|kind| !examples.contains_key(kind.name)).collect();
    assert!(missing.is_empty(), "never told, so there is no example: {missing:?}");

    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES);
    if std::env::var_os("CHARGELINE_WRITE_DOCS").is_some() {
        std::fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&examples).unwrap())).unwrap();
    }
    let kept: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), examples.keys().collect::<Vec<_>>(), "{EXAMPLES}: `cargo xtask docs`");
    for (name, event) in kept {
        kind(&name).unwrap().check(&event["data"]).unwrap();
        let old: Vec<_> =
            event["data"].as_object().unwrap().keys().filter(|member| !members[&name].contains(*member)).collect();
        assert!(old.is_empty(), "{EXAMPLES}: {name} no longer has {old:?}: run `cargo xtask docs`");
    }
}

#[test]
fn a_member_that_is_missing_strange_or_of_another_kind_is_found() {
    let kind = kind("webhook.disabled").unwrap();
    let good = serde_json::json!({"endpoint": "west", "reason": "r", "by": "gone"});
    kind.check(&good).unwrap();
    for (change, expected) in [
        (serde_json::json!({"endpoint": "west", "by": "gone"}), "missing field"),
        (serde_json::json!({"endpoint": "west", "reason": 5, "by": "gone"}), "invalid type"),
        (serde_json::json!({"endpoint": "west", "reason": "r", "by": "gone", "more": 1}), "data.more is not in"),
    ] {
        let error = kind.check(&change).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_document_has_every_event_and_every_schema_that_it_mentions() {
    let mut document = utoipa::openapi::OpenApiBuilder::new().build();
    describe(&mut document);
    let text = document.to_json().unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["webhooks"].as_object().unwrap().len(), KINDS.len());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for mentioned in text.split("#/components/schemas/").skip(1) {
        let name = mentioned.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}
