//! The demonstration's table. Pure: a snapshot in, text out.

use crate::partner::Received;
use std::fmt::Write;

/// Rows of the sessions' table; more are counted only.
const SESSIONS: usize = 24;

/// One open session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionRow {
    /// Its id.
    pub session_id: String,
    /// The charger.
    pub charger: String,
    /// The connector, 1, 2, ….
    pub connector: u16,
    /// As the server says.
    pub status: String,
    /// As the charger's display says.
    pub connector_status: String,
    /// Energy as the server knows it, Wh.
    pub energy_wh: i64,
    /// Energy on the charger's display, Wh.
    pub display_wh: i64,
    /// Power on the charger's display, W.
    pub power_w: i64,
    /// Since its start, s.
    pub duration_s: i64,
}

/// One push received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushRow {
    /// Its type.
    pub event_type: String,
    /// Its place within the session.
    pub sequence: Option<u64>,
    /// What it is about.
    pub order_key: String,
    /// Since its arrival, s.
    pub age_s: i64,
    /// From its making to its arrival, ms.
    pub took_ms: i64,
    /// How often it has come.
    pub attempt: u32,
    /// Whether its signature held.
    pub verified: bool,
}

impl PushRow {
    /// As of `now_ms`.
    pub(super) fn from_received(r: Received, now_ms: i64) -> Self {
        PushRow {
            age_s: (now_ms - r.arrived_ms).max(0) / 1_000,
            took_ms: (r.arrived_ms - r.created_ms).max(0),
            event_type: r.event_type,
            sequence: r.sequence,
            order_key: r.order_key,
            attempt: r.attempt,
            verified: r.verified,
        }
    }
}

/// What there is to see at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// What and where to look.
    pub urls: Vec<(String, String)>,
    /// Chargers of the fleet.
    pub chargers: usize,
    /// Those whose socket is open.
    pub online: usize,
    /// Open sessions.
    pub sessions: Vec<SessionRow>,
    /// Newest first.
    pub pushes: Vec<PushRow>,
    /// Deliveries that wait at the server.
    pub queue_depth: Option<u64>,
    /// The oldest of them, s.
    pub queue_age_s: Option<u64>,
    /// Messages that wait in the chargers' own queues.
    pub charger_queue: usize,
    /// Starts answered 202 since this process began.
    pub starts_accepted: u64,
    /// Stops answered 202 since this process began.
    pub stops_accepted: u64,
    /// Pushes that the partner took.
    pub pushes_accepted: u64,
    /// Pushes whose signature did not hold.
    pub pushes_unverified: u64,
}

fn queue(snapshot: &Snapshot) -> String {
    match (snapshot.queue_depth, snapshot.queue_age_s) {
        (Some(depth), Some(age)) if depth > 0 => format!("{depth} (oldest {age} s)"),
        (Some(depth), _) => depth.to_string(),
        (None, _) => "?".to_owned(),
    }
}

/// Everything, for a terminal.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = String::from("Chargeline demo (Ctrl-C ends it; start it again and every session goes on)\n");
    for (what, url) in &snapshot.urls {
        line(&mut text, format_args!("  {what:<16} {url}"));
    }
    line(
        &mut text,
        format_args!(
            "\nchargers online {}/{}   starts {}   stops {}   pushes {}   waiting: webhooks {}, in chargers {}",
            snapshot.online,
            snapshot.chargers,
            snapshot.starts_accepted,
            snapshot.stops_accepted,
            snapshot.pushes_accepted,
            queue(snapshot),
            snapshot.charger_queue,
        ),
    );
    if snapshot.pushes_unverified > 0 {
        line(&mut text, format_args!("pushes with a wrong signature: {}", snapshot.pushes_unverified));
    }
    sessions(&mut text, &snapshot.sessions);
    pushes(&mut text, &snapshot.pushes);
    text
}

fn sessions(text: &mut String, rows: &[SessionRow]) {
    line(text, format_args!("\nsessions open: {}", rows.len()));
    line(
        text,
        format_args!(
            "  {:<14} {:>2}  {:<12} {:<13} {:>10} {:>10} {:>8} {:>6}  {}",
            "charger", "c", "session", "display", "energy", "display", "power", "time", "id"
        ),
    );
    for row in rows.iter().take(SESSIONS) {
        line(
            text,
            format_args!(
                "  {:<14} {:>2}  {:<12} {:<13} {:>7} Wh {:>7} Wh {:>5} kW {:>4} s  {}",
                row.charger,
                row.connector,
                row.status,
                row.connector_status,
                row.energy_wh,
                row.display_wh,
                row.power_w / 1_000,
                row.duration_s,
                row.session_id,
            ),
        );
    }
    if rows.len() > SESSIONS {
        line(text, format_args!("  and {} more", rows.len() - SESSIONS));
    }
}

fn pushes(text: &mut String, rows: &[PushRow]) {
    line(text, format_args!("\npushes received, newest first"));
    for row in rows {
        let sequence = row.sequence.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let again = if row.attempt > 1 { format!(" (time {})", row.attempt) } else { String::new() };
        let forged = if row.verified { "" } else { " SIGNATURE WRONG" };
        line(
            text,
            format_args!(
                "  {:<20} {:>3}  {:>4} s ago, after {:>5} ms  {}{again}{forged}",
                row.event_type, sequence, row.age_s, row.took_ms, row.order_key
            ),
        );
    }
}

/// The same in one line, for a log.
pub fn summary_line(snapshot: &Snapshot) -> String {
    let energy: i64 = snapshot.sessions.iter().map(|s| s.energy_wh).sum();
    format!(
        "demo: chargers {}/{}, sessions open {} ({energy} Wh), starts {}, stops {}, pushes {}, webhooks waiting {}, \
         in chargers {}",
        snapshot.online,
        snapshot.chargers,
        snapshot.sessions.len(),
        snapshot.starts_accepted,
        snapshot.stops_accepted,
        snapshot.pushes_accepted,
        queue(snapshot),
        snapshot.charger_queue,
    )
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let session = SessionRow {
            session_id: "ses_1".into(),
            charger: "demo-00003".into(),
            connector: 2,
            status: "Charging".into(),
            connector_status: "Charging".into(),
            energy_wh: 420,
            display_wh: 433,
            power_w: 58_900,
            duration_s: 31,
        };
        let push = PushRow {
            event_type: "session.started".into(),
            sequence: Some(1),
            order_key: "session/ses_1".into(),
            age_s: 4,
            took_ms: 12,
            attempt: 2,
            verified: true,
        };
        Snapshot {
            urls: vec![("metrics".into(), "http://127.0.0.1:9100/metrics".into())],
            chargers: 20,
            online: 19,
            sessions: vec![session],
            pushes: vec![push],
            queue_depth: Some(3),
            queue_age_s: Some(7),
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_table_shows_sessions_pushes_queues_and_urls() {
        let text = render(&snapshot());
        for part in [
            "metrics          http://127.0.0.1:9100/metrics",
            "chargers online 19/20",
            "webhooks 3 (oldest 7 s)",
            "  demo-00003      2  Charging     Charging          420 Wh     433 Wh    58 kW   31 s  ses_1",
            "  session.started        1     4 s ago, after    12 ms  session/ses_1 (time 2)",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("SIGNATURE"));
    }

    #[test]
    fn a_wrong_signature_stands_out_and_an_unknown_queue_is_no_zero() {
        let mut snapshot = snapshot();
        snapshot.pushes[0].verified = false;
        (snapshot.pushes_unverified, snapshot.queue_depth) = (1, None);
        let text = render(&snapshot);
        assert!(text.contains("SIGNATURE WRONG") && text.contains("pushes with a wrong signature: 1"));
        assert!(text.contains("webhooks ?,"));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let mut snapshot = snapshot();
        snapshot.sessions = vec![snapshot.sessions[0].clone(); 30];
        assert!(render(&snapshot).contains("and 6 more"));
        assert!(render(&snapshot).contains("sessions open: 30"));
    }

    #[test]
    fn the_line_for_a_log_has_the_sums() {
        let line = summary_line(&snapshot());
        assert!(line.starts_with("demo: chargers 19/20, sessions open 1 (420 Wh)"), "{line}");
        assert!(!line.contains('\n'));
    }
}
