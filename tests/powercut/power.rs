//! The blow of this rig: the power goes. Owns the disk under the server's data and how each kind of round finds its moment.

use super::damage::{self, Answer, Commit, Tear};
use super::disk::Disk;
use super::fresh::{self, Fresh, READY_MAX, last_line};
use super::kinds::{Kind, Tally};
use chargeline::testing::{Order, Orders, points};
use loadtest::crash::Blow;
use loadtest::server::Server;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How long the process may take to come to a place.
const PLACE_MAX: Duration = Duration::from_secs(10);

/// Tears after which the start said what it dropped, and those of which it said nothing.
pub(crate) const TOLD: &str = "tears told";
pub(crate) const UNTOLD: &str = "tears untold";

/// Bytes of the disk: sparse, so that it takes what is written.
const DISK: u64 = 2 << 30;

/// A new data directory is cut within this time from its first trace, or from the start of the process.
const CREATION_MAX: Duration = Duration::from_millis(200);

/// Figures small enough that snapshots, compaction and lists of pages are always under way, and often several commits.
const JOURNAL: &str = "batch_max = 4\nretention = \"0ms\"\nsnapshot_records = 10\nsnapshot_blocks = 64\nalive_interval = \"1s\"\n\
                       upkeep_interval = \"100ms\"\nlist_after_bytes = 65536\n";

/// What the server writes when it drops what a crash has cut off.
const CUT_OFF: &str = "cut off by a crash";

pub(crate) struct Power {
    pub(crate) disk: Disk,
    pub(crate) tally: Tally,
    binary: PathBuf,
    orders: Orders,
    rng: SmallRng,
    rounds: u32,
    only: Option<Kind>,
    round: u32,
    begun: Instant,
    fresh: Option<Fresh>,
    /// Bytes of the server's log that were read.
    heard: usize,
    /// The tear of this round that has to be told.
    tells: Option<Tear>,
}

impl Power {
    pub(crate) fn new(binary: PathBuf, rounds: u32, seed: u64) -> anyhow::Result<Self> {
        let disk = Disk::of(DISK).map_err(anyhow::Error::msg)?;
        let orders = Orders::new(disk.beside().join("points.txt"))?;
        Ok(Power {
            disk,
            tally: Tally::default(),
            binary,
            orders,
            rng: SmallRng::seed_from_u64(seed),
            rounds,
            only: std::env::var("KIND").ok().and_then(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name)),
            round: 0,
            begun: Instant::now(),
            fresh: None,
            heard: 0,
            tells: None,
        })
    }

    async fn cut(&mut self, server: &mut Server) -> anyhow::Result<()> {
        self.disk.cut().map_err(anyhow::Error::msg)?;
        // What the server says in this time it must not have said.
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..30))).await;
        server.kill().await?;
        if let Some(fresh) = &mut self.fresh {
            fresh.kill().await?;
        }
        fresh::remount(&mut self.disk).await
    }

    /// Under load for a while.
    async fn a_while(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(300..1_500))).await;
    }

    /// Cuts the power while a commit of some kind is begun, written, or on its way from the one to the other.
    async fn within(&mut self, server: &mut Server, what: &str) -> anyhow::Result<bool> {
        self.a_while().await;
        let (stage, goes_on) = match self.rng.random_range(0..3) {
            0 => ("begun", false),
            1 => ("begun", true),
            _ => ("written", false),
        };
        let place = format!("journal.{what}.{stage}");
        let order = self.hold(&place)?;
        let reached = self.reached(&order).await;
        if goes_on {
            self.orders.withdraw(&order)?;
            tokio::time::sleep(Duration::from_micros(self.rng.random_range(0..3_000))).await;
        }
        self.cut(server).await?;
        self.orders.withdraw(&order)?;
        Ok(reached)
    }

    /// The process stays at `place` when it next comes there.
    fn hold(&self, place: &str) -> std::io::Result<Order> {
        self.orders.give(place, "*", "hold", 0, 1)
    }

    /// Whether it has come there in time.
    async fn reached(&self, order: &Order) -> bool {
        let begun = Instant::now();
        while self.orders.acted(order) == 0 && begun.elapsed() < PLACE_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.orders.acted(order) > 0
    }

    async fn creation(&mut self, server: &mut Server) -> anyhow::Result<bool> {
        let fresh = Fresh::start(&self.binary, &self.disk.beside(), self.disk.mount_point().as_path(), self.round)?;
        let begun = Instant::now();
        // Mostly from its first trace on the disk.
        let from_trace = self.rng.random_ratio(3, 4);
        while from_trace && !fresh.has_begun() && begun.elapsed() < PLACE_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.fresh = Some(fresh);
        // Sooner more often than later: most is made in the first moments.
        tokio::time::sleep(CREATION_MAX.mul_f64(self.rng.random_range(0.0_f64..1.0).powi(2))).await;
        self.cut(server).await?;
        let left = self.fresh.as_ref().map_or("", Fresh::left);
        self.tally.saw(left);
        Ok(!matches!(left, "left nothing of a new directory" | "left a whole new directory"))
    }

    async fn recovery(&mut self, server: &mut Server, moment: impl Future<Output = ()>) -> anyhow::Result<bool> {
        moment.await;
        self.cut(server).await?;
        server.start()?;
        let most = self.tally.readiness().0.max(Duration::from_millis(100));
        let cut_early = server.ready(most.mul_f64(self.rng.random_range(0.0..1.0))).await.is_err();
        self.cut(server).await?;
        Ok(cut_early)
    }

    async fn folding(&mut self, server: &mut Server) -> anyhow::Result<bool> {
        self.a_while().await;
        server.stop(READY_MAX).await?;
        let mut tool = Command::new(&self.binary)
            .args(["journal", "compact", "--config"])
            .arg(server.config())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..600))).await;
        self.disk.cut().map_err(anyhow::Error::msg)?;
        let over = tool.try_wait()?.is_some();
        tool.kill().await?;
        fresh::remount(&mut self.disk).await?;
        Ok(!over)
    }

    async fn torn(&mut self, server: &mut Server) -> anyhow::Result<bool> {
        self.a_while().await;
        let written = self.hold("journal.commit.written")?;
        let reached = self.reached(&written).await;
        // The other threads, too: one may be about to write more, or to sync it.
        server.freeze().await?;
        let file = damage::store_file(&self.disk.data())?;
        let written_to = std::fs::read(&file)?;
        self.cut(server).await?;
        self.orders.withdraw(&written)?;
        // What the commit synced on its way is on the disk; the rest of it is as it was before.
        let commit = Commit { before: std::fs::read(&file)?, written: written_to };
        if reached && let Some((torn, tear)) = commit.tear(&mut self.rng) {
            damage::overwrite(&file, &torn)?;
            // Of one whose first bytes are gone nothing is left to tell of, and of moved pages nothing is missing.
            self.tells = tear.is_to_be_told().then_some(tear);
            self.tally.saw(if tear.rubbish { "tears with rubbish" } else { "tears with a hole" });
            return Ok(true);
        }
        Ok(false)
    }

    async fn flipped(&mut self, server: &mut Server, moment: impl Future<Output = ()>) -> anyhow::Result<bool> {
        moment.await;
        self.cut(server).await?;
        let answer = damage::flip(&self.binary, &self.disk.data(), &self.disk.beside(), &mut self.rng).await?;
        Ok(match answer {
            Answer::Harmless => {
                self.tally.saw("flips that hit nothing in use");
                false
            }
            Answer::Refused(_) => {
                self.tally.saw("flips named and refused");
                true
            }
            Answer::Isolated(_) => {
                self.tally.saw("flips named and isolated");
                true
            }
            Answer::Silent(what) => {
                println!("powercut: a flipped bit passed in silence: {what}");
                self.tally.saw("flips that passed in silence");
                false
            }
        })
    }

    /// What the server has said about the end of its log since the last look.
    fn hear(&mut self, server: &Server) -> bool {
        let log = std::fs::read(server.log()).unwrap_or_default();
        let new = String::from_utf8_lossy(&log[self.heard.min(log.len())..]).into_owned();
        self.heard = log.len();
        let Some(line) = new.lines().find(|line| line.contains(CUT_OFF)) else { return false };
        if self.tally.count("tails told") == 0 {
            println!("powercut: the server says: {line}");
        }
        self.tally.saw("tails told");
        true
    }
}

impl Blow for Power {
    fn prepare(&mut self, server: &mut Server) -> anyhow::Result<()> {
        server.set_variable(points::VARIABLE, &self.orders.file().display().to_string());
        server.tune("session", "start_deadline = \"15s\"\n")?;
        server.tune("journal", JOURNAL)
    }

    async fn strike(&mut self, server: &mut Server, moment: impl Future<Output = ()>) -> anyhow::Result<u32> {
        let kind = self.only.unwrap_or_else(|| Kind::of(self.round));
        let hit = match kind {
            Kind::Load => {
                moment.await;
                self.cut(server).await?;
                true
            }
            Kind::Creation => self.creation(server).await?,
            Kind::Compaction => self.within(server, "prune").await?,
            Kind::Snapshot => self.within(server, "snapshot").await?,
            Kind::Pages => self.within(server, "list").await?,
            Kind::Folding => self.folding(server).await?,
            Kind::Recovery => self.recovery(server, moment).await?,
            Kind::Torn => self.torn(server).await?,
            Kind::Flipped => self.flipped(server, moment).await?,
        };
        self.tally.round(kind, hit);
        self.round += 1;
        Ok(1)
    }

    async fn back(&mut self, server: &mut Server, took: Duration) -> anyhow::Result<Vec<String>> {
        self.tally.ready(took);
        let mut wrong = Vec::new();
        let told = self.hear(server);
        if let Some(tear) = self.tells.take() {
            self.tally.saw(if told { TOLD } else { UNTOLD });
            if !told {
                println!("powercut: round {}: nothing was said of {tear:?}", self.round);
            }
        }
        if let Some(fresh) = self.fresh.take() {
            match fresh.judge().await? {
                Ok(_) => {}
                Err(why) => wrong.push(format!("round {}: a new data directory: {why}", self.round)),
            }
        }
        for what in &wrong {
            println!("powercut: {what}");
        }
        let (round, rounds) = (self.round, self.rounds);
        if round.is_multiple_of(10) || round == rounds {
            let (p50, max) = self.tally.readiness();
            let gone = self.begun.elapsed().as_secs();
            println!(
                "powercut: round {round} of {rounds} after {gone} s, ready p50 {} ms max {} ms, {} MB free; {}",
                p50.as_millis(),
                max.as_millis(),
                self.disk.free().map_or(0, |free| free >> 20),
                self.tally.kinds()
            );
        }
        Ok(wrong)
    }
}

/// The server's last words, for an error.
pub(crate) fn words(server_dir: &std::path::Path) -> String {
    last_line(&server_dir.join("server.log"))
}
