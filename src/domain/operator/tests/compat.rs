//! A recorded day of operators, for `tests/journal_compat`: written once for each form of records, then committed and never
//! changed. `cargo test --lib record_the_present_operators -- --ignored` writes it anew where there is none.

use super::*;
use std::path::Path;

/// Something of everything that can happen.
fn day() -> World {
    let (mut world, ada) = (World::default(), operator("ada"));
    let id = |n: u128| ApprovalId(uuid::Uuid::from_u128(n));
    world.ask(&ada, define(&[Role::Support, Role::Finance], "root")).unwrap();
    world.ask(&ada, token("0123456789ab", 0, 1_000_000)).unwrap();
    world.ask(&ada, OperatorOrder::NoteUse { id: "0123456789ab".into() }).unwrap();
    world.ask(&Key::Trail, line("PUT /ops/v1/sites/{site_id}")).unwrap();
    world.pass(10);
    world.ask(&Key::Trail, line("POST /ops/v1/tickets/{id}/close")).unwrap();
    let first = lines(&world)[..1].to_vec();
    world.ask(&Key::Trail, TrailOrder::Prune(first)).unwrap();
    let ticket = "0123456789abcdef-quarantined";
    let key = Key::Ticket(ticket.parse().unwrap());
    let assign = ticket::Act::Assigned { to: Some("ada".into()) };
    for (act, newest) in [(assign, "o1"), (close("o1"), "o1"), (ticket::Act::Noted { text: "again".into() }, "o2")] {
        let command = order(&world, ticket, act, newest);
        world.ask(&key, command).unwrap();
    }
    let erase = Act::EraseUser { partner: "acme".parse().unwrap(), user: "00112233445566778899aabbccddeeff".into() };
    let agree = ApprovalOrder::Agree { by: "bob".into() };
    let finish = ApprovalOrder::Finish { outcome: "done".into() };
    let withdraw = ApprovalOrder::Withdraw { by: "ada".into() };
    let ways = [(erase, vec![agree, finish]), (Act::RollBackConfig { version: 3 }, vec![withdraw])];
    for (n, (act, steps)) in ways.into_iter().enumerate() {
        let key = Key::Approval(id(n as u128 + 1));
        let propose = ApprovalOrder::Propose { act, by: "root/ada".into(), valid: Duration::from_secs(60) };
        world.ask(&key, propose).unwrap();
        steps.into_iter().for_each(|step| drop(world.ask(&key, step).unwrap()));
    }
    let propose = ApprovalOrder::Propose {
        act: Act::RollBackConfig { version: 4 },
        by: "ada".into(),
        valid: Duration::from_secs(60),
    };
    world.ask(&Key::Approval(id(9)), propose).unwrap();
    world.ask(&Key::Approval(id(9)), ApprovalOrder::Expire).unwrap();
    for reason in [Some("left"), None] {
        let suspend = OperatorOrder::Suspend { reason: reason.map(Into::into), by: "root".into() };
        world.ask(&ada, suspend).unwrap();
    }
    world.ask(&ada, OperatorOrder::RevokeToken { id: "0123456789ab".into() }).unwrap();
    world
}

fn written(value: &impl serde::Serialize) -> String {
    format!("{}\n", serde_json::json!({"v": 1, "b": serde_json::to_value(value).unwrap()}))
}

fn steps(world: &World) -> String {
    world.steps.iter().map(|step| written(&[step])).collect()
}

#[test]
#[ignore = "records the records of the present form"]
fn record_the_present_operators() {
    let world = day();
    let mut states: BTreeMap<Key, State> = BTreeMap::new();
    for (key, events) in &world.steps {
        let state = states.entry(key.clone()).or_insert_with(|| OperatorFamily::birth(key));
        events.iter().for_each(|event| OperatorFamily::apply(state, event));
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat/v1");
    let states = written(&states.into_iter().collect::<Vec<_>>());
    for (name, text) in [("operator.jsonl", steps(&world)), ("operator.states.json", states)] {
        let file = place.join(name);
        assert!(!file.exists(), "recorded records are never changed: {}", file.display());
        std::fs::write(file, text).unwrap();
    }
}

#[test]
fn the_recorded_day_has_something_of_everything() {
    let text = steps(&day());
    for word in [
        "Defined",
        "Suspended",
        "Resumed",
        "TokenAdded",
        "TokenRevoked",
        "TokenUsed",
        "Noted",
        "Pruned",
        "Recalled",
        "Stepped",
        "assigned",
        "noted",
        "closed",
        "Proposed",
        "Agreed",
        "Withdrawn",
        "Finished",
        "Expired",
        "erase_user",
        "roll_back_config",
    ] {
        assert!(text.contains(word), "{word} is not in the record");
    }
}
