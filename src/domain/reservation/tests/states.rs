//! The states of SE-15, the code's table of them, and the diagram in the documents.

use super::super::{Reservation, Status};
use crate::domain::charging::step::Fold;
use crate::domain::money::{Currency, Money};
use crate::domain::reservation::{Event, Over, state::EndCause};
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
