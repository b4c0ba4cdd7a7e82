//! The catalogue as data: what each row injects, what must hold, what must really have happened, and the function that tries
//! it. The runner, `--list` and `docs/faults.md` are made from it.

use crate::scene::Scene;
use crate::{backlog, chargers, journal, machine, operations, partners, sessions, sockets, starts};
use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use std::time::Duration;

/// What a row needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// A C compiler, and a C library that lets itself be preloaded.
    Compiler,
    /// Root and loop devices: an image of a disk is mounted.
    Disk,
    /// Root and control groups that bound memory.
    Group,
}

/// How it is tried.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// In a scene of its own.
    Scene(for<'a> fn(&'a mut Scene) -> LocalBoxFuture<'a, Result<()>>),
    /// By the rig of `tests/powercut.rs`, with so many cuts.
    PowerCut(u32),
}

/// One fault.
pub(crate) struct Row {
    /// Its number in the catalogue.
    pub(crate) id: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) injected: &'static str,
    pub(crate) holds: &'static str,
    /// Of docs/invariants.md.
    pub(crate) invariants: &'static str,
    /// What must have moved, or the run counts for nothing.
    pub(crate) sometimes: &'static [&'static str],
    pub(crate) needs: Needs,
    /// Within the ordinary tests.
    pub(crate) quick: bool,
    /// It may take so long; more is a failure.
    pub(crate) limit: Duration,
    pub(crate) run: Run,
}

/// A row that is not here: what it is, and why or what covers it.
pub(crate) struct Elsewhere {
    pub(crate) ids: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) covered: &'static str,
}

macro_rules! row {
    ($id:literal, $fault:literal, $injected:literal, $holds:literal, $invariants:literal, $sometimes:expr, $run:path $(, $more:ident: $value:expr)*) => {
        Row {
            id: $id,
            fault: $fault,
            injected: $injected,
            holds: $holds,
            invariants: $invariants,
            sometimes: &$sometimes,
            $($more: $value,)*
            run: Run::Scene(|scene| Box::pin($run(scene))),
            ..ORDINARY
        }
    };
}

const ORDINARY: Row = Row {
    id: "",
    fault: "",
    injected: "",
    holds: "",
    invariants: "",
    sometimes: &[],
    needs: Needs::Nothing,
    quick: false,
    limit: Duration::from_secs(240),
    run: Run::PowerCut(0),
};

/// The rows that are tried, in the catalogue's order.
pub(crate) const ROWS: &[Row] = &[
    row!("C1", "socket drops after the request, before the answer", "every charger cuts its socket right after it has sent a StartTransaction",
        "the repeated message gets the same transaction id; one session", "I1, I8", ["answers lost"], chargers::drop_after_request, quick: true),
    row!(
        "C2",
        "answer lost",
        "the proxy throws away what the server answers, then cuts",
        "as C1, for starts and stops",
        "I1, I8",
        ["answers lost"],
        chargers::answer_lost
    ),
    row!(
        "C3",
        "duplicate message id, same body",
        "a charger by hand sends start and stop twice under one id",
        "the same answer, one record",
        "I1",
        ["repeats seen"],
        chargers::same_message_twice
    ),
    row!(
        "C4",
        "duplicate message id, other body",
        "two different starts under one id",
        "by CH-7 the second is another message, flagged `message_id_reused`; the first does not change",
        "I1, I8",
        ["reused ids seen"],
        chargers::same_id_other_body
    ),
    row!(
        "C5",
        "StartTransaction twice under new ids",
        "same connector, time and register four times, after a kill and after its own stop",
        "one transaction",
        "I4",
        ["starts repeated"],
        chargers::start_twice
    ),
    row!(
        "C7",
        "stop before start",
        "an offline queue in the wrong order",
        "joined when the start comes; nothing before that",
        "I8",
        ["stops before their start"],
        chargers::stop_before_start
    ),
    row!(
        "C8",
        "5,000 queued messages after three days offline",
        "a charger by hand sends 100 transactions of 48 readings, 50 messages ahead of their answers",
        "taken in at the configured rate, each transaction with its energy; another charger waits less than 3 s for a command",
        "I1, I8, I14",
        ["messages of three days", "commands of another charger meanwhile"],
        backlog::days_offline
    ),
    row!(
        "C11",
        "half-open socket",
        "the proxy holds both directions back: no FIN, no RST",
        "noticed within two ping intervals; a command under way and the next one each have a result",
        "I12",
        ["sockets found silent"],
        sockets::half_open
    ),
    row!(
        "C12",
        "one identity connects twice, both authenticated",
        "two chargers by hand",
        "newest wins, the older is closed, no message is answered to both",
        "I1, I12",
        ["takeovers"],
        sockets::taken_over
    ),
    row!(
        "C13",
        "flapping",
        "1,500 connections of one charger as fast as they go, at most 50 handshakes a second",
        "refused and counted; others served within 3 s; no flood of log lines; descriptors come back",
        "I9, I10, I14, I15",
        ["connections", "connections refused by rate"],
        sockets::flapping
    ),
    row!(
        "C15",
        "RemoteStartTransaction is never answered",
        "a charger by hand answers and starts after the deadline",
        "timed out and told; the late start is recorded and stopped; it is sent once",
        "I12",
        ["commands without answer", "late acceptances"],
        chargers::silent_on_remote_start
    ),
    row!(
        "C20",
        "a charger that reads nothing",
        "a window of 4 KB and a flood of heartbeats",
        "cut off; memory bounded; others served",
        "I10, I14",
        ["sockets found stuck"],
        sockets::reads_nothing
    ),
    row!("C21", "reconnect storm", "SIGKILL under a charging fleet that comes back without jitter, three times",
        "all are back within 30 s, no session is lost", "I1, I10, I11", ["chargers back at once"], sockets::storm, quick: true),
    row!("S1", "panic in a handler", "places `engine.decide`, `engine.stored` of chargers and of the partner, `gateway.call`, `api.claimed` panic 11 times",
        "rebuilt from the journal; every start is answered and charges", "I7, I9", ["panics hit", "entities rebuilt", "steps that broke after they were stored"], sessions::panics, quick: true),
    row!(
        "S2",
        "poisoned record",
        "place `engine.fold` panics for one charger each time it is read",
        "left alone at once, alert, others within 3 s; a person releases it",
        "I9, I14",
        ["folds that panicked", "entities quarantined"],
        sessions::poisoned_record
    ),
    row!(
        "S3",
        "panic between append and answer",
        "place `engine.stored` panics at starts and stops",
        "not answered; the repeated message finds the record",
        "I1",
        ["panics before the answer"],
        sessions::panic_before_the_answer
    ),
    row!(
        "S5",
        "two partners reserve one connector together",
        "1,000 races",
        "exactly one wins each",
        "I4",
        ["races won by the first", "races won by the second"],
        sessions::two_reserve_one
    ),
    row!(
        "S6",
        "reservation ends while the card is presented",
        "24 StartTransactions from 60 ms before its end to 60 ms after it",
        "let in and fulfilled, or over and refused; never both",
        "I4",
        ["arrived in time", "came too late"],
        sessions::expires_at_the_card
    ),
    row!(
        "S8",
        "deadlines in an outage",
        "1,000 reservations end while the process is down",
        "each ends once, in due order, not faster than `engine.overdue_per_second`",
        "I3, I13",
        ["deadlines of the outage"],
        sessions::deadlines_in_an_outage
    ),
    row!("S9", "wall clock jumps", "the shim moves the clock an hour ahead, an hour back, and ahead over a restart",
        "a hold of 4 s ends after 4 s; commands are taken", "I11, I13", ["jumps of the clock", "readings of the clock elsewhere"], sessions::clock_jumps, needs: Needs::Compiler),
    row!(
        "S12",
        "session open for 60 days",
        "a transaction with 100,000 readings, ten a message, and a kill after the tenth part of them and at the end",
        "memory does not grow with the readings; the last start takes less than a second longer than the first; the end is taken",
        "I1, I10",
        ["readings"],
        backlog::sixty_days
    ),
    row!("J1", "SIGKILL at random", "100 rounds under load, every fourth also in the midst of recovery",
        "nothing acknowledged is lost, nothing doubled", "I1 to I5, I7", ["kills", "acknowledged starts", "transactions"], journal::kills, quick: true, limit: Duration::from_secs(900)),
    Row {
        id: "J2",
        fault: "power cut at random",
        injected: "ext4 shut down without its log, 200 rounds",
        holds: "opens by itself with everything acknowledged",
        invariants: "I1, I7",
        sometimes: &["power cuts"],
        needs: Needs::Disk,
        run: Run::PowerCut(200),
        ..ORDINARY
    },
    Row {
        id: "J3",
        fault: "power cut while the store is made",
        injected: "every fifth cut within 200 ms of the first start",
        holds: "opens or is made anew",
        invariants: "I1, I7",
        sometimes: &["power cuts"],
        needs: Needs::Disk,
        run: Run::PowerCut(10),
        ..ORDINARY
    },
    row!("J5", "disk full", "an image of 96 MB is filled under the running server",
        "new starts are refused, stops taken from the reserve; opens on the full disk; goes on once there is room", "I1, I11", ["times full", "starts refused", "stops taken from the reserve"], journal::disk_full, needs: Needs::Disk),
    row!("J7", "fsync fails once", "the shim answers EIO",
        "the process ends with status 70 and says why; never retried and believed", "I1", ["fsync errors injected"], journal::sync_fails, needs: Needs::Compiler),
    row!("J8", "fsync takes 300 ms, 3 s, 30 s", "the shim waits",
        "no answer before the sync; beyond `api.request_deadline` the outcome is not known, and the same request finds out", "I1, I2", ["slow syncs", "answers that timed out"], journal::sync_is_slow, needs: Needs::Compiler),
    row!(
        "J9",
        "bit flip",
        "40 places over the whole of the store's file, one at a time",
        "refused with words, or it does not matter; never less in silence",
        "I1",
        ["flips refused"],
        journal::flipped_bit
    ),
    row!(
        "J10",
        "truncated tail",
        "1 byte to 100 kB are missing; a record that nobody was told of is torn",
        "what was acknowledged is there or the start is refused; the torn record is dropped",
        "I1, I2",
        ["cuts refused", "torn records"],
        journal::torn_tail
    ),
    row!(
        "J12",
        "two processes, one journal",
        "a second server on the first one's journal",
        "the second refuses with words, the first serves",
        "I6",
        ["second processes refused"],
        journal::two_processes
    ),
    row!(
        "J13",
        "descriptors exhausted",
        "256 descriptors, and 512 strangers at the chargers' door who come again each time",
        "turned away and counted; partners start, chargers obey, a backup is made, nobody meets the limit",
        "I1, I10, I14",
        ["chargers turned away"],
        machine::descriptors_exhausted,
        quick: true
    ),
    row!("J15", "killed at each step of a start", "a kill before, and again in the midst of, each call by which a start, a first one too, changes the journal's files",
        "the next start is ready and has every session; ours, beyond the catalogue's numbers", "I1, I11", ["starts killed"], starts::each_step,
        needs: Needs::Compiler, quick: true),
    row!(
        "W1",
        "endpoint answers 500, then is well",
        "a sink by script",
        "waits by schedule with jitter; everything comes, in order",
        "I3",
        ["tries that failed", "waits between two tries"],
        partners::failing_endpoint
    ),
    row!(
        "W2",
        "endpoint takes the event and answers after 60 s",
        "a sink by script",
        "timed out, told again under the same id; the endpoint beside it hears within 2 s",
        "I3, I14",
        ["tries that timed out", "events of the endpoint beside it"],
        partners::slow_endpoint
    ),
    row!(
        "W4",
        "410, redirect inwards, no TLS, no such name",
        "four more partners",
        "410 disables; the redirect is not followed; the others are tried again",
        "I3, I15",
        ["endpoints disabled by 410", "redirects answered", "failed challenges"],
        partners::hopeless_endpoints
    ),
    row!("W5", "crash after a delivery, before it is written down", "place `webhook.delivered` ends the process",
        "told again under the same id", "I3", ["crashes after a delivery", "redeliveries"], partners::crash_after_delivery, quick: true),
    row!("P1", "one request id at once", "100 connections",
        "one session, one answer", "I2", ["repeats"], partners::one_request_many_times, quick: true),
    row!(
        "P2",
        "crash in a request",
        "places `api.claimed`, `engine.stored`, `journal.flushed`: ends and panics",
        "the repeated request gets the one order",
        "I1, I2",
        ["crashes in a request"],
        partners::crash_in_a_request
    ),
    row!(
        "P3",
        "one request id, another body",
        "another connector, another call, before and after a kill",
        "409, nothing changes",
        "I2",
        ["conflicts"],
        partners::one_id_two_bodies
    ),
    row!("M1", "crash anywhere in closing a session", "150 ends at six places while users with accounts charge, pay and reserve",
        "the books verify after each; one bill an order, nothing stays frozen", "I5", ["ends in a closing", "looks at the books", "payments", "orders settled"], operations::ends_while_closing, limit: Duration::from_secs(1_200)),
    row!(
        "M2",
        "all records and all events twice",
        "two replays of every event, two folds of the whole journal",
        "books, sessions and bills are the same",
        "I5, I7",
        ["events replayed", "folds of the whole journal"],
        operations::everything_twice
    ),
    row!(
        "O1",
        "rolling restart under load",
        "SIGTERM ten times",
        "each drains within 10 s and ends well",
        "I1, I11",
        ["restarts", "acknowledged starts", "milliseconds of the longest drain"],
        operations::rolling_restart
    ),
    row!(
        "O2",
        "restart storm",
        "place `engine.decide` panics for every charger, always",
        "the budget of the process trips; partners are served; a start begins anew",
        "I9",
        ["rules that panicked", "restarts of actors"],
        operations::restart_storm
    ),
    row!("O3", "log disk full, metrics scrapers hang", "an image with the log lines and the message log is filled; 20 scrapers ask and do not read",
        "charging goes on, what is not logged is counted, frames are kept again once there is room", "I1, I11", ["frames not kept", "log lines lost", "scrapers that hang"], machine::logs_without_room, needs: Needs::Disk),
    row!("O4", "memory pressure", "a control group bounds the server's memory; 600 chargers come again each time, and hold 60 kB of a message that does not end",
        "newcomers are turned away before the system kills; those who are in charge and obey; newcomers come in once there is room", "I1, I9, I14",
        ["newcomers turned away"], machine::memory_short, needs: Needs::Group, quick: true),
];

/// The rest of the catalogue.
pub(crate) const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        ids: "C6, C9, C10, C14, C16, C17, S10, S11",
        fault: "odd transactions, clocks, registers, faults",
        covered: "[odd-transactions.md](odd-transactions.md) names a test for each; the simulation draws them",
    },
    Elsewhere {
        ids: "C18, C19",
        fault: "garbage, fragments, one byte a second",
        covered: "`cargo xtask fuzz`, `gateway::tests::frames`, `cargo xtask bench hostile`",
    },
    Elsewhere { ids: "C22", fault: "swizzle-clog", covered: "the simulation's silent and dropped links" },
    Elsewhere { ids: "S4", fault: "mailbox full", covered: "`actors::engine::tests`" },
    Elsewhere { ids: "S7", fault: "cancel races start", covered: "`tests/it/reservations.rs`" },
    Elsewhere {
        ids: "J4",
        fault: "power cut during compaction, snapshot",
        covered: "the power-cut rig cuts at random moments, snapshots among them",
    },
    Elsewhere { ids: "J6", fault: "disk full at start-up", covered: "J5 and `tests/powercut/full.rs`" },
    Elsewhere { ids: "J11", fault: "old and new versions", covered: "`tests/journal_compat.rs`" },
    Elsewhere {
        ids: "J14",
        fault: "yesterday's backup restored",
        covered: "`persistence::sled::tests`, `tests/it/tools.rs`",
    },
    Elsewhere { ids: "E1 to E8", fault: "scaled-out engine", covered: "there is one node as yet" },
    Elsewhere {
        ids: "W3, W9",
        fault: "bodies that dribble or never end, many dead endpoints",
        covered: "`actors::webhook::sender::tests`, `cargo xtask bench hostile`",
    },
    Elsewhere {
        ids: "W6, W7, W8",
        fault: "slow partner, rotated secret, endpoint removed",
        covered: "`tests/it/endpoints.rs`, the simulation",
    },
    Elsewhere {
        ids: "P4, P5",
        fault: "cancel during RemoteStart, commands to one offline charger",
        covered: "`domain::charger::tests`, the simulation",
    },
    Elsewhere {
        ids: "M3, M4, M5",
        fault: "tariff changes, late stops, rounding",
        covered: "`tests/bills.rs`, `domain::pricing`, `domain::order::tests`",
    },
    Elsewhere { ids: "O5", fault: "certificate ends", covered: "`gateway::tests::tls`" },
];
