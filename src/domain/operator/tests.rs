//! The rules of operators, as tables.

mod compat;

use super::account::{Digest, Operator, OperatorOrder, Profile, TOKENS_MAX, Token};
use super::approval::{self, Act, Approval, ApprovalOrder, Status};
use super::person::NotAnother;
use super::ticket::{self, STEPS_MAX, TicketOrder, Work};
use super::trail::{Entry, Findings, Line, Trail, TrailFact, TrailOrder, Verifying};
use super::*;
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Family as _, Row, Standing};
use crate::ids::{ApprovalId, OperatorId, TicketId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A partition without an engine: states, rows, time.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) states: BTreeMap<Key, State>,
    pub(crate) rows: BTreeMap<(&'static str, String), Vec<u8>>,
    pub(crate) steps: Vec<(Key, Vec<Event>)>,
    now: i64,
    sequence: u64,
}

impl World {
    pub(crate) fn ask(&mut self, key: &Key, command: impl Into<Command>) -> Result<Reply, Rejection> {
        self.sequence += 1;
        let (now, sequence) = (Timestamp(self.now), self.sequence);
        let context = Context { now, partition: PARTITION, sequence, entropy: u128::from(sequence), ambient: &() };
        let mut state = self.states.remove(key).unwrap_or_else(|| OperatorFamily::birth(key));
        let decided = OperatorFamily::decide(key, &state, command.into(), &context);
        if let Ok(decision) = &decided {
            decision.events.iter().for_each(|event| OperatorFamily::apply(&mut state, event));
            self.put(OperatorFamily::project(PARTITION, key, &state, &decision.events));
            self.steps.push((key.clone(), decision.events.clone()));
        }
        // As the engine does: whoever is at an end leaves memory.
        if OperatorFamily::standing(&state) != Standing::Ended {
            self.states.insert(key.clone(), state);
        }
        decided.map(|decision| decision.reply)
    }

    fn put(&mut self, rows: Vec<Row>) {
        for row in rows {
            match row.value {
                Some(value) => drop(self.rows.insert((row.table, row.key), value)),
                None => drop(self.rows.remove(&(row.table, row.key))),
            }
        }
    }

    fn table(&self, table: &str) -> usize {
        self.rows.keys().filter(|(of, _)| *of == table).count()
    }

    fn row<T: serde::de::DeserializeOwned>(&self, table: &'static str, key: &str) -> Option<T> {
        Some(serde_json::from_slice(self.rows.get(&(table, key.to_owned()))?).unwrap())
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now += ms;
    }
}

macro_rules! into_command {
    ($($order:ty => $kind:ident),*) => {
        $(impl From<$order> for Command {
            fn from(order: $order) -> Self {
                Command::$kind(order)
            }
        })*
    };
}

into_command!(TrailOrder => Trail, OperatorOrder => Operator, TicketOrder => Ticket, ApprovalOrder => Approval);

pub(crate) fn operator(id: &str) -> Key {
    Key::Operator(id.parse().unwrap())
}

pub(crate) fn define(roles: &[Role], by: &str) -> OperatorOrder {
    let profile = Profile { name: "Name".into(), roles: roles.iter().copied().collect() };
    OperatorOrder::Define { profile, by: by.into() }
}

pub(crate) fn token(id: &str, created: i64, expires: i64) -> OperatorOrder {
    let (created, expires) = (Timestamp(created), Timestamp(expires));
    let (label, digest, by) = ("laptop".into(), Digest(format!("h1:{id}")), "root".into());
    let token = Token { label, digest, created, by, expires, revoked: None, used: None };
    OperatorOrder::AddToken { id: id.to_owned(), token: Box::new(token) }
}

pub(crate) fn line(action: &str) -> TrailOrder {
    TrailOrder::Note(Box::new(Line {
        actor: "ada".into(),
        token: Some("0123456789ab".into()),
        address: "127.0.0.1".into(),
        action: action.into(),
        target: "x".into(),
        status: 200,
        code: None,
        request_id: None,
        trace_id: "t".into(),
    }))
}

#[test]
fn an_account_is_made_changed_and_never_by_itself() {
    let (mut world, ada) = (World::default(), operator("ada"));
    assert_eq!(world.ask(&ada, token("a", 0, 10)), Err(Rejection::OperatorUnknown));
    assert_eq!(world.ask(&ada, define(&[], "root")), Err(Rejection::NoRole));
    assert_eq!(world.table(rows::OPERATOR), 0);
    world.ask(&ada, define(&[Role::Support], "root")).unwrap();
    for (by, expected) in
        [("ada", Err(Rejection::OwnAccount)), ("ADA", Err(Rejection::OwnAccount)), ("bob", Ok(Reply::Done))]
    {
        assert_eq!(world.ask(&ada, define(&[Role::Administrator], by)), expected, "{by}");
        let suspend = |reason: Option<&str>| OperatorOrder::Suspend { reason: reason.map(Into::into), by: by.into() };
        assert_eq!(world.ask(&ada, suspend(Some("left"))), expected, "{by}");
        assert_eq!(world.ask(&ada, suspend(None)), expected, "{by}");
    }
    let kept: Operator = world.row(rows::OPERATOR, "ada").unwrap();
    assert_eq!(kept.profile.unwrap().roles, Roles::from([Role::Administrator]));
}

#[test]
fn a_token_opens_until_it_is_over_revoked_or_its_operator_suspended() {
    let (mut world, ada) = (World::default(), operator("ada"));
    world.ask(&ada, define(&[Role::Finance], "root")).unwrap();
    world.ask(&ada, token("a", 0, 100)).unwrap();
    world.ask(&ada, token("b", 0, 100)).unwrap();
    let opens = |world: &World, token: &str, now: i64| {
        world.row::<Operator>(rows::OPERATOR, "ada").unwrap().admits(token, Timestamp(now)).is_some()
    };
    assert_eq!([opens(&world, "a", 99), opens(&world, "a", 100), opens(&world, "c", 0)], [true, false, false]);
    world.ask(&ada, OperatorOrder::RevokeToken { id: "a".into() }).unwrap();
    assert_eq!([opens(&world, "a", 1), opens(&world, "b", 1)], [false, true]);
    assert_eq!(world.ask(&ada, OperatorOrder::RevokeToken { id: "c".into() }), Err(Rejection::TokenUnknown));
    for (reason, opened) in [(Some("left"), false), (None, true)] {
        let suspend = OperatorOrder::Suspend { reason: reason.map(Into::into), by: "root".into() };
        world.ask(&ada, suspend).unwrap();
        assert_eq!(opens(&world, "b", 1), opened);
    }
    assert!(!String::from_utf8_lossy(&world.rows[&(rows::OPERATOR, "ada".into())]).contains("co_"));
    assert!(!format!("{:?}", world.states).contains("h1:"), "a digest is not shown either");
}

#[test]
fn tokens_are_bounded_and_of_those_that_are_over_the_oldest_go() {
    let (mut world, ada) = (World::default(), operator("ada"));
    world.ask(&ada, define(&[Role::Finance], "root")).unwrap();
    for n in 0..TOKENS_MAX {
        world.ask(&ada, token(&format!("live{n}"), 0, 1_000_000)).unwrap();
    }
    assert_eq!(world.ask(&ada, token("more", 0, 1_000_000)), Err(Rejection::TooManyTokens(TOKENS_MAX)));
    world.ask(&ada, OperatorOrder::RevokeToken { id: "live0".into() }).unwrap();
    for n in 0..100 {
        world.pass(10);
        let id = format!("short{n}");
        world.ask(&ada, token(&id, n * 10, 1_000_000)).unwrap();
        world.ask(&ada, OperatorOrder::RevokeToken { id }).unwrap();
    }
    let kept: Operator = world.row(rows::OPERATOR, "ada").unwrap();
    assert!(kept.tokens.len() <= 33, "{}", kept.tokens.len());
    assert!(
        (1..TOKENS_MAX).all(|n| kept.tokens.contains_key(&format!("live{n}"))) && kept.tokens.contains_key("short99")
    );
}

/// The lines as a look at the trail reads them.
fn lines(world: &World) -> Vec<Entry> {
    let rows = world.rows.iter().filter(|((table, _), _)| *table == rows::AUDIT);
    rows.map(|(_, value)| serde_json::from_slice(value).unwrap()).collect()
}

fn verified(world: &World, lines: &[Entry]) -> Findings {
    let mut verifying = Verifying::begin(world.row::<Trail>(rows::AUDIT_ENDS, PARTITION).unwrap_or_default());
    let _ = lines.iter().all(|entry| verifying.line(entry));
    verifying.end()
}

#[test]
fn a_changed_a_missing_and_a_cut_off_line_show_with_their_place() {
    let mut world = World::default();
    assert!(verified(&world, &[]).sound, "nothing yet");
    for n in 0..10 {
        // The wall clock steps back once: the trail's time does not.
        world.pass(if n == 5 { -1000 } else { 10 });
        world.ask(&Key::Trail, line(&format!("POST /{n}"))).unwrap();
    }
    let good = lines(&world);
    assert!(good.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].number + 1 == pair[1].number));
    assert_eq!(verified(&world, &good), Findings { sound: true, lines: 10, wrong_at: None, problem: None });
    type Change = fn(&mut Vec<Entry>);
    let changes: [(Change, u64); 6] = [
        (|lines| lines[3].line.actor = "bob".into(), 4),
        (|lines| lines[3].at = Timestamp(1), 4),
        (|lines| drop(lines.remove(3)), 4),
        (|lines| drop(lines.remove(0)), 1),
        (|lines| lines.truncate(8), 9),
        (
            |lines| {
                // Somebody who knows the rule makes the last line anew: its digest is not the one that is kept apart.
                lines[9].line.actor = "bob".into();
                lines[9].chain = lines[9].chained(&lines[8].chain.clone());
            },
            10,
        ),
    ];
    for (n, (change, place)) in changes.into_iter().enumerate() {
        let mut lines = good.clone();
        change(&mut lines);
        let found = verified(&world, &lines);
        assert_eq!((found.sound, found.wrong_at), (false, Some(place)), "change {n}: {found:?}");
    }
}

#[test]
fn only_the_oldest_lines_go_and_the_rest_can_still_be_verified() {
    let mut world = World::default();
    for n in 0..10 {
        world.pass(10);
        world.ask(&Key::Trail, line(&format!("POST /{n}"))).unwrap();
    }
    let all = lines(&world);
    for wrong in [&all[1..3], &all[8..]] {
        assert_eq!(world.ask(&Key::Trail, TrailOrder::Prune(wrong.to_vec())), Err(Rejection::NotTheOldest));
    }
    world.ask(&Key::Trail, TrailOrder::Prune(all[..4].to_vec())).unwrap();
    assert_eq!(lines(&world), all[4..]);
    assert_eq!(verified(&world, &lines(&world)), Findings { sound: true, lines: 6, wrong_at: None, problem: None });
    assert_eq!(verified(&world, &all[5..]).wrong_at, Some(5));
    world.ask(&Key::Trail, line("POST /after")).unwrap();
    assert!(verified(&world, &lines(&world)).sound);
    assert_eq!(world.ask(&Key::Trail, TrailOrder::Prune(all[..1].to_vec())), Err(Rejection::NotTheOldest));
    // Folded again from its events it is the same: rows and state have one source.
    let mut trail = Trail::default();
    for (_, events) in &world.steps {
        for event in events {
            let Event::Trail(fact) = event else { unreachable!() };
            trail.fold(fact);
            assert!(matches!(fact, TrailFact::Noted(_) | TrailFact::Pruned { .. }));
        }
    }
    assert_eq!(State::Trail(trail), world.states[&Key::Trail]);
}

fn order(world: &World, id: &str, act: ticket::Act, newest: &str) -> TicketOrder {
    TicketOrder { act, by: "ada".into(), kept: world.row(rows::WORK, id), newest: newest.into() }
}

fn close(newest: &str) -> ticket::Act {
    ticket::Act::Closed { reason: "done".into(), occurrence: newest.into() }
}

#[test]
fn a_ticket_is_worked_on_closed_once_and_opens_again_when_its_case_comes_again() {
    let (mut world, id) = (World::default(), "0123456789abcdef-quarantined");
    let key = Key::Ticket(id.parse::<TicketId>().unwrap());
    let assign = |to: Option<&str>| ticket::Act::Assigned { to: to.map(Into::into) };
    let work = |world: &World| world.row::<Work>(rows::WORK, id).unwrap();
    let steps: [(ticket::Act, &str, Result<bool, Rejection>); 8] = [
        (assign(Some("bob")), "o1", Ok(true)),
        (ticket::Act::Noted { text: "called".into() }, "o1", Ok(true)),
        (close("o1"), "o1", Ok(false)),
        (close("o1"), "o1", Err(Rejection::TicketClosed)),
        (ticket::Act::Noted { text: "called again".into() }, "o1", Ok(false)),
        // It comes again.
        (ticket::Act::Noted { text: "again".into() }, "o2", Ok(true)),
        (close("o2"), "o2", Ok(false)),
        (assign(None), "o2", Ok(false)),
    ];
    for (n, (act, newest, expected)) in steps.into_iter().enumerate() {
        world.pass(1);
        let command = order(&world, id, act, newest);
        let asked = world.ask(&key, command);
        assert_eq!(asked.map(|_| work(&world).is_open(newest)), expected, "step {n}");
    }
    assert_eq!((work(&world).assignee, world.table(rows::STEP)), (None, 7), "each step is a row of its own");
    assert!(!world.states.contains_key(&key), "a closed one is kept by its row alone");
}

#[test]
fn a_tickets_history_is_bounded() {
    let (mut world, id) = (World::default(), "0123456789abcdef-x");
    let key = Key::Ticket(id.parse().unwrap());
    let note = || ticket::Act::Noted { text: "x".into() };
    for _ in 0..STEPS_MAX {
        let command = order(&world, id, note(), "o1");
        world.ask(&key, command).unwrap();
    }
    let command = order(&world, id, note(), "o1");
    assert_eq!(world.ask(&key, command), Err(Rejection::TooManySteps(STEPS_MAX)));
}

#[test]
fn an_act_is_agreed_to_once_by_another_person_in_time() {
    use NotAnother::{Root, Same};
    let agree = |by: &str| ApprovalOrder::Agree { by: by.into() };
    let withdraw = || ApprovalOrder::Withdraw { by: "ada".into() };
    let finish = || ApprovalOrder::Finish { outcome: "done".into() };
    let not = |why| Err(Rejection::NotAnother(why));
    let unknown = || Err(Rejection::ApprovalUnknown);
    // Who proposes, what is asked then, and what comes of each.
    type Step = (ApprovalOrder, Result<Status, Rejection>);
    let cases: Vec<(&str, Vec<Step>)> = vec![
        ("ada", vec![(agree("ada"), not(Same)), (agree("root/bob"), not(Root)), (agree("bob"), Ok(Status::Agreed))]),
        ("root/ada", vec![(agree("root"), not(Root)), (agree("ada"), not(Same)), (agree("bob"), Ok(Status::Agreed))]),
        (
            "ada",
            vec![
                (agree("bob"), Ok(Status::Agreed)),
                (agree("bob"), Ok(Status::Agreed)),
                (agree("eve"), unknown()),
                (withdraw(), unknown()),
            ],
        ),
        ("ada", vec![(withdraw(), Ok(Status::Withdrawn)), (agree("bob"), unknown())]),
        (
            "ada",
            vec![
                (finish(), unknown()),
                (agree("bob"), Ok(Status::Agreed)),
                (finish(), Ok(Status::Done)),
                (finish(), unknown()),
            ],
        ),
        ("ada", vec![(ApprovalOrder::Expire, Ok(Status::Expired)), (agree("bob"), unknown())]),
        ("ada", vec![(agree("bob"), Ok(Status::Agreed)), (ApprovalOrder::Expire, unknown())]),
    ];
    for (n, (by, steps)) in cases.into_iter().enumerate() {
        let (mut world, id) = (World::default(), ApprovalId(uuid::Uuid::from_u128(7)));
        let key = Key::Approval(id);
        let act = Act::EraseUser { partner: "acme".parse().unwrap(), user: "u".into() };
        let propose = ApprovalOrder::Propose { act, by: by.into(), valid: Duration::from_secs(60) };
        world.ask(&key, propose).unwrap();
        let due = OperatorFamily::timers(&world.states[&key]);
        assert_eq!(due.iter().map(|deadline| deadline.due).collect::<Vec<_>>(), [Timestamp(60_000)]);
        for (step, (command, expected)) in steps.into_iter().enumerate() {
            let asked = world.ask(&key, command).map(|reply| match reply {
                Reply::Approval(approval) => approval.status,
                Reply::Done => unreachable!(),
            });
            assert_eq!(asked, expected, "case {n} step {step}");
        }
        let kept: Approval = world.row(rows::APPROVAL, &id.to_string()).unwrap();
        let open = matches!(kept.status, Status::Waiting | Status::Agreed);
        assert_eq!((world.table(rows::APPROVAL_OPEN) == 1, approval::is_open(&Some(Box::new(kept)))), (open, open));
    }
}

#[test]
fn a_command_of_one_kind_of_entity_is_refused_by_another_and_names_read_back() {
    let mut world = World::default();
    for key in [operator("ada"), Key::Ticket("x".parse().unwrap()), Key::Approval(ApprovalId(uuid::Uuid::nil()))] {
        assert_eq!(world.ask(&key, line("x")), Err(Rejection::WrongEntity));
    }
    for role in Role::ALL {
        assert_eq!((role.as_str().parse(), serde_json::to_value(role).unwrap()), (Ok(role), role.as_str().into()));
    }
    for kind in approval::Kind::ALL {
        assert_eq!((kind.as_str().parse(), serde_json::to_value(kind).unwrap()), (Ok(kind), kind.as_str().into()));
    }
    assert!("boss".parse::<Role>().is_err() && "x y".parse::<OperatorId>().is_err());
}
