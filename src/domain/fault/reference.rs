//! `docs/fault-codes.md`, made from the table (CH-8).

use super::{Meaning, PARKING_LOCK, meaning_of};
use crate::domain::charger::ErrorCode;
use crate::domain::charging::Level;
use std::fmt::Write;

const HEAD: &str = "# Fault codes

Made from the table in `src/domain/fault/` by `cargo xtask docs`. What a charger's `errorCode` in a StatusNotification means
(CH-8): the cause, how bad it is, what the platform does when it appears, and what a person is told.

* The connector shows `error`: `{\"code\", \"cause\", \"severity\", \"message_en\", \"message_zh\", \"vendor_code\"?, \"info\"?}`: at the
  partner and operator APIs, in the webhook `connector.status`, in the session that runs there, and in tickets.
* `does`: `nothing`; `alert`; `ticket` (an alert and a ticket); `reset`: a remote reset first where `[faults]` of
  `config.toml` allows it, never while a session runs, at most so often a day; a ticket where it may not, or when the fault is
  back after it. A connector that is `Faulted` always raises an alert, whatever its code.
* `offer`: a connector that is `Faulted` takes no orders. `out`: nor does it with this code under another status; it is then
  shown as `Faulted`. `in`: the code alone is a remark.
* A running session goes on until the charger ends it; its end reason is then `fault`, `vehicle` or `emergency_stop`.
* A vendor's own code (`vendorErrorCode`) that `faults.vendor_codes` gives a meaning wins over `errorCode`, also beside
  `NoError`. One without a meaning is shown as `vendor_code` beside the general meaning.
* An `errorCode` that OCPP 1.6 does not have counts as `OtherError`, its text as the vendor's code.

";

const VENDOR: &str = "
## Vendor codes

```toml
[[faults.vendor_codes]]
code = \"E021\"                # vendorErrorCode, compared without regard to case
vendor = \"Example Power\"     # chargePointVendor; without it the code counts for every vendor
cause = \"emergency_stop\"
severity = \"warning\"         # info, warning or critical
remedy = \"ticket\"            # nothing, alert, ticket or reset
out_of_offer = true
zh = \"急停按钮被按下，请复位后再使用。\"
en = \"The emergency stop was pressed. It has to be released first.\"
```

Checked by `chargeline check-config`, changed while running by SIGHUP or `PUT /ops/v1/config`; a change counts from the next
fault on. An entry with `vendor` wins over one without. Causes: ";

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

fn line(out: &mut String, code: &str, of: &Meaning) {
    let (cause, severity, does) = (of.cause.as_str(), level(of.severity), of.remedy.as_str());
    let offer = if of.out_of_offer { "out" } else { "in" };
    // Writing to a text cannot fail.
    let _ = writeln!(out, "| {code} | `{cause}` | {severity} | {does} | {offer} | {} | {} |", of.en, of.zh);
}

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    out.push_str(
        "| `code` | `cause` | `severity` | does | offer | for users | 给用户 |\n|---|---|---|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        line(&mut out, &format!("`{code:?}`"), &meaning_of(code));
    }
    line(&mut out, "`OtherError`, from a parking lock or barrier ([profile](vendor-profiles.md))", &PARKING_LOCK);
    out.push_str(VENDOR);
    let causes: Vec<String> = super::Cause::ALL.iter().map(|cause| format!("`{}`", cause.as_str())).collect();
    let _ = writeln!(out, "{}.", causes.join(", "));
    out
}
