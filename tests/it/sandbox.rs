//! The sandbox as a partner meets it: every connector does what `docs/sandbox.md` says (EM-13).

use crate::rig::{BINARY, Rig};
use loadtest::fleet::partner_of;
use loadtest::partner::PartnerClient;
use loadtest::sandbox::SCRIPTS;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The latest thing is a late start, some 20 s after its begin; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is seen in the end, at connector 1, 2, …: status, end reason or failure, a flag.
const SEEN: [(&str, &str, Option<&str>); SCRIPTS.len()] = [
    ("Ended", "user_stop", None),
    ("Failed", "plug_not_connected", None),
    ("Failed", "no_confirmation", None),
    ("Failed", "no_confirmation", None),
    ("Failed", "no_confirmation", Some("late_start")),
    ("Ended", "user_stop", None),
    ("Ended", "user_stop", None),
    ("Ended", "user_stop", None),
    ("Ended", "user_stop", Some("meter_backwards")),
    ("Ended", "fault", None),
    ("Ended", "plug_pulled", None),
];

async fn start(rig: &Rig) -> Child {
    let directory = rig.path("sandbox");
    let mut child = Command::new(BINARY)
        .args(["sandbox", "--chargers", "4", "--directory"])
        .arg(&directory)
        .arg("--config")
        .arg(rig.server.config())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let shown = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("connector 11") {
                return;
            }
        }
        panic!("it ended before it was ready");
    };
    tokio::time::timeout(PATIENCE, shown).await.unwrap();
    // What follows is few lines, which fit into the pipe.
    std::mem::forget(lines);
    child
}

fn failure(session: &Value) -> String {
    let told = session["failure"]["code"].as_str().or(session["end_reason"].as_str());
    told.unwrap_or_default().to_owned()
}

async fn session(partner: &PartnerClient, id: &str) -> Value {
    partner.get(&format!("/sessions/{id}")).await.unwrap().unwrap()
}

/// A session at that connector, stopped by the partner if it lasts; what is seen of it when it is over.
async fn at(partner: &PartnerClient, connector: usize) -> Value {
    // Those that lose their socket, and the one that keeps every other command waiting, have a charger each.
    let charger = match connector {
        3 => "sandbox-2",
        6 => "sandbox-3",
        7 => "sandbox-4",
        _ => "sandbox-1",
    };
    let begun = Instant::now();
    let mut attempt = 0;
    let id = loop {
        // An answer is bound to its request_id: another attempt is another request.
        attempt += 1;
        let body = json!({"request_id": format!("c{connector}-{attempt}"), "charger_id": charger, "connector_id": connector,
            "user": {"id": "u"}});
        let (status, answer) = partner.post("/sessions", &body).await.unwrap();
        if status == 202 {
            break answer["session_id"].as_str().unwrap().to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let (wanted, reason, flag) = SEEN[connector - 1];
    let (mut asked, mut seen) = (None, session(partner, &id).await);
    loop {
        let flagged = flag.is_none_or(|flag| seen["flags"].as_array().unwrap().contains(&flag.into()));
        if seen["status"] == wanted && failure(&seen) == reason && flagged {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "connector {connector}, not {wanted} {reason} {flag:?}: {seen}");
        let long = if connector == 6 { Duration::from_secs(22) } else { Duration::from_secs(8) };
        if reason == "user_stop" && begun.elapsed() > long && flagged && asked.is_none() && seen["status"] == "Charging"
        {
            let stop = json!({"request_id": format!("stop-{connector}")});
            asked = Some(partner.post(&format!("/sessions/{id}/stop"), &stop).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        seen = session(partner, &id).await;
    }
}

#[tokio::test]
async fn every_connector_does_what_the_documents_say() {
    let rig = Rig::stopped();
    let mut child = start(&rig).await;
    let url = format!("http://127.0.0.1:{}/api/v1", rig.server.ports().partner);
    let partner = partner_of(&rig.path("sandbox/fleet"), &url).unwrap();
    let all = futures_util::future::join_all((1..=SCRIPTS.len()).map(|connector| at(&partner, connector))).await;
    assert!(all[0]["bill"]["total"]["minor"].as_i64().unwrap() > 0, "{}", all[0]);
    let review = partner.get(&format!("/orders/{}", all[8]["session_id"].as_str().unwrap())).await.unwrap().unwrap();
    assert_eq!(review["status"], "UnderReview", "{review}");
    // Again: the same access.
    child.kill().await.unwrap();
    let _again = start(&rig).await;
    let begun = Instant::now();
    while partner.get("/sessions?limit=1").await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "another access, or no server");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
