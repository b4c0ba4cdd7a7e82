//! What is known of the device beyond its charging: its own limits, its local list, its profiles, what it told of its
//! security. Owns the shape and its bounds; decides nothing.
//!
//! Invariant: small, because it is held for every connected charger. What is large (the configuration, reports, certificate
//! requests) is in rows.

use super::smart_charging::Installed;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Profiles remembered for stacking. Real chargers hold 10 to 30.
pub(super) const INSTALLED_MAX: usize = 32;

/// Makes a small set of words.
macro_rules! set {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $constant:ident = $bit:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(u8);

        impl $name {
            $($(#[$each])* pub const $constant: $name = $name(1 << $bit);)+

            /// Reads a comma-separated list; words that nobody knows are left out.
            pub fn read(list: &str) -> Self {
                let bit = |word: &str| match word.trim() {
                    $($word => 1 << $bit,)+
                    _ => 0,
                };
                $name(list.split(',').map(bit).fold(0, |set, bit| set | bit))
            }

            /// Whether all of those are in.
            pub const fn has(self, those: $name) -> bool {
                self.0 & those.0 == those.0
            }

            /// The words, with commas.
            pub fn words(self) -> String {
                let mut words = Vec::new();
                $(if self.has($name::$constant) { words.push($word); })+
                words.join(", ")
            }
        }
    };
}

set!(
    /// SupportedFeatureProfiles (OCPP 1.6 §9.1.22).
    Features {
        /// Always there.
        CORE = 0 "Core",
        /// Firmware and diagnostics.
        FIRMWARE = 1 "FirmwareManagement",
        /// Local lists.
        LOCAL_LIST = 2 "LocalAuthListManagement",
        /// Reservations.
        RESERVATION = 3 "Reservation",
        /// Charging profiles.
        SMART_CHARGING = 4 "SmartCharging",
        /// TriggerMessage.
        TRIGGER = 5 "RemoteTrigger",
    }
);
set!(
    /// ChargingScheduleAllowedChargingRateUnit (OCPP 1.6 §9.4.2).
    Units {
        /// Ampere.
        CURRENT = 0 "Current",
        /// Watt.
        POWER = 1 "Power",
    }
);
set!(
    /// SupportedFileTransferProtocols (security white paper §7).
    Transfers {
        /// Plain FTP.
        FTP = 0 "FTP",
        /// FTP over TLS.
        FTPS = 1 "FTPS",
        /// HTTP.
        HTTP = 2 "HTTP",
        /// HTTP over TLS.
        HTTPS = 3 "HTTPS",
        /// SSH's.
        SFTP = 4 "SFTP",
    }
);

/// What the charger's configuration says of its own limits; `None`: it has not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `SupportedFeatureProfiles`.
    pub features: Option<Features>,
    /// `ChargingScheduleAllowedChargingRateUnit`.
    pub units: Option<Units>,
    /// `SupportedFileTransferProtocols`.
    pub transfers: Option<Transfers>,
    /// `ReserveConnectorZeroSupported`.
    pub reserve_zero: Option<bool>,
    /// `LocalAuthListEnabled`.
    pub list_enabled: Option<bool>,
    /// `ChargeProfileMaxStackLevel`.
    pub stack_level_max: Option<i32>,
    /// `ChargingScheduleMaxPeriods`.
    pub periods_max: Option<i32>,
    /// `MaxChargingProfilesInstalled`.
    pub profiles_max: Option<i32>,
    /// `LocalAuthListMaxLength`.
    pub list_max: Option<i32>,
    /// `SendLocalListMaxLength`.
    pub send_list_max: Option<i32>,
    /// `CertificateSignedMaxChainSize`.
    pub chain_max: Option<i32>,
}

impl Limits {
    /// Takes the value of one key, if it is a limit.
    pub fn take(&mut self, key: &str, value: &str) {
        let number = || value.trim().parse().ok().filter(|n| *n >= 0);
        let flag = || value.trim().to_ascii_lowercase().parse().ok();
        match key {
            "SupportedFeatureProfiles" => self.features = Some(Features::read(value)),
            "ChargingScheduleAllowedChargingRateUnit" => {
                self.units = Some(Units::read(value)).filter(|units| *units != Units::default());
            }
            "SupportedFileTransferProtocols" => self.transfers = Some(Transfers::read(value)),
            "ReserveConnectorZeroSupported" => self.reserve_zero = flag(),
            "LocalAuthListEnabled" => self.list_enabled = flag(),
            "ChargeProfileMaxStackLevel" => self.stack_level_max = number(),
            "ChargingScheduleMaxPeriods" => self.periods_max = number(),
            "MaxChargingProfilesInstalled" => self.profiles_max = number(),
            "LocalAuthListMaxLength" => self.list_max = number(),
            "SendLocalListMaxLength" => self.send_list_max = number(),
            "CertificateSignedMaxChainSize" => self.chain_max = number(),
            _ => {}
        }
    }

    /// Says where a limit comes from, if the charger has told it.
    pub(super) fn of(&self, limit: Option<i32>, key: &str) -> String {
        limit.map_or(String::new(), |_| format!(" (its {key})"))
    }
}

/// The versions of the local list (OCPP 1.6 §3.5.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalList {
    /// The last version that was sent; 0: none.
    pub sent: i32,
    /// The last version that was accepted.
    pub accepted: Option<i32>,
    /// The charger's own word: 0 is an empty list, -1 none at all. `None`: unknown, for it never said or disagreed.
    pub told: Option<i32>,
}

impl LocalList {
    /// The version that the charger should have, if that is known.
    pub fn current(&self) -> Option<i32> {
        self.told.or(self.accepted)
    }

    /// The version that a next list may have.
    pub fn next(&self) -> i32 {
        self.sent.max(self.accepted.unwrap_or(0)).max(self.told.unwrap_or(0)).saturating_add(1).max(1)
    }
}

/// What is known of the device beyond its charging.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Its own limits.
    pub limits: Limits,
    /// Its local list.
    pub list: LocalList,
    /// The profiles that it accepted.
    pub installed: Vec<Installed>,
    /// Print of its configuration as last read; 0: never.
    pub configuration: u64,
    /// When that was.
    pub read_at: Timestamp,
    /// Security events told so far: the next one's place in the ring of rows.
    pub security_events: u32,
    /// Print of the last alert about the device, and when.
    pub alerted: Option<(u64, Timestamp)>,
    /// Print of the last certificate request that was handed over, and when.
    pub csr: Option<(u64, Timestamp)>,
}
