//! A platform charges over T/CEC 102 at the real binary: `examples/partner/tcec.py`, whose cryptography is a public library's
//! (EM-11). The charger is ours.

use crate::rig::{CHARGER, PARTNER, Rig};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long the whole example may take.
const WHOLE: Duration = Duration::from_secs(90);

/// The Python that has `cryptography`: that of the peers' environment, or the system's.
fn python() -> String {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
    let candidates = [peers.display().to_string(), "python3".to_owned()];
    let works = |python: &&String| {
        let asked = std::process::Command::new(python).args(["-c", "import cryptography"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    candidates
        .iter()
        .find(works)
        .cloned()
        .expect("Python with the package `cryptography` (tests/peers/requirements.txt)")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A partner that speaks T/CEC 102 and a tariff; the example's settings.
async fn agreed(rig: &Rig) -> Value {
    let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
        "from": "00:00", "to": "24:00", "electricity": 12_345, "service": 6500}]});
    rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
    rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
    let listen = free_port();
    let ours = json!({"operator_secret": "their-secret", "data_secret": "abcdef0123456789",
        "data_secret_iv": "9876543210fedcba", "sig_secret": "their-signature-key"});
    let put = json!({"operator_id": "123456789", "own_id": "987654321", "base_url": format!("http://127.0.0.1:{listen}/evcs/v1"),
        "outbound": ours, "dialect": {"charge_status_every_s": 10, "reconcile_minute": null},
        "stations": {"every": {"area_code": "110105", "service_tel": "4000000000"}}});
    let set = rig.order("ada", "PUT", &format!("/partners/{PARTNER}/tcec"), &put).await;
    let url = format!("http://127.0.0.1:{}/evcs/v20160701", rig.server.ports().partner);
    json!({"url": url, "listen": listen, "operator_id": "123456789", "connector_id": format!("{CHARGER}01"),
        "theirs": set["inbound"], "ours": ours})
}

#[tokio::test]
async fn a_platform_charges_over_tcec_with_cryptography_that_is_not_ours() {
    // A meter that jumps in a moment is to be believed here.
    let power = "[session]\nmax_power_w = 10000000\n\n";
    let rig = Rig::start_with("http://127.0.0.1:9/", |text| power.to_owned() + text).await;
    let settings = agreed(&rig).await;
    let file = rig.path("tcec.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/partner/tcec.py");
    let mut command = Command::new(python());
    command.arg(script).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut example = command.spawn().unwrap();
    let (mut out, mut errors) = (example.stdout.take().unwrap(), example.stderr.take().unwrap());
    let listen = u16::try_from(settings["listen"].as_u64().unwrap()).unwrap();
    let charging = async {
        // First the platform, so that it is told of the first status.
        while tokio::net::TcpStream::connect(("127.0.0.1", listen)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut charger = rig.charger().await;
        let (transaction, _) = charger.begin(1, 1000).await;
        charger.status(1, "Charging").await;
        charger.meter(1, transaction, 1_845).await;
        charger.asked("RemoteStopTransaction").await;
        let stop = json!({"transactionId": transaction, "meterStop": 1_845, "reason": "Remote",
            "timestamp": crate::charger::now()});
        charger.call("StopTransaction", stop).await;
        charger.status(1, "Available").await;
    };
    let said = async {
        let (mut text, mut error) = (String::new(), String::new());
        let (read, failed) = tokio::join!(out.read_to_string(&mut text), errors.read_to_string(&mut error));
        read.and(failed).unwrap();
        (text, error)
    };
    let ((text, error), ()) = tokio::select! {
        both = async { tokio::join!(said, charging) } => both,
        () = tokio::time::sleep(WHOLE) => panic!("it does not end\n{}", rig.log()),
    };
    assert!(text.lines().last() == Some("done"), "{text}\n{error}\n{}", rig.log());
    assert!(text.contains("notification_stationStatus"), "{text}");
    let status = rig.ops(&format!("/ops/v1/partners/{PARTNER}/webhook")).await;
    assert_eq!((&status["dead_letters"], &status["enabled"]), (&json!(0), &json!(true)), "{status}");
}
