//! The project's own commands. `cargo xtask check` is what has to pass; each command ends with one line that says what
//! it found, and a non-zero status if that falls short.

mod audit;
mod bench;
mod check;
mod fuzz;
mod peers;
mod run;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that has to pass: format, clippy, tests, documents, audit, peers, random frames, a short crash test.
    Check,
    /// Licences, bans and sources of all dependencies.
    Audit {
        /// Known vulnerabilities too; fetches the advisory database.
        #[arg(long)]
        advisories: bool,
    },
    /// Real clients that we did not write, against the real binary.
    Peers,
    /// The served OpenAPI document against the real binary: calls made up from it by schemathesis.
    Contract {
        /// How many examples for each call, beside those that the document's bounds give.
        #[arg(long, default_value_t = 200)]
        examples: u32,
        /// The same seed, the same examples.
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Kills the server with -9 at random points under load and checks that nothing acknowledged is lost.
    Crash {
        /// How many times.
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// With the optimised build.
        #[arg(long)]
        release: bool,
        /// Anything else for `loadtest crash`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Cuts the power under the journal and under the whole server (root; Linux) and checks that nothing acknowledged is lost.
    Powercut {
        /// How often under the whole server; the kinds of rounds take turns.
        #[arg(long, default_value_t = 12)]
        rounds: u32,
    },
    /// The fault catalogue against the real binary (docs/faults.md): every row, or those named.
    Faults {
        /// Such as C1 J7; one that cannot run here fails then.
        rows: Vec<String>,
    },
    /// The whole engine on virtual time with chargers, partners and faults drawn from a seed (docs/reliability.md).
    Simulate {
        /// How many seeds, from `--seed` on; without it the one seed is told as a story.
        #[arg(long)]
        seeds: Option<u64>,
        /// Which seed, or the first of them.
        #[arg(long)]
        seed: Option<u64>,
        /// With the seed's story: 1 acknowledges before the flush, 2 drops webhooks on a crash, 3 forgets repeated starts.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3))]
        lie: Option<u64>,
    },
    /// Random frames and whole sessions of them against reading and rules.
    Fuzz {
        /// How long for each of the targets.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Guided by coverage: libFuzzer, with a nightly toolchain.
        #[arg(long)]
        guided: bool,
        /// Afterwards reduces what was grown to what is useful, into `fuzz/corpus`.
        #[arg(long, requires = "guided")]
        minimise: bool,
    },
    /// Runs benchmarks, all or those named.
    Bench {
        /// Which.
        names: Vec<String>,
        /// One JSON object a line: name, value, unit, limit, against.
        #[arg(long)]
        json: bool,
    },
    /// Writes the generated documents anew.
    Docs,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    std::env::set_current_dir(run::root())?;
    let good = match arguments.command {
        Command::Check => check::run()?,
        Command::Audit { advisories } => audit::run(advisories)?,
        Command::Peers => peers::run()?,
        Command::Contract { examples, seed } => peers::contract(examples, seed)?,
        Command::Crash { kills, release, rest } => check::crash(kills, release, &rest)?,
        Command::Powercut { rounds } => check::powercut(rounds)?,
        Command::Faults { rows } => check::faults(&rows)?,
        Command::Simulate { seeds, seed, lie } => check::simulate(seeds, seed, lie)?,
        Command::Fuzz { minutes, guided: false, .. } => fuzz::random(minutes * 60)?,
        Command::Fuzz { minutes, guided: true, minimise } => fuzz::guided(minutes * 60, minimise)?,
        Command::Bench { names, json } => bench::run(&names, json)?,
        Command::Docs => check::docs()?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
