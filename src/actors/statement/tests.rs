//! Statements over the engine on virtual time with a memory journal: made at their hour, in order after days away, once however
//! often a process ends in the middle, the same bytes whenever they are read; and their life until they are settled.

mod large;

use super::reading::file;
use super::{StatementParts, StatementShell};
use crate::actors::alerts;
use crate::actors::engine::pacer::Pacer;
use crate::actors::engine::restarts::RestartBudget;
use crate::actors::engine::{Environment, HostCore, Refusal};
use crate::actors::partners::Partners;
use crate::clock::{RuntimeClock, SharedClock, Timestamp};
use crate::domain::money::{Currency, Money};
use crate::domain::statement::file::Format;
use crate::domain::statement::line::{self, Figures, Line};
use crate::domain::statement::period::{Paper, PaperKind, Side, Status};
use crate::domain::statement::shares::{Rule, Share};
use crate::domain::statement::tests::{a_line, acme};
use crate::domain::statement::view::View;
use crate::domain::statement::{
    BookCommand, Command, Key, Open, PeriodCommand, Policy, Rejection, Reply, State, StatementFamily, rows,
};
use crate::ids::{OrderId, StatementId};
use crate::persistence::{Append, Journal as _, MemoryJournal, NewRecord, StreamName};
use arc_swap::ArcSwap;
use futures_util::TryStreamExt as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: u64 = 3600;

struct World {
    clock: SharedClock,
    journal: Arc<MemoryJournal>,
    policy: Policy,
    core: Rc<HostCore<StatementFamily>>,
}

impl World {
    async fn new(zone: &str, start: &str) -> Self {
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp::parse(start).unwrap()));
        let policy = Policy { time_zone: zone.into(), ..Policy::default() };
        let world = Self::over(clock.clone(), MemoryJournal::new(&clock), policy);
        world.book(BookCommand::Open).await.unwrap();
        world
    }

    fn over(clock: SharedClock, journal: Arc<MemoryJournal>, policy: Policy) -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let limits = crate::config::load::from_text(None, &[]).unwrap().config.engine;
        let (alerts, _) = alerts::channel();
        let parts = StatementParts {
            policy: Arc::new(ArcSwap::from_pointee(policy.clone())),
            journal: journal.clone(),
            partners: Arc::new(Partners::new(Arc::new(|_| None))),
            alerts,
        };
        let core = HostCore::new(Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(|| u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)) << 64),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window))),
            limits,
            shell: Rc::new(StatementShell::new(parts)),
        });
        core.env().pacer.open();
        World { clock, journal, policy, core }
    }

    /// The same journal, a new process, which recovers what is open.
    async fn restarted(&self) -> Self {
        let next = Self::over(self.clock.clone(), self.journal.reopen(), self.policy.clone());
        next.core.recover(vec!["acme".to_owned()], Duration::ZERO).await;
        next.book(BookCommand::Open).await.unwrap();
        next
    }

    /// A charger's partition writes a line, now.
    async fn settle(&self, order: u128, number: u32, total: i64) -> Line {
        let line = a_line(order, number, self.clock.now(), total);
        let claimed = self.journal.claim(&StreamName::new("charger", "CP1")).await.unwrap();
        static RECORDS: AtomicU64 = AtomicU64::new(1);
        let id = u128::from(RECORDS.fetch_add(1, Ordering::Relaxed)) << 32;
        let record = NewRecord { at: line.at, id, body: Vec::new(), notices: Vec::new() };
        let append = Append { after: claimed.sequence, records: vec![record], rows: line::rows(&acme(), &line) };
        self.journal.append(&claimed.token, append).await.unwrap();
        line
    }

    async fn book(&self, command: BookCommand) -> Result<Reply, Refusal<Rejection>> {
        self.core.ask("acme", Key::Book, Command::Book(command)).await
    }

    async fn period(&self, id: &str, command: PeriodCommand) -> Result<Reply, Refusal<Rejection>> {
        self.core.ask("acme", Key::Period(StatementId::of(id)), Command::Period(command)).await
    }

    async fn refused(&self, id: &str, command: PeriodCommand) -> Rejection {
        match self.period(id, command).await {
            Err(Refusal::Rejected(rejection)) => rejection,
            other => panic!("{other:?}"),
        }
    }

    async fn view(&self, id: &str) -> View {
        let row = self.journal.row(rows::STATEMENT, &format!("acme/{id}")).await.unwrap();
        serde_json::from_slice(&row.unwrap_or_else(|| panic!("no statement {id}"))).unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        let found = self.journal.rows(rows::STATEMENT, "acme/", None, 100).await.unwrap();
        found.into_iter().map(|row| row.key["acme/".len()..].to_owned()).collect()
    }

    /// A file as it is downloaded.
    async fn file(&self, id: &str, format: Format) -> Result<String, super::FileError> {
        let view = self.view(id).await;
        let moment = |text: &str| Timestamp::parse(text).unwrap();
        let open = Open {
            id: view.statement_id.clone(),
            day: "".into(),
            nth: 1,
            from: moment(&view.from),
            until: moment(&view.until),
            due: Timestamp(0),
            zone: view.time_zone.clone(),
        };
        let stated = if format == Format::Csv { view.csv } else { view.json };
        let pieces: Vec<bytes::Bytes> = file(self.journal.clone(), acme(), open, format, stated).try_collect().await?;
        Ok(String::from_utf8(pieces.concat()).unwrap())
    }
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn virtual_time(test: impl Future<Output = ()>) {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    });
    system.block_on(test);
}

fn order(n: u128) -> OrderId {
    OrderId(uuid::Uuid::from_u128(n))
}

fn dispute(n: u128, request: &str) -> PeriodCommand {
    let (request, reason) = (request.parse().unwrap(), "too much".into());
    PeriodCommand::Dispute { order: order(n), request, reason, evidence: "{}".into() }
}

#[test]
fn a_statement_is_made_at_one_in_the_morning_of_the_next_local_day() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        world.settle(1, 1, 500).await;
        later(4 * HOUR).await; // midnight, to the millisecond: the next day's
        world.settle(2, 1, 700).await;
        later(HOUR - 1).await;
        assert!(world.ids().await.is_empty());
        later(2).await;
        assert_eq!(world.ids().await, ["2026-11-20"]);
        let view = world.view("2026-11-20").await;
        assert_eq!((view.lines, view.totals.0[0].figures.total, view.status), (1, 500, Status::Stated));
        assert_eq!((view.from.as_str(), view.until.as_str()), ("2026-11-19T16:00:00.000Z", "2026-11-20T16:00:00.000Z"));
        later(24 * HOUR).await;
        assert_eq!(world.view("2026-11-21").await.totals.0[0].figures.total, 700);
        later(24 * HOUR).await;
        let empty = world.view("2026-11-22").await;
        assert_eq!((empty.lines, empty.status), (0, Status::Settled), "nothing to agree about");
    });
}

#[test]
fn days_that_we_were_away_are_made_in_order_and_once() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        for n in 1..=3 {
            world.settle(n, 1, 100).await;
            later(HOUR).await;
        }
        world.journal.crash();
        later(4 * 24 * HOUR).await;
        let world = world.restarted().await;
        later(60).await;
        assert_eq!(world.ids().await, ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]);
        assert_eq!(world.view("2026-11-20").await.lines, 3);
        let made: Vec<String> = [0, 1, 2, 3].iter().map(|n| format!("2026-11-2{n}")).collect();
        let told = world.journal.outbox(&acme(), 0, 100).await.unwrap();
        let ready: Vec<String> =
            told.iter().map(|it| it.notice.data["statement_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ready, made, "each once");
        assert!(told.iter().all(|it| it.notice.kind == "statement.ready" && it.notice.sequence == Some(1)));
    });
}

#[test]
fn a_process_that_ends_while_a_statement_is_made_makes_it_again_with_the_same_bytes() {
    virtual_time(async {
        for ends_after in [0, 1, 20, 40, 60, 90] {
            let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
            let lines = 1_234;
            for n in 0..lines {
                world.settle(n, 1, 100 + i64::try_from(n).unwrap()).await;
            }
            world.journal.delay_appends(Duration::from_millis(30));
            let due = Timestamp::parse("2026-11-21T01:00:00+08:00").unwrap();
            tokio::time::sleep(due.since(world.clock.now()) + Duration::from_millis(ends_after)).await;
            let world = world.restarted().await;
            later(30).await;
            let view = world.view("2026-11-20").await;
            assert_eq!((view.lines, world.ids().await.len()), (1_234, 1), "{ends_after} ms");
            let csv = world.file("2026-11-20", Format::Csv).await.unwrap();
            assert_eq!(csv.lines().count(), 1_235);
            let json: serde_json::Value =
                serde_json::from_str(&world.file("2026-11-20", Format::Json).await.unwrap()).unwrap();
            assert_eq!(json["lines"].as_array().unwrap().len(), 1_234);
            assert_eq!(json["totals"][0]["total"].as_i64(), Some(view.totals.0[0].figures.total));
            let told = world.journal.outbox(&acme(), 0, 100).await.unwrap();
            assert_eq!(told.len(), 1, "{ends_after} ms");
        }
    });
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_stated_once() {
    virtual_time(async {
        let world = World::new("Europe/Berlin", "2026-10-24T23:30:00+02:00").await;
        for n in 0..28 {
            world.settle(n, 1, 1).await;
            later(HOUR).await;
        }
        later(24 * HOUR).await;
        let mut lines = Vec::new();
        for id in world.ids().await {
            lines.push((id.clone(), world.view(&id).await.lines));
        }
        let expected = [("2026-10-24", 1), ("2026-10-25", 25), ("2026-10-26", 2)];
        let expected: Vec<(String, u64)> = expected.iter().map(|(id, lines)| ((*id).to_owned(), *lines)).collect();
        assert_eq!(lines[..3], expected);
    });
}

#[test]
fn an_early_cut_begins_another_stretch_of_the_same_day() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T12:00:00+08:00").await;
        world.settle(1, 1, 100).await;
        later(10).await;
        let Ok(Reply::Cut(open)) = world.book(BookCommand::Cut { by: "ada".into() }).await else { panic!("not cut") };
        assert_eq!(open.until, world.clock.now());
        world.settle(2, 1, 200).await;
        later(90).await;
        assert_eq!(world.view("2026-11-20").await.totals.0[0].figures.total, 100);
        later(24 * HOUR).await;
        assert_eq!(world.view("2026-11-20-2").await.totals.0[0].figures.total, 200);
    });
}

#[test]
fn what_is_corrected_after_it_was_stated_is_a_line_of_a_later_statement_only() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        let base = world.settle(1, 1, 500).await;
        world.settle(2, 1, 900).await;
        later(6 * HOUR).await;
        let before = (world.file("2026-11-20", Format::Csv).await.unwrap(), world.view("2026-11-20").await.csv);
        world.period("2026-11-20", dispute(1, "d1")).await.unwrap();
        world.period("2026-11-20", dispute(1, "d1")).await.unwrap();
        assert_eq!(world.refused("2026-11-20", dispute(1, "d2")).await, Rejection::DisputeExists);
        assert_eq!(world.refused("2026-11-20", PeriodCommand::Confirm).await, Rejection::Disputed);
        let settle = || PeriodCommand::Settle { by: "ada".into(), note: "".into() };
        assert_eq!(world.refused("2026-11-20", settle()).await, Rejection::Disputed);
        let tickets = world.journal.rows("ticket", "statement-acme-", None, 9).await.unwrap();
        assert_eq!(tickets.len(), 1);
        let world = world.restarted().await;
        let change = Some(Figures { energy_wh: 0, electricity: -100, service: 0, other: 0, total: -100 });
        let resolve = |base: &Line| PeriodCommand::Resolve {
            order: base.order,
            base: Box::new(base.clone()),
            change,
            note: "our mistake".into(),
            by: "ada".into(),
        };
        world.period("2026-11-20", resolve(&base)).await.unwrap();
        assert_eq!(world.refused("2026-11-20", resolve(&base)).await, Rejection::NoDispute);
        let ticket: serde_json::Value =
            serde_json::from_slice(&world.journal.row("ticket", &tickets[0].key).await.unwrap().unwrap()).unwrap();
        assert_eq!((&ticket["state"], &ticket["resolution"]), (&"closed".into(), &"our mistake".into()));
        world.period("2026-11-20", PeriodCommand::Confirm).await.unwrap();
        world.period("2026-11-20", settle()).await.unwrap();
        world.period("2026-11-20", settle()).await.unwrap();
        let view = world.view("2026-11-20").await;
        let sheet = view.settled.as_ref().unwrap();
        assert_eq!((view.status, sheet.balance[0].minor, sheet.corrected[0].minor), (Status::Settled, 1_400, -100));
        assert_eq!(world.refused("2026-11-20", dispute(2, "d3")).await, Rejection::Settled);
        later(24 * HOUR).await;
        let after = (world.file("2026-11-20", Format::Csv).await.unwrap(), world.view("2026-11-20").await.csv);
        assert_eq!(before, after, "not a byte");
        let next = world.view("2026-11-21").await;
        assert_eq!((next.lines, next.totals.0[0].corrections, next.totals.0[0].figures.total), (1, 1, -100));
        let csv = world.file("2026-11-21", Format::Csv).await.unwrap();
        assert!(csv.contains("d-2026-11-20-1,true") && csv.contains("our mistake"), "{csv}");
    });
}

#[test]
fn orders_are_confirmed_one_by_one_and_papers_go_both_ways() {
    virtual_time(async {
        let mut world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        world.policy.orders_max = 2;
        let world = world.restarted().await;
        world.settle(1, 1, 500).await;
        later(6 * HOUR).await;
        let id = "2026-11-20";
        for n in [1, 1, 2] {
            world.period(id, PeriodCommand::ConfirmOrder(order(n))).await.unwrap();
        }
        let third = PeriodCommand::ConfirmOrder(order(3));
        assert!(matches!(world.refused(id, third).await, Rejection::TooMany { most: 2, .. }));
        assert_eq!(world.view(id).await.orders_confirmed, 2);
        let paper = |side, reference: &str, minor| Paper {
            side,
            kind: PaperKind::Invoice,
            reference: reference.into(),
            amount: Money::new(minor, Currency::CNY),
            details: None,
        };
        for paper in
            [paper(Side::Operator, "I-1", 500), paper(Side::Operator, "I-1", 500), paper(Side::Partner, "I-1", 7)]
        {
            world.period(id, PeriodCommand::Note(paper)).await.unwrap();
        }
        let other = PeriodCommand::Note(paper(Side::Operator, "I-1", 501));
        assert_eq!(world.refused(id, other).await, Rejection::PaperDiffers);
        assert_eq!(world.view(id).await.papers.len(), 2);
        world.period(id, PeriodCommand::Settle { by: "ada".into(), note: "".into() }).await.unwrap();
        world.period(id, PeriodCommand::Note(paper(Side::Partner, "I-2", 7))).await.unwrap();
        later(91 * 24 * HOUR).await;
        let late = PeriodCommand::Note(paper(Side::Partner, "I-3", 7));
        assert_eq!(world.refused(id, late).await, Rejection::Unknown, "it has left memory");
        assert_eq!(world.view(id).await.papers.len(), 3);
        assert_eq!(world.refused("2020-01-01", PeriodCommand::Confirm).await, Rejection::Unknown);
    });
}

#[test]
fn a_rule_never_changes_what_is_stated() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        let rule = |from: &str, share| Rule {
            from: Timestamp::parse(from).unwrap(),
            site: None,
            shares: vec![Share { party: acme(), share }],
            remainder: "us".parse().unwrap(),
            by: "ada".into(),
        };
        world.book(BookCommand::PutRule(rule("2026-11-20T00:00:00+08:00", 1_000))).await.unwrap();
        world.settle(1, 1, 500).await;
        later(6 * HOUR).await;
        let early = world.book(BookCommand::PutRule(rule("2026-11-20T23:59:59+08:00", 2_000))).await;
        assert!(matches!(early, Err(Refusal::Rejected(Rejection::RuleTooEarly(_)))), "{early:?}");
        world.book(BookCommand::PutRule(rule("2026-11-21T00:00:00+08:00", 2_000))).await.unwrap();
        world.settle(2, 1, 500).await;
        later(24 * HOUR).await;
        for (id, part) in [("2026-11-20", 50), ("2026-11-21", 100)] {
            let view = world.view(id).await;
            assert_eq!((view.totals.0[0].shares[0].minor, view.balance[0].minor), (part, 500 - part));
        }
        let world = world.restarted().await;
        let look = |state: &State| match state {
            State::Book(book) => book.rules.len(),
            State::Period(_) => 0,
        };
        let partition = world.core.partition("acme").await.unwrap();
        assert_eq!(partition.state(&Key::Book).map(|state| look(&state)), Some(2));
    });
}

#[test]
fn a_file_whose_lines_have_changed_is_never_sent_whole() {
    virtual_time(async {
        let world = World::new("Asia/Shanghai", "2026-11-20T20:00:00+08:00").await;
        world.settle(1, 1, 500).await;
        let at = world.clock.now();
        later(6 * HOUR).await;
        assert!(world.file("2026-11-20", Format::Csv).await.is_ok());
        // A line that came by a clock that went backwards.
        let line = a_line(9, 1, at, 1);
        let claimed = world.journal.claim(&StreamName::new("charger", "CP2")).await.unwrap();
        let record = NewRecord { at, id: 7, body: Vec::new(), notices: Vec::new() };
        let append = Append { after: claimed.sequence, records: vec![record], rows: line::rows(&acme(), &line) };
        world.journal.append(&claimed.token, append).await.unwrap();
        assert!(matches!(world.file("2026-11-20", Format::Csv).await, Err(super::FileError::Changed { .. })));
    });
}
