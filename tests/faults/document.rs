//! `docs/faults.md`, made from the catalogue.

use crate::catalogue::{ELSEWHERE, Needs, ROWS, Row, Run};
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Faults\n\n\
    Made from `tests/faults/catalogue.rs` by `cargo xtask docs`. What is done to the real binary, and what must hold all the same; invariants are those of\n\
    [invariants.md](invariants.md), the rigs are in [reliability.md](reliability.md).\n\n\
    ```sh\n\
    cargo xtask faults            # every row\n\
    cargo xtask faults C1 J7      # these; one that cannot run here fails\n\
    ```\n\n\
    Chargers, partners and endpoints are simulated and write a history: asked, done, refused, **not known**. Every row ends with the same judgement: the\n\
    fault is over, each charger takes a command within 30 s, everything comes to rest, webhooks drain (I11); then `loadtest::check` compares the histories with\n\
    the server's answers (I1 to I4, I8, I12), and `journal verify` and `ledger verify` look at what is on the disk (I5, I7). A row counts only if what it\n\
    injects has really happened: its **counters** must have moved, or the run fails for that.\n\n\
    Places inside the product (`place NAME`) are those of `src/testing/points.rs`: a panic, or the end of the process, at a named line, compiled with the feature\n\
    `testing` alone. The *shim* is a library of 60 lines between the process and the C library (`tests/faults/shim.c`), the *proxy* a relay of bytes.\n\n";

/// Whether the file says what the catalogue says; with `CHARGELINE_WRITE_DOCS` it is written.
pub(crate) fn agrees() -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let text = markdown();
    if std::env::var_os("CHARGELINE_WRITE_DOCS").is_some()
        && let Err(error) = std::fs::write(&file, &text)
    {
        println!("docs/faults.md: {error}");
        return false;
    }
    let same = std::fs::read_to_string(&file).is_ok_and(|found| found == text);
    if !same {
        println!("docs/faults.md does not agree with tests/faults/catalogue.rs: run `cargo xtask docs`");
    }
    same
}

fn markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| row | fault | injected | must hold | counters |\n|---|---|---|---|---|\n");
    for row in ROWS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} ({}) | {} |",
            row.id,
            marks(row),
            row.fault,
            row.injected,
            row.holds,
            row.invariants,
            row.sometimes.join(", ")
        );
    }
    text.push_str(
        "\n* in every `cargo test`. † needs root and loop devices. ‡ needs a C compiler. ¶ needs root and control groups that bound memory. § by `tests/powercut.rs`.\n\n",
    );
    text.push_str(
        "## Rows of the catalogue that are tried elsewhere, or not yet\n\n| row | fault | where |\n|---|---|---|\n",
    );
    for row in ELSEWHERE {
        let _ = writeln!(text, "| {} | {} | {} |", row.ids, row.fault, row.covered);
    }
    text
}

fn marks(row: &Row) -> String {
    let mut marks = String::new();
    if row.quick {
        marks.push_str(" \\*");
    }
    match row.needs {
        Needs::Nothing => {}
        Needs::Compiler => marks.push_str(" ‡"),
        Needs::Disk => marks.push_str(" †"),
        Needs::Group => marks.push_str(" ¶"),
    }
    if matches!(row.run, Run::PowerCut(_)) {
        marks.push_str(" §");
    }
    marks
}
