//! What people do at the charger, and the restart into new firmware that one of them begins (OCPP 1.6 §4.5, §5.19).

use super::device::{CallKind, Device};
use serde_json::json;

/// From the order to the restart: the statuses before it are told by then, or never.
const INSTALL_MS: i64 = 3_000;

/// What people do at the charger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtCharger {
    /// A card is held to the reader: starts, or stops what this card started.
    Card {
        /// The connector, 1, 2, ….
        connector: u16,
        /// The card.
        id_tag: Box<str>,
    },
    /// The plug is pulled.
    Unplug {
        /// The connector, 1, 2, ….
        connector: u16,
    },
    /// The stop button.
    StopButton {
        /// The connector, 1, 2, ….
        connector: u16,
    },
    /// The network goes away for so long, ms.
    Drop {
        /// How long it stays away.
        offline_ms: u32,
    },
    /// Everything that runs is stopped; cards and remote starts are refused from now on (the end of a run).
    Quiesce,
    /// New firmware: it is told and loaded, the charger restarts and comes back after so long, ms.
    Firmware {
        /// How long the restart takes.
        offline_ms: u32,
    },
}

/// How far new firmware is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Firmware {
    Downloading,
    Downloaded,
    Installing,
    Installed,
}

impl Firmware {
    fn as_str(self) -> &'static str {
        match self {
            Firmware::Downloading => "Downloading",
            Firmware::Downloaded => "Downloaded",
            Firmware::Installing => "Installing",
            Firmware::Installed => "Installed",
        }
    }
}

impl Device {
    /// New firmware: what runs is stopped, the statuses are told, then it restarts.
    pub(super) fn update_firmware(&mut self, offline_ms: u32, now_ms: i64) {
        if self.link.updating || !self.link.online {
            return;
        }
        for stage in [Firmware::Downloading, Firmware::Downloaded, Firmware::Installing] {
            self.trigger(CallKind::Firmware(stage));
        }
        for connector in 0..self.state.connectors.len() {
            self.stop(connector, "Reboot", now_ms);
        }
        (self.link.updating, self.link.reboots) = (true, true);
        self.link.cut_at_ms = Some(now_ms + INSTALL_MS);
        self.link.offline_until_ms = now_ms + INSTALL_MS + i64::from(offline_ms);
    }

    /// After the restart, behind its BootNotification.
    pub(super) fn firmware_is_in(&mut self) {
        if std::mem::take(&mut self.link.updating) {
            self.link.triggered.retain(|kind| !matches!(kind, CallKind::Firmware(_)));
            self.trigger(CallKind::Firmware(Firmware::Installed));
        }
    }

    pub(super) fn call_firmware(&mut self, stage: Firmware, now_ms: i64) {
        let body = json!({"status": stage.as_str()});
        self.call(CallKind::Firmware(stage), "FirmwareStatusNotification", &body, now_ms);
    }
}
