//! The arguments of `chargeline admin tariff …`.

use super::PageArgs;
use crate::ids::{SiteId, TariffId};
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use std::path::PathBuf;

/// Tariffs.
#[derive(Debug, Subcommand)]
pub enum Tariff {
    /// Lists tariffs and where they are in force.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one, or a version of it.
    Show {
        /// Which.
        id: TariffId,
        /// This version, whole.
        #[arg(long)]
        version: Option<u32>,
    },
    /// Shows what is in force at a site.
    At {
        /// Where.
        site: SiteId,
        /// When (RFC 3339); now if not given.
        #[arg(long)]
        at: Option<String>,
    },
    /// Checks a file; nothing is published.
    Check {
        /// Which tariff it is to be.
        id: TariffId,
        /// The file, JSON.
        file: PathBuf,
    },
    /// Publishes a file as the next version; it is in force nowhere yet.
    Publish {
        /// Which tariff it is to be.
        id: TariffId,
        /// The file, JSON.
        file: PathBuf,
    },
    /// Puts a version in force.
    RollOut {
        /// Of which tariff.
        id: TariffId,
        /// Which version, when and where.
        #[command(flatten)]
        body: RollOutBody,
    },
    /// Takes the newest roll-out back, now.
    RollBack {
        /// Of which tariff.
        id: TariffId,
        /// Only at this site; may be given more than once. Without: everywhere.
        #[arg(long = "site")]
        sites: Vec<SiteId>,
    },
    /// Shows a version as an OCPI 2.2.1 tariff, and what OCPI cannot say of it.
    Export {
        /// Which.
        id: TariffId,
        /// Which version; the newest if not given.
        #[arg(long)]
        version: Option<u32>,
    },
    /// Publishes an OCPI 2.2.1 tariff.
    Import {
        /// Which tariff it is to be.
        id: TariffId,
        /// The file, JSON.
        file: PathBuf,
        /// IANA name of the zone whose clock it goes by: OCPI leaves it to the location.
        #[arg(long)]
        time_zone: String,
        /// Only check.
        #[arg(long)]
        check: bool,
    },
}

/// Which version goes where and when.
#[derive(Debug, ClapArgs, Serialize)]
pub struct RollOutBody {
    /// Which version.
    version: u32,
    /// Only at this site; may be given more than once. Without: everywhere.
    #[arg(long = "site")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sites: Vec<SiteId>,
    /// From when on (RFC 3339); now if not given.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}
