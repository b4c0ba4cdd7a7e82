//! The tests with clients that we did not write: `tests/peers/`. Installs them, builds the server, runs `run.py`.

use crate::run::{cargo, program, status};
use crate::tools;
use anyhow::{Result, ensure};

/// The Python environment of the peers, which tests use too: made where it is missing.
pub(crate) fn python() -> Result<std::path::PathBuf> {
    tools::python("target/peers/python", "tests/peers/requirements.txt")
}

/// Runs them all. The last line printed is `run.py`'s own.
pub(crate) fn run() -> Result<bool> {
    build()?;
    let python = python()?;
    let node = tools::node("target/peers/node", "tests/peers/node")?;
    let node = node.display().to_string();
    let arguments = ["tests/peers/run.py", "--server", "target/debug/chargeline", "--node-modules", &node];
    Ok(status(&mut program(python, &arguments))?.success())
}

/// The served OpenAPI document against the binary, by schemathesis: so many examples for each call, the same for the same seed.
/// The last line printed is `contract.py`'s own.
pub(crate) fn contract(examples: u32, seed: u32) -> Result<bool> {
    build()?;
    let (examples, seed) = (examples.to_string(), seed.to_string());
    let arguments = ["tests/peers/contract.py", "--server", "target/debug/chargeline"];
    let mut command = program(python()?, &arguments);
    Ok(status(command.args(["--examples", &examples, "--seed", &seed]))?.success())
}

/// Builds what the tests outside `cargo test` run, in the very way in which `check` builds it: no second compilation.
pub(crate) fn build() -> Result<()> {
    let done = status(cargo().args(["build", "--quiet", "--workspace", "--bins", "--tests"]))?;
    ensure!(done.success(), "the build failed");
    Ok(())
}
