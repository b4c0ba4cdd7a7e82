//! What a posting refuses, and that a ledger of postings balances.

use super::*;
use crate::domain::money::{Currency, Money};
use proptest::prelude::*;

fn leg(account: LedgerAccount, minor: i64) -> Leg {
    Leg { account, minor }
}

fn cause(text: &str) -> Cause {
    text.parse().unwrap()
}

fn posting(legs: Vec<Leg>) -> Result<Posting, PostingError> {
    Posting::new(cause("c1"), None, Currency::CNY, legs)
}

#[test]
fn a_posting_that_does_not_balance_cannot_be_made() {
    use LedgerAccount::{RevenueEnergy, UserAvailable, UserFrozen};
    let unbalanced = |sum| Err(PostingError::Unbalanced { cause: cause("c1"), sum });
    for (legs, expected) in [
        (vec![leg(UserAvailable, -5), leg(UserFrozen, 4)], unbalanced(-1)),
        (vec![leg(UserAvailable, 1)], unbalanced(1)),
        (vec![], Err(PostingError::Empty(cause("c1")))),
        (vec![leg(UserAvailable, 0)], Err(PostingError::Empty(cause("c1")))),
        (vec![leg(UserAvailable, 3), leg(UserAvailable, -3)], Err(PostingError::Empty(cause("c1")))),
        (vec![leg(UserAvailable, i64::MAX), leg(RevenueEnergy, i64::MAX)], unbalanced(2 * i128::from(i64::MAX))),
    ] {
        assert_eq!(posting(legs.clone()).map(|_| ()), expected, "{legs:?}");
    }
    let whole = posting(vec![leg(UserAvailable, -2), leg(RevenueEnergy, 5), leg(UserAvailable, -3)]).unwrap();
    assert_eq!(whole.legs(), [leg(UserAvailable, -5), leg(RevenueEnergy, 5)]);
    assert_eq!(whole.gain(&RevenueEnergy), Money::new(5, Currency::CNY));
}

#[test]
fn a_stored_posting_that_does_not_balance_is_not_read() {
    let text = |minor| {
        format!(
            r#"{{"cause":"c1","currency":"CNY","legs":[{{"account":"user:available","minor":-5}},{{"account":"revenue-energy","minor":{minor}}}]}}"#
        )
    };
    let read = serde_json::from_str::<Posting>(&text(5)).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text(5));
    let refused = serde_json::from_str::<Posting>(&text(6)).unwrap_err().to_string();
    assert!(refused.contains("sum to 1 minor units"), "{refused}");
}

#[test]
fn every_ledger_account_reads_back_from_its_name() {
    let partner = LedgerAccount::PartnerReceivable("acme".parse().unwrap());
    for account in LedgerAccount::PLAIN.into_iter().chain([partner]) {
        assert_eq!(account.to_string().parse(), Ok(account));
    }
    for text in ["", "user", "user:", "partner-receivable/", "partner-receivable/a.b", "Coupons"] {
        assert!(text.parse::<LedgerAccount>().is_err(), "{text}");
    }
}

#[test]
fn hostile_texts_are_no_causes() {
    for text in ["", "a b", "a.b", "a:b", "é", "a\n", &"x".repeat(241)] {
        assert!(text.parse::<Cause>().is_err(), "{text:?}");
    }
    assert_eq!(cause("session/1").step("freeze"), Ok(cause("session/1/freeze")));
}

proptest! {
    #[test]
    fn a_ledger_of_postings_balances(moves in prop::collection::vec((0usize..12, 0usize..12, -1_000_000i64..1_000_000), 1..50)) {
        let mut trial = Trial::default();
        for (from, to, minor) in moves {
            let [from, to] = [from, to].map(|n| LedgerAccount::PLAIN[n].clone());
            if let Ok(posting) = posting(vec![leg(from, -minor), leg(to, minor)]) {
                trial.book(&posting);
            }
            prop_assert_eq!(trial.sum(), 0);
        }
        let mut twice = trial.clone();
        twice.merge(&trial);
        prop_assert_eq!(twice.sum(), 0);
    }
}
