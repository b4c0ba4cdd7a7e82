//! Operators over the engine on virtual time with a memory journal: the directory follows what is durable, over restarts too; old
//! lines go and the rest verifies; what nobody agrees to expires.

use super::*;
use crate::actors::engine::pacer::Pacer;
use crate::actors::engine::restarts::RestartBudget;
use crate::actors::engine::{Environment, HostCore};
use crate::clock::{RuntimeClock, SharedClock};
use crate::domain::operator::account::{OperatorOrder, Profile};
use crate::domain::operator::approval::{Act, Approval, ApprovalOrder, Status};
use crate::domain::operator::trail::{Line, Trail, TrailOrder, Verifying};
use crate::domain::operator::{Command, PARTITION, Rejection, Reply, Role};
use crate::ids::ApprovalId;
use crate::persistence::{Journal as _, MemoryJournal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct World {
    clock: SharedClock,
    journal: Arc<MemoryJournal>,
    operators: Arc<Operators>,
    core: Rc<HostCore<OperatorFamily>>,
}

impl World {
    fn new() -> Self {
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp(1_700_000_000_000)));
        let journal = MemoryJournal::new(&clock);
        Self::over(clock, journal)
    }

    fn over(clock: SharedClock, journal: Arc<MemoryJournal>) -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let limits = crate::config::load::from_text(None, &[]).unwrap().config.engine;
        let operators = Arc::<Operators>::default();
        let core = HostCore::new(Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(|| (u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)) << 64) | 7),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window))),
            limits,
            shell: Rc::new(OperatorShell { operators: Arc::clone(&operators), alerts: alerts::channel().0 }),
        });
        core.env().pacer.open();
        World { clock, journal, operators, core }
    }

    async fn restarted(&self) -> Self {
        let next = Self::over(self.clock.clone(), self.journal.reopen());
        next.core.recover(vec![PARTITION.to_owned()], Duration::ZERO).await;
        next
    }

    async fn ask(&self, key: Key, command: Command) -> Result<Reply, Rejection> {
        match self.core.ask(PARTITION, key, command).await {
            Ok(reply) => Ok(reply),
            Err(crate::actors::engine::Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn operator(&self, order: OperatorOrder) {
        self.ask(Key::Operator("ada".parse().unwrap()), Command::Operator(order)).await.unwrap();
    }

    async fn line(&self, n: usize) {
        let line = Line {
            actor: "ada".into(),
            token: None,
            address: "127.0.0.1".into(),
            action: format!("PUT /{n}").into(),
            target: "x".into(),
            status: 200,
            code: None,
            request_id: None,
            trace_id: "t".into(),
        };
        self.ask(Key::Trail, Command::Trail(TrailOrder::Note(Box::new(line)))).await.unwrap();
    }

    /// The lines there are, and whether they are as they were written.
    async fn lines(&self) -> (usize, bool) {
        let ends = self.journal.row(rows::AUDIT_ENDS, PARTITION).await.unwrap().unwrap();
        let mut verifying = Verifying::begin(serde_json::from_slice::<Trail>(&ends).unwrap());
        let found = self.journal.rows(rows::AUDIT, "", None, 10_000).await.unwrap();
        let all = found.iter().all(|row| verifying.line(&serde_json::from_slice(&row.value).unwrap()));
        (found.len(), all && verifying.end().sound)
    }

    async fn approval(&self, id: ApprovalId) -> Approval {
        let row = self.journal.row(rows::APPROVAL, &id.to_string()).await.unwrap().unwrap();
        serde_json::from_slice(&row).unwrap()
    }
}

fn run(test: impl Future<Output = ()>) {
    actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    })
    .block_on(test);
}

fn token(now: Timestamp) -> Token {
    let (label, digest, by) = ("laptop".into(), Digest("h1:x".into()), "root".into());
    Token { label, digest, created: now, by, expires: now + Duration::from_secs(3600), revoked: None, used: None }
}

#[test]
fn a_token_opens_once_it_is_durable_and_nothing_once_it_is_revoked_over_restarts_too() {
    run(async {
        let world = World::new();
        let now = world.clock.now();
        let profile = Profile { name: "Ada".into(), roles: Roles::from([Role::Support]) };
        world.operator(OperatorOrder::Define { profile, by: "root".into() }).await;
        for id in ["a", "b"] {
            assert!(world.operators.admitted(id, now).is_none());
            world.operator(OperatorOrder::AddToken { id: id.into(), token: Box::new(token(now)) }).await;
            assert_eq!(world.operators.admitted(id, now).unwrap().roles, Roles::from([Role::Support]));
        }
        world.operator(OperatorOrder::RevokeToken { id: "a".into() }).await;
        // As at a start: from the rows, before anything is asked.
        let next = world.restarted().await;
        for row in next.journal.rows(rows::OPERATOR, "", None, 9).await.unwrap() {
            next.operators.put(&row.key.parse().unwrap(), &serde_json::from_slice(&row.value).unwrap());
        }
        for world in [&world, &next] {
            assert!(world.operators.admitted("a", now).is_none() && world.operators.admitted("b", now).is_some());
            assert!(world.operators.admitted("b", now + Duration::from_secs(3600)).is_none(), "it is over");
        }
        next.operator(OperatorOrder::Suspend { reason: Some("left".into()), by: "root".into() }).await;
        assert!(next.operators.admitted("b", now).is_none());
    });
}

#[test]
fn old_lines_go_in_their_order_and_the_rest_verifies_over_restarts_too() {
    run(async {
        let mut world = World::new();
        for n in 0..PRUNED_AT_ONCE + 20 {
            world.line(n).await;
        }
        tokio::time::advance(Duration::from_secs(100)).await;
        let before = world.clock.now();
        for n in 0..30 {
            world.line(n).await;
        }
        world = world.restarted().await;
        assert_eq!(world.lines().await, (PRUNED_AT_ONCE + 50, true));
        let old = async |world: &World| {
            let journal: SharedJournal = world.journal.clone();
            old_lines(&journal, before).await.unwrap()
        };
        for left in [50, 30] {
            let old = old(&world).await;
            world.ask(Key::Trail, Command::Trail(TrailOrder::Prune(old))).await.unwrap();
            world = world.restarted().await;
            assert_eq!(world.lines().await, (left, true));
        }
        assert!(old(&world).await.is_empty());
        world.line(0).await;
        assert_eq!(world.lines().await, (31, true));
    });
}

#[test]
fn what_nobody_agrees_to_in_time_expires_also_while_the_process_was_away() {
    run(async {
        let mut world = World::new();
        let ids = [1, 2, 3].map(|n| ApprovalId(uuid::Uuid::from_u128(n)));
        for (id, valid) in ids.into_iter().zip([60, 200, 200]) {
            let act = Act::EraseUser { partner: "acme".parse().unwrap(), user: "u".into() };
            let propose = ApprovalOrder::Propose { act, by: "ada".into(), valid: Duration::from_secs(valid) };
            world.ask(Key::Approval(id), Command::Approval(propose)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(
            (world.approval(ids[0]).await.status, world.approval(ids[1]).await.status),
            (Status::Expired, Status::Waiting)
        );
        let agree = Command::Approval(ApprovalOrder::Agree { by: "bob".into() });
        world.ask(Key::Approval(ids[2]), agree).await.unwrap();
        tokio::time::advance(Duration::from_secs(200)).await;
        world = world.restarted().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let statuses = [world.approval(ids[1]).await.status, world.approval(ids[2]).await.status];
        assert_eq!(statuses, [Status::Expired, Status::Agreed], "what was agreed to is still to be done");
        let open = world.journal.rows(rows::APPROVAL_OPEN, "", None, 9).await.unwrap();
        assert_eq!(open.len(), 1);
    });
}
