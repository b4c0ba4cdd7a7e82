//! The dependency audit: licences, bans and sources always; known vulnerabilities where the database is in reach.

use crate::run::{cargo, program, status};
use crate::tools;
use anyhow::{Result, ensure};

/// Runs the audit. `advisories` fetches the advisory database.
pub(crate) fn run(advisories: bool) -> Result<bool> {
    let deny = tools::cargo_deny()?;
    // A build fetches what this platform needs; the audit reads the manifests of all platforms' crates.
    ensure!(status(cargo().args(["fetch", "--quiet", "--locked"]))?.success(), "the crates cannot be fetched");
    let mut what = vec!["--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    if advisories {
        what.push("advisories");
    } else {
        // Everything else is known from Cargo.lock and the sources just fetched.
        what.insert(0, "--offline");
    }
    let good = status(&mut program(deny, &what))?.success();
    let known = if advisories { "known vulnerabilities" } else { "known vulnerabilities not asked for (--advisories)" };
    println!("audit: licences, bans, sources; {known}: {}", if good { "good" } else { "refused, see above" });
    Ok(good)
}
