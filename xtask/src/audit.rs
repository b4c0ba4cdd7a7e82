//! The dependency audit: licences, bans and sources always; known vulnerabilities where the database is in reach.

use crate::run::{program, status};
use crate::tools;
use anyhow::Result;

/// Runs the audit. `advisories` fetches the advisory database.
pub(crate) fn run(advisories: bool) -> Result<bool> {
    let deny = tools::cargo_deny()?;
    let mut what = vec!["--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    if advisories {
        what.push("advisories");
    } else {
        // Everything else is known from Cargo.lock and the sources that cargo has already.
        what.insert(0, "--offline");
    }
    let good = status(&mut program(deny, &what))?.success();
    let known = if advisories { "known vulnerabilities" } else { "known vulnerabilities not asked for (--advisories)" };
    println!("audit: licences, bans, sources; {known}: {}", if good { "good" } else { "refused, see above" });
    Ok(good)
}
