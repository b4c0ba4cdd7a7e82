//! `chargeline ca`: makes the built-in authority, shows it, signs a request by hand. Owns its files' modes; never a rule.

use super::{Authority, about, make};
use crate::clock::{SharedClock, Timestamp};
use crate::config::tls::Tls as Settings;
use crate::ids::ChargerId;
use anyhow::Context as _;
use clap::Subcommand;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Makes a new authority, where `tls.authority_certificate_file` and `tls.authority_key_file` say.
    Init,
    /// Shows its certificate.
    Show,
    /// Signs a charger's request, for one that cannot send SignCertificate.
    Sign {
        /// The charger's id, which the request's common name must be.
        charger: ChargerId,
        /// The request in PEM; `-`: standard input.
        csr: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// What cannot be read, written or signed.
pub fn run(command: &CaCommand, settings: &Settings, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let (certificate, key) = (&settings.authority_certificate_file, &settings.authority_key_file);
    match command {
        CaCommand::Init => {
            let (pem, secret) = make(&settings.organisation, clock.now())?;
            // The key first: a certificate without one would look like an authority.
            write(key, &secret, 0o600)?;
            write(certificate, &pem, 0o644)?;
            println!("authority made: {} (its key: {}, keep a copy apart)", certificate.display(), key.display());
        }
        CaCommand::Show => {
            let pem = std::fs::read_to_string(certificate).with_context(|| certificate.display().to_string())?;
            let (ends, subject) = about(&pem).context("there is no certificate in the file")?;
            println!("{pem}{subject}, valid until {}", Timestamp(ends.saturating_mul(1000)).to_rfc3339());
        }
        CaCommand::Sign { charger, csr } => {
            let authority =
                Authority::open(settings)?.context("there is no authority: `chargeline ca init` makes one")?;
            let chain = authority.sign(&read(csr)?, charger, clock.now());
            print!("{}", chain.context("the request is not signed")?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match file == Path::new("-") {
        true => std::io::stdin().lock().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    }
    .with_context(|| file.display().to_string())?;
    Ok(text)
}

/// Never over an existing file: whoever loses an authority's key has to visit every charger.
fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let mut opened = opened.with_context(|| format!("{} cannot be made", file.display()))?;
    opened.write_all(text.as_bytes())?;
    Ok(opened.sync_all()?)
}
