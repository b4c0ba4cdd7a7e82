//! Tells operators (OP-5): every alert is logged, counted, and kept in the platform's journal, with a ticket where a person
//! must act. Owns the way there; never the decision to raise one.

use super::engine::{HostAddr, Refusal};
use crate::domain::platform::{Alert, Command, PARTITION, Platform, PlatformFamily};
use crate::persistence::StreamName;
use crate::telemetry::metrics::engine as metrics;
use std::fmt::Display;
use std::time::Duration;
use tokio::sync::mpsc;

/// Alerts that wait to be kept. More at once than this are a storm: they are still logged and counted.
const WAITING: usize = 1024;

/// How often it is tried again while the journal has no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// How often an alert is tried to be kept before it is left to the log alone.
const TRIES: u32 = 5;

/// Where alerts go. Cheap to clone, callable from any thread, never blocks.
#[derive(Debug, Clone)]
pub struct Alerts {
    sender: mpsc::Sender<Alert>,
}

/// The other end of [`Alerts`], to be run by [`keep`].
#[derive(Debug)]
pub struct Waiting(mpsc::Receiver<Alert>);

#[cfg(test)]
impl Waiting {
    /// The next one, if there is one.
    pub(crate) fn next_now(&mut self) -> Option<Alert> {
        self.0.try_recv().ok()
    }
}

/// A way for alerts, and its end.
pub fn channel() -> (Alerts, Waiting) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Alerts { sender }, Waiting(receiver))
}

#[cfg(test)]
impl Waiting {
    /// The next alert that waits.
    pub(crate) fn next(&mut self) -> Option<Alert> {
        self.0.try_recv().ok()
    }
}

impl Alerts {
    /// Tells the operators.
    pub fn raise(&self, alert: Alert) {
        announce(&alert.level, &alert.code, &alert.subject, &alert.text);
        if self.sender.try_send(alert).is_err() {
            metrics::ALERTS_NOT_KEPT.add(1, []);
        }
    }
}

/// Logs and counts an alert. Enough for one whose row is written already.
pub fn announce(level: &str, code: &str, subject: &str, text: &str) {
    match level {
        "critical" => {
            metrics::ALERTS.add(1, ["critical"]);
            tracing::error!(target: "alert", code, subject, text);
        }
        "warning" => {
            metrics::ALERTS.add(1, ["warning"]);
            tracing::warn!(target: "alert", code, subject, text);
        }
        _ => {
            metrics::ALERTS.add(1, ["info"]);
            tracing::info!(target: "alert", code, subject, text);
        }
    }
}

/// The alert of an entity that is left alone (RT-2).
pub fn quarantined(stream: &StreamName, key: &impl Display, cause: &str) -> Alert {
    Alert {
        code: "quarantined".to_owned(),
        level: "critical".to_owned(),
        subject: format!("{stream} {key}"),
        text: format!("it failed too often and is left alone until released: {cause}"),
        ticket: true,
    }
}

/// Keeps alerts in the platform's journal until the last [`Alerts`] is dropped.
pub async fn keep(mut waiting: Waiting, platform: HostAddr<PlatformFamily>) {
    while let Some(alert) = waiting.0.recv().await {
        let mut kept = false;
        let mut attempt = 0;
        while attempt < TRIES {
            match platform.ask(PARTITION, Platform, Command::Raise(alert.clone())).await {
                Ok(_) => {
                    kept = true;
                    break;
                }
                // Most of all the alert that there is no room must be found later (RT-7).
                Err(Refusal::Full) => tokio::time::sleep(NO_ROOM).await,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(attempt)).await;
                    attempt += 1;
                }
            }
        }
        if !kept {
            metrics::ALERTS_NOT_KEPT.add(1, []);
        }
    }
}
