//! The states of SE-15, the code's table of them, and the diagram in the documents.

use super::super::{Reservation, Status};
use crate::domain::charger::{Call, Charger};
use crate::domain::charging::step::Fold;
use crate::domain::money::{Currency, Money};
use crate::domain::reservation::{Event, Over, state::EndCause};
use crate::domain::session::{self, Session};
use std::collections::BTreeSet;

#[test]
fn the_documents_draw_exactly_the_changes_that_the_code_has() {
    let text = include_str!("../../../../docs/reservations.md");
    let diagram = text.split("```mermaid").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut drawn = BTreeSet::new();
    for line in diagram.lines().filter_map(|line| line.split_once("-->")) {
        let (from, to) = (line.0.trim(), line.1.split(':').next().unwrap().trim());
        if from != "[*]" && to != "[*]" {
            drawn.insert((from.to_owned(), to.to_owned()));
        }
    }
    let name = |status: Status| format!("{status:?}");
    let known: BTreeSet<_> = Status::TRANSITIONS.iter().map(|(from, to)| (name(*from), name(*to))).collect();
    assert_eq!(drawn, known);
}

#[test]
fn what_is_over_leads_nowhere_and_what_is_open_leads_on() {
    for status in Status::ALL {
        let leads_on = Status::ALL.into_iter().any(|next| status.may_become(next));
        assert_eq!(leads_on, status.is_open(), "{status:?}");
    }
}

#[test]
fn every_cause_has_a_word_and_a_text_in_the_documents() {
    let text = include_str!("../../../../docs/reservations.md");
    for cause in EndCause::ALL {
        let word = serde_json::to_value(cause).unwrap();
        assert!(text.contains(&format!("`{}`", word.as_str().unwrap())), "{cause:?} is not in docs/reservations.md");
        let (zh, en) = cause.texts();
        assert!(!zh.is_ascii() && en.is_ascii() && en.ends_with('.'), "{cause:?}");
    }
}

#[test]
fn a_fold_is_total_even_of_what_is_never_written() {
    let mut reservation = Reservation::default();
    let (at, fee) = (crate::clock::Timestamp(1), Money::zero(Currency::CNY));
    let over = Over { status: Status::NoShow, cause: EndCause::NoShow, at, fee, session: None, arrival: None };
    reservation.fold(&Event::Over(over));
    assert_eq!((reservation.status, reservation.returned()), (Some(Status::NoShow), None));
}

#[test]
fn what_was_written_before_reservations_is_still_read() {
    let call = r#"{"ReserveNow":{"connector":1,"expires":1767312000000,"reservation":7,"holder":"x"}}"#;
    let call: Call = serde_json::from_str(call).unwrap();
    assert!(matches!(call, Call::ReserveNow { tag: None, reservation: 7, .. }));
    let placed = r#"{"Placed":{"partner":"acme","request":"r1","user":"u1","connector":1,"at":1,"start_due":2}}"#;
    let session::Event::Placed(placed) = serde_json::from_str(placed).unwrap() else { panic!() };
    assert_eq!(placed.reservation, None);
    assert!(serde_json::from_str::<Charger>("{}").unwrap().holds.is_empty());
    assert_eq!(serde_json::from_str::<Session>("{}").unwrap().reservation, None);
}

/// Recorded with the first build that knew reservations: read for ever (RT-6).
const RECORDED: [&str; 14] = [
    r#"{"r":{"Placed":{"partner":"acme","request":"b1","user":"u1","sealed":"s","connector":1,"at":1000,"from":1000,"until":1801000,"terms":{"deposit":{"minor":0,"currency":"CNY"},"free_until":301000,"late_cancel_fee":{"minor":500,"currency":"CNY"},"no_show_fee":{"minor":1000,"currency":"CNY"}}}}}"#,
    r#"{"r":{"Confirmed":{"at":1000}}}"#,
    r#"{"r":{"Over":{"status":"NoShow","cause":"no_show","at":1801000,"fee":{"minor":1000,"currency":"CNY"}}}}"#,
    r#"{"r":{"Over":{"status":"Fulfilled","cause":"arrived","at":9,"fee":{"minor":0,"currency":"CNY"},"session":"01a1fc5a-1802-7121-9e00-000000000001","arrival":"card"}}}"#,
    r#"{"r":{"Arriving":{"session":null}}}"#,
    r#"{"r":{"AccountAsked":{"deposit":"Settling","again":5}}}"#,
    r#"{"r":{"AccountAnswered":{"deposit":"None"}}}"#,
    r#"{"r":{"WasDown":{"by_ms":5}}}"#,
    r#"{"r":{"Told":{"sequence":2}}}"#,
    r#"{"c":{"Hold":{"Taken":{"reservation":"01a1fc5a-1802-7121-9e00-000000000001","connector":1,"partner":"acme","user":"u1","number":7,"id_tag":"CL000000000000000000","from":1,"until":2}}}}"#,
    r#"{"c":{"Hold":{"Confirmed":{"reservation":"01a1fc5a-1802-7121-9e00-000000000001"}}}}"#,
    r#"{"c":{"Hold":{"Device":{"reservation":"01a1fc5a-1802-7121-9e00-000000000001","device":"Declined"}}}}"#,
    r#"{"c":{"Hold":{"Arriving":{"reservation":"01a1fc5a-1802-7121-9e00-000000000001","session":"01a1fc5a-1802-7121-9e00-000000000002"}}}}"#,
    r#"{"c":{"Hold":{"Freed":{"reservation":"01a1fc5a-1802-7121-9e00-000000000001"}}}}"#,
];

#[test]
fn every_recorded_event_is_read() {
    for text in RECORDED {
        let event = serde_json::from_str::<crate::domain::charging::Event>(text);
        assert!(event.is_ok(), "{text}: {event:?}");
    }
}
