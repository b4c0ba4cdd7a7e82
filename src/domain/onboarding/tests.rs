//! The life of an application as a table: every order in every stage.

use super::*;
use crate::domain::delivery::{Partner, PartnerState};
use crate::domain::entity::{Context, Family as _};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn form(company: &str) -> Box<Form> {
    Box::new(Form {
        company: company.to_owned(),
        credit_code: "91110000600037341L".parse().unwrap(),
        face: Face::Native,
        scopes: [Scope::Query, Scope::Control].into(),
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        webhook_url: Some("https://partner.example/hook".to_owned()),
        contacts: Sealed("sealed".to_owned()),
        note: None,
    })
}

fn credentials(key_id: &str) -> Credentials {
    let sealed = |text: &str| Sealed(text.to_owned());
    Credentials { key_id: key_id.to_owned(), secret: sealed("s"), webhook: sealed("w") }
}

fn approval() -> Approval {
    Approval { sites: Sites::Only(["s1".parse().unwrap()].into()), scopes: None, accounts: false }
}

fn submit() -> ApplicationOrder {
    let request = "apply-1".parse().unwrap();
    ApplicationOrder::Submit { request, form: form("Example Charging Ltd."), token: "hash".to_owned() }
}

fn back() -> ApplicationOrder {
    ApplicationOrder::Return { by: "ann".to_owned(), reason: "the callback is not reachable".to_owned() }
}

fn refuse() -> ApplicationOrder {
    ApplicationOrder::Refuse { by: "ann".to_owned(), reason: "no such company".to_owned() }
}

fn approve() -> ApplicationOrder {
    ApplicationOrder::Approve { by: "ann".to_owned(), approval: approval() }
}

fn claim() -> ApplicationOrder {
    ApplicationOrder::Claim(credentials("ck_1"))
}

fn amend() -> ApplicationOrder {
    amend_as("amend-1")
}

fn amend_as(request: &str) -> ApplicationOrder {
    ApplicationOrder::Amend { request: request.parse().unwrap(), form: form("Example Charging Co.") }
}

fn submit_as(request: &str) -> ApplicationOrder {
    ApplicationOrder::Submit { request: request.parse().unwrap(), form: form("Other"), token: "hash".to_owned() }
}

/// Makes an order anew.
type Made = fn() -> ApplicationOrder;
/// Makes the orders that lead to a stage.
type History = fn() -> Vec<ApplicationOrder>;

/// An application and the partner that comes of it, as the engine runs them: both entities of one step, or nothing.
#[derive(Default, Clone)]
struct Life {
    application: Application,
    partner: Partner,
}

impl Life {
    fn ask(&mut self, order: ApplicationOrder, now: i64) -> Result<(), PartnerRejection> {
        let mut next = self.clone();
        let decision = decide(&next.application, order, Timestamp(now))?;
        for event in &decision.events {
            let PartnerEvent::Application(fact) = event else { panic!("{event:?}") };
            next.application.apply(fact);
        }
        for (key, command) in decision.also {
            let mut state = PartnerState::Partner(Box::new(next.partner.clone()));
            let context = Context {
                now: Timestamp(now),
                partition: "p",
                sequence: 1,
                entropy: 1,
                ambient: &crate::domain::delivery::Policy::default(),
            };
            let decided = PartnerFamily::decide(&key, &state, command, &context)?;
            decided.events.iter().for_each(|event| PartnerFamily::apply(&mut state, event));
            let PartnerState::Partner(partner) = state else { panic!() };
            next.partner = *partner;
        }
        *self = next;
        Ok(())
    }

    fn after(orders: Vec<ApplicationOrder>) -> Life {
        let mut life = Life::default();
        for (n, order) in (1..).zip(orders) {
            life.ask(order, n).unwrap();
        }
        life
    }
}

#[test]
fn each_order_in_each_stage_does_what_the_diagram_says() {
    let stages: [(Stage, History); 5] = [
        (Stage::Waiting, || vec![submit()]),
        (Stage::Returned, || vec![submit(), back()]),
        (Stage::Approved, || vec![submit(), approve()]),
        (Stage::Refused, || vec![submit(), refuse()]),
        (Stage::Withdrawn, || vec![submit(), ApplicationOrder::Withdraw]),
    ];
    let orders: [(&str, Made, [Option<Stage>; 5]); 6] = [
        ("amend", amend, [Some(Stage::Waiting), Some(Stage::Waiting), None, None, None]),
        (
            "withdraw",
            || ApplicationOrder::Withdraw,
            [Some(Stage::Withdrawn), Some(Stage::Withdrawn), None, None, Some(Stage::Withdrawn)],
        ),
        ("return", back, [Some(Stage::Returned), Some(Stage::Returned), None, None, None]),
        ("refuse", refuse, [Some(Stage::Refused), Some(Stage::Refused), None, None, None]),
        ("approve", approve, [Some(Stage::Approved), None, None, None, None]),
        ("claim", claim, [None, None, Some(Stage::Approved), None, None]),
    ];
    for (n, (stage, before)) in stages.into_iter().enumerate() {
        for (name, order, outcomes) in &orders {
            let mut life = Life::after(before());
            let asked = life.ask(order(), 100);
            match outcomes[n] {
                Some(next) => assert_eq!((asked, life.application.stage), (Ok(()), next), "{name} in {stage:?}"),
                None => assert_eq!(asked, Err(PartnerRejection::ApplicationDecided(stage)), "{name} in {stage:?}"),
            }
            assert_eq!(
                life.ask(submit_as("apply-2"), 101),
                Err(PartnerRejection::ApplicationExists),
                "{name} in {stage:?}"
            );
        }
    }
    for (name, order, _) in orders {
        assert_eq!(Life::default().ask(order(), 1), Err(PartnerRejection::ApplicationUnknown), "{name}");
    }
}

#[test]
fn the_partner_is_there_from_the_approval_on_and_its_key_and_webhook_from_the_claim_on() {
    let mut life = Life::after(vec![submit(), back(), amend(), approve()]);
    let profile = life.partner.profile.clone().unwrap();
    assert_eq!((profile.name.as_str(), profile.accounts), ("Example Charging Co.", false));
    assert_eq!(profile.sites, approval().sites);
    assert!(life.partner.keys.is_empty() && life.partner.endpoints.is_empty());
    life.ask(claim(), 5).unwrap();
    let key = &life.partner.keys["ck_1"];
    assert_eq!(key.grant.scopes, [Scope::Query, Scope::Control].into());
    assert_eq!(key.grant.networks, form("").networks);
    assert_eq!(life.partner.endpoints[&crate::domain::delivery::QueueId::MAIN].url, "https://partner.example/hook");
    assert_eq!(life.ask(ApplicationOrder::Claim(credentials("ck_2")), 6), Err(PartnerRejection::CredentialsGone));
    let told: Vec<_> = life.application.steps.iter().map(|step| (step.stage, step.by.is_some())).collect();
    let (own, theirs) = (false, true);
    assert_eq!(
        told,
        [(Stage::Waiting, own), (Stage::Returned, theirs), (Stage::Waiting, own), (Stage::Approved, theirs)]
    );
}

#[test]
fn an_operator_may_grant_less_than_was_asked_for_and_tcec_gets_no_webhook_of_its_own() {
    let mut life = Life::default();
    let tcec = Form { face: Face::Tcec, ..*form("T") };
    let (request, form) = ("r".parse().unwrap(), Box::new(tcec));
    life.ask(ApplicationOrder::Submit { request, form, token: String::new() }, 1).unwrap();
    let approval = Approval { scopes: Some([Scope::Query].into()), ..approval() };
    life.ask(ApplicationOrder::Approve { by: "ann".to_owned(), approval }, 2).unwrap();
    life.ask(claim(), 3).unwrap();
    assert_eq!(life.partner.keys["ck_1"].grant.scopes, [Scope::Query].into());
    assert!(life.partner.endpoints.is_empty());
}

#[test]
fn credentials_wait_for_thirty_days_and_amendments_have_an_end() {
    for (days, taken) in [(30, Ok(())), (31, Err(PartnerRejection::CredentialsGone))] {
        let mut life = Life::after(vec![submit(), approve()]);
        assert_eq!(life.ask(claim(), 2 + days * DAY), taken, "{days}");
    }
    let mut life = Life::after(vec![submit()]);
    for n in 0..AMENDMENTS_MAX {
        life.ask(amend_as(&format!("amend-{n}")), 2).unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    assert_eq!(life.ask(amend_as("another"), 3), Err(PartnerRejection::TooManyAmendments));
    life.ask(approve(), 4).unwrap();
}

#[test]
fn what_is_said_again_is_done_already_and_changes_nothing() {
    let mut life = Life::default();
    for (n, order) in (1..).zip([submit, amend, approve, claim]) {
        life.ask(order(), n).unwrap();
        let before = life.application.clone();
        let again = life.ask(order(), 1000 + n);
        // An operator is told that it was decided; an applicant cannot know whether its answer was lost.
        let expected = if n == 3 { Err(PartnerRejection::ApplicationDecided(Stage::Approved)) } else { Ok(()) };
        assert_eq!((again, &life.application), (expected, &before), "{n}");
    }
}
