//! A server's very first start, cut short (J3), and the proof that the rig sees a journal without its own sync. Owns servers
//! that live for one round.

use super::disk::Disk;
use anyhow::{Context, bail, ensure};
use chargeline::testing::{Orders, points};
use loadtest::operator::Operator;
use loadtest::server::Server;
use reqwest::Method;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a server may take to be ready.
pub(crate) const READY_MAX: Duration = Duration::from_secs(60);

/// Cuts within which a server without fdatasync must be caught.
const PROOF_CUTS: u32 = 8;

/// Registrations of the proof.
const CHARGERS: u32 = 12;

/// A server whose data directory is made in this round.
pub(crate) struct Fresh {
    server: Server,
    dir: PathBuf,
    data: PathBuf,
}

impl Fresh {
    /// Starts it for the first time.
    pub(crate) fn start(binary: &Path, beside: &Path, disk: &Path, round: u32) -> anyhow::Result<Self> {
        let (dir, data) = (beside.join(format!("fresh-{round}")), disk.join(format!("fresh-{round}")));
        let mut server = Server::keeping(binary, &dir, &data)?;
        // Room for two on one disk.
        let text = std::fs::read_to_string(server.config())?;
        std::fs::write(server.config(), text.replace("reserve_bytes = 8388608", "reserve_bytes = 1048576"))?;
        server.start()?;
        Ok(Fresh { server, dir, data })
    }

    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill().await
    }

    /// Whether it has begun to make its journal.
    pub(crate) fn has_begun(&self) -> bool {
        self.data.join("journal").exists()
    }

    /// What the cut left of it.
    pub(crate) fn left(&self) -> &'static str {
        let journal = self.data.join("journal");
        let is = |name: &str| self.data.join(name).exists();
        let stores = std::fs::read_dir(&journal).map_or(0, |all| {
            all.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with("store-")).count()
        });
        let empty = |name: &str| std::fs::metadata(self.data.join(name)).is_ok_and(|about| about.len() == 0);
        match (journal.join("CURRENT").exists(), stores) {
            (false, 0) if !journal.exists() => "left nothing of a new directory",
            (false, 0) => "left an empty journal",
            (false, _) => "left a store without CURRENT",
            (true, _) if empty("journal.key") || empty("operator.token") => "left an empty key or token",
            (true, _) if !is("journal.key") => "left a store without its key",
            (true, _) if !is("operator.token") => "left all but the token",
            (true, _) => "left a whole new directory",
        }
    }

    /// It has to come up by itself and to work. Gives what is wrong, and how long it took.
    pub(crate) async fn judge(mut self) -> anyhow::Result<Result<Duration, String>> {
        let what = self.left();
        self.server.start()?;
        let took = match self.server.ready(READY_MAX).await {
            Ok(took) => took,
            Err(error) => return Ok(Err(format!("{what}: {error}: {}", last_line(&self.server.log())))),
        };
        register(&self.server, 0..2).await.with_context(|| format!("after a cut that {what}"))?;
        self.server.stop(READY_MAX).await?;
        let (sound, line) = self.server.journal_verify().await?;
        std::fs::remove_dir_all(&self.data)?;
        std::fs::remove_dir_all(&self.dir)?;
        Ok(if sound { Ok(took) } else { Err(format!("{what}: {line}")) })
    }
}

/// The last words of a server.
pub(crate) fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no output").to_owned()
}

async fn register(server: &Server, chargers: std::ops::Range<u32>) -> anyhow::Result<()> {
    let operator = operator(server)?;
    operator.put_site("site", "Site").await?;
    for n in chargers {
        operator.put_charger(&format!("CP-{n}"), "site", 1, "powercut-password-1").await?;
    }
    Ok(())
}

fn operator(server: &Server) -> anyhow::Result<Operator> {
    let endpoints = server.endpoints()?;
    Operator::new(&endpoints.operator, &endpoints.operator_token)
}

/// The whole server with a journal that trusts sled's flush must be caught; with its own sync it must not be. Gives the cut in
/// which it was.
pub(crate) async fn prove(binary: &Path) -> anyhow::Result<u32> {
    if let Some(lost) = lost(binary, false).await? {
        bail!("the whole server lost what it acknowledged: {lost}");
    }
    for cut in 1..=PROOF_CUTS {
        if lost(binary, true).await?.is_some() {
            return Ok(cut);
        }
    }
    bail!("a server without fdatasync lost nothing in {PROOF_CUTS} cuts: the rig proves nothing here")
}

/// Registers chargers, cuts the power, and looks for them. Gives what is missing.
async fn lost(binary: &Path, trusts_flush: bool) -> anyhow::Result<Option<String>> {
    let mut disk = Disk::new().map_err(anyhow::Error::msg)?;
    let orders = Orders::new(disk.beside().join("points.txt"))?;
    let mut server = Server::keeping(binary, &disk.beside(), &disk.data())?;
    server.set_variable(points::VARIABLE, &orders.file().display().to_string());
    if trusts_flush {
        // The journal believes sled's flush, at each start.
        orders.give("journal.sync", "*", "omit", 0, u64::MAX)?;
    }
    server.start()?;
    server.ready(READY_MAX).await?;
    register(&server, 0..CHARGERS).await?;
    cut(&mut disk, &mut server).await?;
    server.start()?;
    if let Err(error) = server.ready(READY_MAX).await {
        return Ok(Some(format!("{error}: {}", last_line(&server.log()))));
    }
    let operator = operator(&server)?;
    for n in 0..CHARGERS {
        let found = operator.call(Method::GET, &format!("/ops/v1/chargers/CP-{n}"), None).await;
        if let Err(error) = found {
            ensure!(error.to_string().contains("404"), "{error}");
            return Ok(Some(format!("charger CP-{n} was registered and is not there")));
        }
    }
    server.kill().await?;
    Ok(None)
}

/// The power goes and comes back.
pub(crate) async fn cut(disk: &mut Disk, server: &mut Server) -> anyhow::Result<()> {
    disk.cut().map_err(anyhow::Error::msg)?;
    server.kill().await?;
    remount(disk).await
}

/// The power comes back. A process that has just ended may hold the disk for a moment yet.
pub(crate) async fn remount(disk: &mut Disk) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match disk.remount() {
            Ok(()) => return Ok(()),
            Err(why) if begun.elapsed() > Duration::from_secs(5) => bail!(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
