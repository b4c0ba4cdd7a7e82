//! The state diagrams of `docs/accounts.md` are those of the code: every request is tried in every state.

use super::*;
use crate::ids::TopUpId;
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../../../docs/accounts.md");

/// The lines of the diagram under a heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let section = DOCUMENT.split(&format!("## {heading}\n")).nth(1).unwrap();
    let diagram = section.split("stateDiagram-v2\n").nth(1).unwrap().split("```").next().unwrap();
    diagram.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_diagram_of_a_hold_is_that_of_the_code() {
    let requests = [
        ("Freeze", freeze("h", 100)),
        ("Extend", Action::Extend { hold: hold("h"), amount: yuan(1) }),
        ("Capture", capture("h", 50)),
        ("Release", Action::Release { hold: hold("h") }),
    ];
    let is = |world: &World| if world.account.holds.contains_key(&hold("h")) { "open" } else { "closed" };
    let mut found = BTreeSet::new();
    for (from, way) in [("[*]", vec![]), ("open", vec![0]), ("closed", vec![0, 3])] {
        for (name, request) in &requests {
            let mut world = World::with(1_000);
            for (n, step) in way.iter().enumerate() {
                world.ask(&format!("way{n}"), requests[*step].1.clone()).unwrap();
            }
            if world.ask("try", request.clone()).is_ok() {
                found.insert(format!("{from} --> {}: {name}", is(&world)));
            }
        }
    }
    assert_eq!(found, documented("A hold"));
}

fn state(world: &World, intent: TopUpId) -> String {
    let row = &world.rows[&(rows::TOP_UP, intent.to_string())];
    serde_json::from_slice::<rows::TopUpRow>(row).unwrap().top_up.state.name().to_owned()
}

fn tell(world: &mut World, payment: &str, intent: TopUpId, succeeded: bool) {
    let action = Action::Payment { payment: payment.parse().unwrap(), intent, amount: yuan(10), succeeded };
    world.ask(&format!("payment/{payment}"), action).unwrap();
}

/// Lets deadlines come until the state changes, the gateway saying that it was not paid.
fn wait(world: &mut World, intent: TopUpId) {
    let before = state(world, intent);
    while state(world, intent) == before
        && let Some(due) = AccountFamily::timers(&world.account).into_iter().min_by_key(|due| due.due)
    {
        world.now = world.now.max(due.due);
        world.step(Command::Due(due.timer)).unwrap();
        if state(world, intent) == before {
            world.step(Command::TopUpAnswered(intent, TopUpAnswer::Pending)).unwrap();
        }
        if world.now.0 > 1_800_000_000_000 {
            return;
        }
    }
}

#[test]
fn the_diagram_of_a_top_up_is_that_of_the_code() {
    let mut found = BTreeSet::from(["[*] --> pending: OpenTopUp".to_owned()]);
    let ways: [&[&str]; 5] = [&[], &["wait"], &["paid"], &["failed"], &["wait", "wait"]];
    for way in ways {
        for last in ["paid", "failed", "wait"] {
            let mut world = World::default();
            let Ok(Outcome::TopUpOpened { intent, .. }) = world.ask("open", Action::OpenTopUp { amount: yuan(10) })
            else {
                panic!("no intent")
            };
            let mut from = String::new();
            for (n, step) in way.iter().chain([&last]).enumerate() {
                from = state(&world, intent);
                match *step {
                    "paid" => tell(&mut world, &format!("T{n}"), intent, true),
                    "failed" => tell(&mut world, &format!("T{n}"), intent, false),
                    _ => wait(&mut world, intent),
                }
            }
            let to = state(&world, intent);
            let label = match (last, from.as_str()) {
                ("paid", _) => "Payment",
                ("failed", _) => "Payment failed",
                (_, "pending") => "time is up",
                (_, _) => "still not paid",
            };
            if from != to {
                found.insert(format!("{from} --> {to}: {label}"));
            }
        }
    }
    assert_eq!(found, documented("A top-up"));
    let states: BTreeSet<&str> =
        found.iter().filter_map(|line| line.split(" --> ").nth(1)?.split(':').next()).collect();
    assert_eq!(states, TopUpState::NAMES.into_iter().collect(), "every state is reached");
}
