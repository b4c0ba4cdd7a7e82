//! `chargeline ledger verify` (MO-1): looks at the books of a store that no server has open. Owns how states and entries come
//! out of the store; what is right is in [`crate::domain::account::verify`].

use crate::actors::engine::codec;
use crate::domain::account::{Account, AccountFamily, Booked, rows, verify::Findings};
use crate::domain::entity::Family as _;
use crate::persistence::sled::Tool;
use crate::persistence::{JournalError, Record};
use anyhow::Context as _;
use clap::Subcommand;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What to do with the books.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Check that every posting balances, that each account's balances are the sums of its entries, its holds and its debts,
    /// and show what the platform's accounts sum to. The server must not run; while it runs, `chargeline admin ledger-verify`
    /// does the same.
    Verify,
}

/// Runs a command on the journal in `path`, writing to `out`.
///
/// # Errors
/// When the store cannot be opened or read; main shows it and fails.
pub fn run(command: &LedgerCommand, path: &Path, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Verify = command;
    let findings = verify(&Tool::open(path)?).context("reading the books")?;
    findings.problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
    for (currency, trial) in &findings.totals {
        for (account, minor) in trial.balances() {
            writeln!(out, "{currency}  {minor:>16}  {account}")?;
        }
    }
    let Findings { accounts, entries, wrong, .. } = &findings;
    writeln!(out, "ledger: {accounts} accounts, {entries} entries: {wrong} problems")?;
    Ok(if findings.sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn corrupt(stream: &str, why: &impl ToString) -> JournalError {
    JournalError::Corrupt { key: stream.to_owned(), why: why.to_string() }
}

/// An account's state, and the sequence up to which it is folded.
type Folded = (Account, u64);

/// Looks at all accounts of a store. Their states are held in memory together, a few kilobytes each.
///
/// # Errors
/// When something of it cannot be read: a posting that does not balance cannot.
pub fn verify(tool: &Tool) -> Result<Findings, JournalError> {
    let mut accounts: BTreeMap<String, Folded> = BTreeMap::new();
    tool.rows(rows::ACCOUNT, "", |row| {
        let folded = snapshot(tool, &row.key)?;
        accounts.insert(row.key, folded);
        Ok(())
    })?;
    tool.records(None, |stored| {
        if stored.stream.family() != AccountFamily::NAME {
            return Ok(());
        }
        let id = stored.stream.partition();
        if !accounts.contains_key(id) {
            accounts.insert(id.to_owned(), snapshot(tool, id)?);
        }
        match accounts.get_mut(id) {
            Some(folded) => fold(folded, stored.stream.as_str(), &stored.record),
            None => Ok(()),
        }
    })?;
    let mut findings = Findings::default();
    for (id, (account, _)) in &accounts {
        let mut entries: Vec<Booked> = Vec::new();
        tool.rows(rows::ENTRY, &format!("{id}/"), |row| {
            let key = format!("{}/{}", rows::ENTRY, row.key);
            entries.push(serde_json::from_slice(&row.value).map_err(|error| corrupt(&key, &error))?);
            Ok(())
        })?;
        findings.account(id, account, entries);
    }
    findings.finish();
    Ok(findings)
}

fn snapshot(tool: &Tool, id: &str) -> Result<Folded, JournalError> {
    let stream = format!("{}/{id}", AccountFamily::NAME);
    let Some((snapshot, _)) = tool.snapshot(&stream)? else { return Ok((Account::default(), 0)) };
    let states = codec::read_states::<AccountFamily>(&snapshot.state).map_err(|error| corrupt(&stream, &error))?;
    let account = states.into_iter().next().map(|(_, state)| state).unwrap_or_default();
    Ok((account, snapshot.sequence))
}

fn fold((account, up_to): &mut Folded, stream: &str, record: &Record) -> Result<(), JournalError> {
    // History from before the snapshot may still be there.
    if record.sequence <= *up_to {
        return Ok(());
    }
    let step = codec::read_step::<AccountFamily>(&record.body)
        .map_err(|error| corrupt(&format!("{stream}/{}", record.sequence), &error))?;
    for (_, events) in &step {
        events.iter().for_each(|event| AccountFamily::apply(account, event));
    }
    *up_to = record.sequence;
    Ok(())
}
