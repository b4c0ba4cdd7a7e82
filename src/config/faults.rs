//! The section `[faults]` of `config.toml`: what vendors' error codes mean, resets as the first remedy, release from
//! maintenance, parking locks (CH-8, CH-9, CH-10).

use super::check::{Checked, Problem};
use crate::domain::charging::Level;
use crate::domain::fault::{Cause, Meaning, Remedy};
use crate::ids::SiteId;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// Vendor codes that one configuration may hold: some 30 makes of 30 codes; each is looked through when a fault comes.
const VENDOR_CODES_MAX: usize = 1000;

/// Characters of a text for people: what fits on a phone without scrolling.
const TEXT_MAX: usize = 200;

/// Characters of a code: `vendorErrorCode` of OCPP 1.6 has at most 50.
const CODE_MAX: usize = 50;

/// Which reset is tried as the first remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetKind {
    /// None.
    Off,
    /// The charger ends what runs, then restarts its software.
    Soft,
    /// It restarts as a whole, at once.
    Hard,
}

/// What a vendor's code means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorCode {
    /// `vendorErrorCode`, compared without regard to case.
    pub code: String,
    /// `chargePointVendor` of the boot, compared without regard to case; `None`: every vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Why.
    pub cause: Cause,
    /// How bad.
    pub severity: Level,
    /// What is done.
    pub remedy: Remedy,
    /// Whether the connector takes no orders with it.
    pub out_of_offer: bool,
    /// What a person is told.
    pub zh: String,
    /// What a person is told.
    pub en: String,
}

/// The section `[faults]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// What vendors' codes mean (CH-8).
    #[serde(deserialize_with = "vendor_codes")]
    pub vendor_codes: Vec<VendorCode>,
    /// The reset that is tried first (CH-9).
    pub reset: ResetKind,
    /// Where it may be tried; empty: everywhere.
    pub reset_sites: Vec<SiteId>,
    /// How often one charger is reset in 24 h.
    pub resets_a_day: u8,
    /// A charger that was put in maintenance by itself is released after so long without trouble; zero: by a person only.
    #[serde(with = "crate::config::seconds")]
    pub release_after: Duration,
    /// How long a parking lock may take to report that it moved (CH-10).
    #[serde(with = "crate::config::seconds")]
    pub lock_timeout: Duration,
    /// How often a parking lock is told to move before it counts as stuck (CH-10).
    pub lock_attempts: u8,
}

/// Reads entry by entry, so that an error names the entry.
fn vendor_codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<VendorCode>, D::Error> {
    let entries = Vec::<toml::Value>::deserialize(deserializer)?;
    let read = |(n, entry): (usize, toml::Value)| {
        let code = entry.get("code").and_then(toml::Value::as_str).unwrap_or("?").to_owned();
        entry.try_into().map_err(|error: toml::de::Error| {
            serde::de::Error::custom(format!("entry {} (code {code:?}): {}", n + 1, error.message().trim()))
        })
    };
    entries.into_iter().enumerate().map(read).collect()
}

impl Faults {
    /// What a vendor's code means; an entry that names the vendor wins.
    pub fn meaning(&self, vendor: &str, code: &str) -> Option<Meaning<Box<str>>> {
        let fits = |entry: &&VendorCode| entry.code.eq_ignore_ascii_case(code);
        let of_vendor = |entry: &VendorCode| entry.vendor.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(vendor));
        let named = self.vendor_codes.iter().filter(fits).find(|entry| of_vendor(entry));
        let found = named.or_else(|| self.vendor_codes.iter().filter(fits).find(|entry| entry.vendor.is_none()))?;
        Some(Meaning {
            cause: found.cause,
            severity: found.severity,
            remedy: found.remedy,
            out_of_offer: found.out_of_offer,
            zh: found.zh.as_str().into(),
            en: found.en.as_str().into(),
        })
    }
}

impl Checked for Faults {
    fn check(&self, problems: &mut Vec<Problem>) {
        const KEY: &str = "faults.vendor_codes";
        if self.vendor_codes.len() > VENDOR_CODES_MAX {
            let given = format!("a list of {}", self.vendor_codes.len());
            problems.push(Problem::new(KEY, given, format!("at most {VENDOR_CODES_MAX} entries are allowed")));
        }
        let mut seen = HashSet::new();
        for (n, entry) in self.vendor_codes.iter().enumerate() {
            let place = |member: &str| format!("{KEY}[{}].{member}", n + 1);
            let mut text = |member: &str, text: &str, max: usize| {
                let count = text.chars().count();
                if text.trim().is_empty() || count > max || text.chars().any(char::is_control) {
                    let allowed = format!("1 to {max} characters without control characters are allowed");
                    problems.push(Problem::new(&place(member), format!("{text:?}"), allowed));
                }
            };
            text("code", &entry.code, CODE_MAX);
            text("zh", &entry.zh, TEXT_MAX);
            text("en", &entry.en, TEXT_MAX);
            if let Some(vendor) = &entry.vendor {
                text("vendor", vendor, CODE_MAX);
            }
            let name = (entry.code.to_ascii_lowercase(), entry.vendor.as_ref().map(|v| v.to_ascii_lowercase()));
            if !seen.insert(name) {
                let allowed = "one entry for each code and vendor is allowed";
                problems.push(Problem::new(&place("code"), format!("{:?}", entry.code), allowed));
            }
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            vendor_codes: Vec::new(),
            reset: ResetKind::Off,
            reset_sites: Vec::new(),
            resets_a_day: 2,
            release_after: Duration::ZERO,
            lock_timeout: Duration::from_secs(30),
            lock_attempts: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_text;

    fn problems(text: &str) -> String {
        from_text(Some(("x.toml", text)), &[]).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
    }

    fn entry(code: &str, vendor: &str, cause: &str) -> String {
        let vendor = if vendor.is_empty() { String::new() } else { format!("vendor = \"{vendor}\"\n") };
        format!(
            "[[faults.vendor_codes]]\ncode = \"{code}\"\n{vendor}cause = \"{cause}\"\nseverity = \"critical\"\n\
             remedy = \"ticket\"\nout_of_offer = true\nzh = \"急停\"\nen = \"stop {code} {vendor_len}\"\n",
            vendor_len = vendor.len()
        )
    }

    #[test]
    fn the_entry_of_the_vendor_wins_and_letters_may_differ_in_case() {
        let text = entry("E21", "", "emergency_stop") + &entry("E21", "Acme", "enclosure");
        let faults = from_text(Some(("x.toml", &text)), &[]).unwrap().config.faults;
        let cause = |vendor: &str, code: &str| faults.meaning(vendor, code).map(|meaning| meaning.cause.as_str());
        assert_eq!(cause("ACME", "e21"), Some("enclosure"));
        assert_eq!(cause("other", "E21"), Some("emergency_stop"));
        assert_eq!(cause("Acme", "E22"), None);
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_with_its_place() {
        let twice = problems(&(entry("E21", "", "other") + &entry("e21", "", "other")));
        assert!(twice.contains("x.toml:1") && twice.contains("faults.vendor_codes[2].code"), "{twice}");
        let cause = problems(&(entry("E1", "", "other") + &entry("E2", "", "ghosts")));
        assert!(cause.contains("entry 2 (code \"E2\")") && cause.contains("emergency_stop"), "{cause}");
        let member = problems(&entry("E1", "", "other").replace("remedy", "remedies"));
        assert!(member.contains("remedies") && member.contains("remedy"), "{member}");
        let empty = problems(&entry("E1", "", "other").replace("急停", " "));
        assert!(empty.contains("faults.vendor_codes[1].zh") && empty.contains("1 to 200 characters"), "{empty}");
        assert!(problems("[faults]\nreset = \"warm\"\n").contains("`off`, `soft`, `hard`"));
        assert!(problems("[faults]\nreset_sites = [\"a b\"]\n").contains("faults.reset_sites"));
    }
}
