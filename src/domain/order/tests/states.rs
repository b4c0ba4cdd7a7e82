//! The states of SE-15, the code's table of them, and the diagram in the documents.

use crate::domain::order::{Doubt, Status, notices};
use std::collections::BTreeSet;

const DOCS: &str = include_str!("../../../../docs/orders.md");

#[test]
fn the_documents_draw_exactly_the_changes_that_the_code_has() {
    let diagram = DOCS.split("```mermaid").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut drawn = BTreeSet::new();
    for (from, rest) in diagram.lines().filter_map(|line| line.split_once("-->")) {
        let (from, to) = (from.trim(), rest.split(':').next().unwrap().trim());
        if from != "[*]" && to != "[*]" {
            drawn.insert((from.to_owned(), to.to_owned()));
        }
    }
    let name = |status: Status| format!("{status:?}");
    let known: BTreeSet<_> = Status::TRANSITIONS.iter().map(|(from, to)| (name(*from), name(*to))).collect();
    assert_eq!(drawn, known);
}

#[test]
fn what_is_final_leads_nowhere_and_every_other_state_leads_to_an_end() {
    for status in Status::ALL {
        let leads_on = Status::ALL.into_iter().any(|next| status.may_become(next));
        assert_eq!(leads_on, !status.is_final(), "{status:?}");
    }
}

#[test]
fn every_doubt_and_text_is_in_the_documents() {
    for doubt in Doubt::ALL {
        let word = serde_json::to_value(doubt).unwrap();
        assert!(DOCS.contains(&format!("`{}`", word.as_str().unwrap())), "{doubt:?} is not in docs/orders.md");
    }
    for text in notices::ALL {
        assert!(DOCS.contains(&format!("`{}`", text.code)), "{} is not in docs/orders.md", text.code);
        assert!(!text.zh.is_ascii() && text.en.is_ascii() && text.en.ends_with('.'), "{}", text.code);
    }
}
