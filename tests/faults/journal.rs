//! Faults of the journal and of what it stands on: kills, a full disk, syncs that fail or take long, flipped bits, a torn tail, a
//! second process (J1, J5, J7 to J10, J12).

use crate::chargers::everywhere;
use crate::disk::Disk;
use crate::scene::{
    BINARY, Fleet, PATIENCE, Scene, lively, sessions, start, started, takes_a_command, under_load, until,
};
use anyhow::{Context as _, Result, bail, ensure};
use loadtest::fleet::{Load, World, identity};
use loadtest::partner::{Outcome, Session};
use loadtest::server::Server;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::watch;

/// What the process ends with when its journal has failed.
const FAILED_JOURNAL: i32 = 70;

/// Much of everything.
pub(crate) const LOAD: Load = Load {
    starts_per_s: 15.0,
    local_percent: 30,
    stopped_percent: 50,
    length: (Duration::from_millis(500), Duration::from_secs(3)),
    shape: Vec::new(),
    period: Duration::ZERO,
    level: None,
};

/// J1: SIGKILL at random moments under load.
pub(crate) async fn kills(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(6)).await?;
    let rounds = scene.rounds(100, 4);
    let (stop, stopped) = watch::channel(false);
    let killing = async {
        for round in 0..rounds {
            tokio::time::sleep(Duration::from_millis(rand::random_range(20..900))).await;
            scene.kill().await?;
            // Now and then in the midst of its recovery.
            if round % 4 == 3 {
                scene.server.start()?;
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..150))).await;
                scene.kill().await?;
                scene.count("kills", 1);
            }
            scene.start().await?;
            scene.count("kills", 1);
        }
        Ok(())
    };
    under_load(world.drive(LOAD, rand::random(), stopped), stop, killing).await?;
    let verdict = scene.judge(world).await?;
    scene.count("acknowledged starts", verdict.figures.starts_found as u64);
    scene.count("transactions", verdict.figures.transactions_found as u64);
    Ok(())
}

/// J5: the disk fills up under a running server.
pub(crate) async fn disk_full(scene: &mut Scene) -> Result<()> {
    let disk = Disk::of(96 << 20).map_err(anyhow::Error::msg)?;
    let histories = scene.histories.clone();
    scene.moved_to(&disk.data())?;
    scene.histories = histories;
    scene.configure("journal.reserve_bytes", 8 << 20)?;
    scene.configure("journal.full_floor_bytes", 16 << 20)?;
    scene.configure("journal.upkeep_interval", "100ms")?;
    scene.configure("message_log.enabled", false)?;
    scene.start().await?;
    let world = scene.world(Fleet { wants_wh: (4_000, 5_000), ..Fleet::of(2) }).await?;
    let running = started(&world, "j5-running", 0, 1).await?;
    sessions(&world, "it charges", |all| all.iter().any(|s| s.status == "Charging")).await?;
    let ballast = disk.data().with_file_name("ballast");
    fill(&ballast, 4 << 20)?;
    let full = "chargeline_journal_full";
    until("it counts as full", PATIENCE, async || Ok(scene.metric(full, &[]).await? == 1)).await?;
    scene.count("times full", 1);
    let mut once = world.partner.clone();
    once.set_patience(Duration::ZERO);
    let call = loadtest::partner::StartCall {
        request_id: "j5-refused".into(),
        charger_id: identity(crate::scene::FLEET, 1),
        connector_id: 1,
        user_id: "user".into(),
    };
    let refused = once.start(&call).await;
    ensure!(matches!(&refused, Outcome::Unknown { reason } if reason.contains("journal_full")), "{refused:?}");
    scene.count("starts refused", 1);
    let stopped = world.partner.stop("j5-stop", &running).await;
    ensure!(matches!(stopped, Outcome::Accepted { .. }), "a stop is refused: {stopped:?}");
    sessions(&world, "it has ended", |all| all.iter().any(|s| s.session_id == running && s.is_over())).await?;
    scene.count("stops taken from the reserve", 1);
    // The next start, on the full disk: it serves, and says that it is not ready for new work.
    scene.kill().await?;
    scene.server.start()?;
    until("chargers are served on a full disk", PATIENCE, async || Ok(crate::scene::all_online(&world))).await?;
    ensure!(scene.metric(full, &[]).await? == 1, "it takes the disk for free");
    std::fs::remove_file(&ballast)?;
    until("it has room again", PATIENCE, async || Ok(scene.metric(full, &[]).await? == 0)).await?;
    started(&world, "j5-after", 1, 1).await?;
    scene.judge(world).await?;
    scene.kill().await
}

/// Writes until so many bytes are left.
fn fill(ballast: &Path, leave: u64) -> Result<()> {
    use std::io::Write as _;
    let mut file = File::create(ballast)?;
    let chunk = vec![0xA5; 1 << 20];
    while fs4::available_space(ballast)? > leave + (1 << 20) {
        file.write_all(&chunk)?;
    }
    Ok(())
}

/// J7: one sync of the store fails.
pub(crate) async fn sync_fails(scene: &mut Scene) -> Result<()> {
    scene.preload()?;
    scene.start().await?;
    let world = scene.world(Fleet::of(3)).await?;
    for round in 0..scene.rounds(5, 1) {
        lively(&world).await?;
        let before = scene.shim()?.failed()?;
        scene.shim()?.fail_syncs(1)?;
        let name = format!("j7-{round}");
        let falls = async {
            let status = scene.server.ended(PATIENCE).await?.context("it goes on after a failed sync")?;
            ensure!(status.code() == Some(FAILED_JOURNAL), "it ended with {status}");
            scene.start().await
        };
        let (begun, fell) = tokio::join!(start(&world, &name, round % 3, 1), falls);
        fell?;
        match begun {
            Outcome::Accepted { .. } => {}
            // It fell before the request came, for a sync of its own, and rose before the charger was back.
            Outcome::Refused { code, .. } if code == "charger_offline" => {
                lively(&world).await?;
                started(&world, &format!("{name}-again"), round % 3, 1).await?;
            }
            other => bail!("{name} is not taken: {other:?}"),
        }
        let failed = scene.shim()?.failed()? - before;
        ensure!(failed == 1, "{failed} syncs failed");
        scene.count("fsync errors injected", failed);
        sessions(&world, "the session ends", |all| all.iter().filter(|s| s.is_over()).count() > round).await?;
    }
    ensure!(scene.log().contains("the journal has failed and the process stops"), "it does not say why");
    scene.judge(world).await.map(drop)
}

/// J8: syncs take 300 ms, 3 s, 30 s.
pub(crate) async fn sync_is_slow(scene: &mut Scene) -> Result<()> {
    scene.configure("api.request_deadline", "25s")?;
    scene.preload()?;
    scene.start().await?;
    let mut world = scene.world(Fleet::of(2)).await?;
    world.partner = world.partner.clone().with_try_max(Duration::from_secs(28))?;
    for (round, slow) in [300, 3_000].map(Duration::from_millis).into_iter().enumerate() {
        let before = scene.shim()?.delayed()?;
        scene.shim()?.delay_syncs(slow)?;
        let begun = Instant::now();
        started(&world, &format!("j8-{round}"), round, 1).await?;
        let took = begun.elapsed();
        scene.shim()?.delay_syncs(Duration::ZERO)?;
        // The claim of the request and the step, each behind a sync of its own.
        ensure!(took >= slow, "answered after {took:?} while a sync takes {slow:?}");
        scene.count("slow syncs", scene.shim()?.delayed()? - before);
        takes_a_command(&world, &identity(crate::scene::FLEET, round)).await?;
    }
    scene.shim()?.delay_syncs(Duration::from_secs(30))?;
    let begun = Instant::now();
    let mut once = world.partner.clone();
    once.set_patience(Duration::ZERO);
    let call = loadtest::partner::StartCall {
        request_id: "j8-hangs".into(),
        charger_id: identity(crate::scene::FLEET, 0),
        connector_id: 2,
        user_id: "user".into(),
    };
    let hangs = once.start(&call).await;
    ensure!(matches!(hangs, Outcome::Unknown { .. }), "{hangs:?} though nothing can be durable");
    ensure!(begun.elapsed() >= Duration::from_secs(20), "{hangs:?} after {:?}", begun.elapsed());
    scene.count("answers that timed out", 1);
    scene.shim()?.delay_syncs(Duration::ZERO)?;
    let outcome = world.partner.start(&call).await;
    ensure!(matches!(outcome, Outcome::Accepted { .. }), "the same request once it works: {outcome:?}");
    scene.judge(world).await.map(drop)
}

/// A journal that has seen some work, its server stopped by SIGKILL, and the sessions that it acknowledged.
pub(crate) async fn worked(scene: &mut Scene) -> Result<(World, Vec<Session>)> {
    scene.start().await?;
    let world = scene.world(Fleet::of(3)).await?;
    let begun = everywhere(&world, "work").await? as usize;
    sessions(&world, "all are over", |all| all.len() >= begun && all.iter().all(Session::is_over)).await?;
    let mut known = world.operator.sessions().await?;
    known.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    scene.kill().await?;
    Ok((world, known))
}

/// sled's file of pages.
fn pages(journal: &Path) -> Result<PathBuf> {
    let current = std::fs::read_to_string(journal.join("CURRENT"))?;
    Ok(journal.join(current.trim()).join("db"))
}

pub(crate) async fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().await?;
    ensure!(copied.success(), "cp -a");
    Ok(())
}

/// Starts on what is there. `Some`: the sessions; `None`: refused, with words.
pub(crate) async fn opens(scene: &mut Scene, world: &World) -> Result<Option<Vec<Session>>> {
    let said_before = scene.log().len();
    scene.server.start()?;
    match scene.server.ready(PATIENCE).await {
        Ok(_) => {
            let mut found = world.operator.sessions().await?;
            found.sort_by(|a, b| a.session_id.cmp(&b.session_id));
            scene.kill().await?;
            Ok(Some(found))
        }
        Err(_) => {
            let status = scene.server.ended(PATIENCE).await?.context("it neither starts nor ends")?;
            let log = scene.log();
            let said = &log[said_before..];
            ensure!(!status.success(), "it ended with {status}");
            let tells = ["damaged", "corrupt", "checksum", "sled panicked"].iter().any(|word| said.contains(word));
            ensure!(tells, "it refuses without saying what is wrong: {}", said.lines().last().unwrap_or_default());
            Ok(None)
        }
    }
}

/// Bytes of a file up to the last that is not zero.
fn written(file: &Path) -> Result<u64> {
    let bytes = std::fs::read(file)?;
    Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1))
}

/// J9: a bit of the store's file is another.
pub(crate) async fn flipped_bit(scene: &mut Scene) -> Result<()> {
    let (world, known) = worked(scene).await?;
    let (journal, good) = (scene.folder.join("journal"), scene.folder.join("good"));
    copy(&journal, &good).await?;
    let length = written(&pages(&journal)?)?;
    let flips = scene.rounds(40, 4) as u64;
    for flip in 0..flips {
        copy(&good, &journal).await?;
        let at = length * (2 * flip + 1) / (2 * flips);
        let file = OpenOptions::new().read(true).write(true).open(pages(&journal)?)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ 0x10], at)?;
        drop(file);
        match opens(scene, &world).await.with_context(|| format!("bit at {at} of {length}"))? {
            None => scene.count("flips refused", 1),
            Some(found) if same(&found, &known) => scene.count("flips in what no longer counts", 1),
            Some(found) => bail!("bit at {at} of {length}: {} sessions of {} in silence", found.len(), known.len()),
        }
    }
    copy(&good, &journal).await?;
    scene.start().await?;
    scene.judge(world).await.map(drop)
}

pub(crate) fn same(found: &[Session], known: &[Session]) -> bool {
    let facts = |s: &Session| (s.session_id.clone(), s.status.clone(), s.energy_wh, s.transaction_id);
    found.iter().map(facts).eq(known.iter().map(facts))
}

/// J10: the end of the store's file is missing.
pub(crate) async fn torn_tail(scene: &mut Scene) -> Result<()> {
    let (world, known) = worked(scene).await?;
    let (journal, good) = (scene.folder.join("journal"), scene.folder.join("good"));
    copy(&journal, &good).await?;
    let length = written(&pages(&journal)?)?;
    let cuts = [1, 7, 64, 511, 4_096, 20_000, 100_000];
    for cut in cuts.into_iter().take(scene.rounds(7, 3)) {
        copy(&good, &journal).await?;
        OpenOptions::new().write(true).open(pages(&journal)?)?.set_len(length.saturating_sub(cut))?;
        // All that was acknowledged reached to the end of the file: either it is there, or the start is refused.
        match opens(scene, &world).await.with_context(|| format!("{cut} bytes missing"))? {
            None => scene.count("cuts refused", 1),
            Some(found) if same(&found, &known) => scene.count("cuts that lost nothing", 1),
            Some(found) => bail!("{cut} bytes missing: {} sessions of {} in silence", found.len(), known.len()),
        }
    }
    copy(&good, &journal).await?;
    // A record that nobody was told of, torn.
    scene.start().await?;
    lively(&world).await?;
    scene.arm("journal.flushed", "*", "abort", 0, 1)?;
    let mut once = world.partner.clone();
    once.set_patience(Duration::ZERO);
    let lost = start(&world, "j10-torn", 0, 1);
    let torn = async {
        scene.server.ended(PATIENCE).await?.context("it did not end")?;
        let file = pages(&journal)?;
        let end = written(&file)?;
        ensure!(end > 8, "nothing was written");
        OpenOptions::new().write(true).open(&file)?.set_len(end - 8)?;
        scene.count("torn records", 1);
        scene.start().await
    };
    let (outcome, opened) = tokio::join!(lost, torn);
    opened?;
    ensure!(matches!(outcome, Outcome::Accepted { .. }), "the repeated request: {outcome:?}");
    scene.judge(world).await.map(drop)
}

/// J12: two processes open one journal.
pub(crate) async fn two_processes(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let second = Server::new(Path::new(BINARY), &scene.folder.join("second"))?;
    let mine: toml::Table = std::fs::read_to_string(scene.server.config())?.parse()?;
    let mut theirs: toml::Table = std::fs::read_to_string(second.config())?.parse()?;
    theirs.extend(mine.get("journal").map(|journal| ("journal".to_owned(), journal.clone())));
    std::fs::write(second.config(), toml::to_string(&theirs)?)?;
    for _ in 0..2 {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(second.config()).current_dir(&scene.folder).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.context("the second one runs")??;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(!output.status.success(), "the second one ended well");
        ensure!(said.contains("another process has the journal"), "{said}");
        scene.count("second processes refused", 1);
        started(&world, &format!("j12-{}", scene.counts().values().sum::<u64>()), 0, 1).await?;
        let over = scene.counts().values().sum::<u64>() as usize;
        sessions(&world, "the first one serves", |all| all.iter().filter(|s| s.is_over()).count() == over).await?;
    }
    scene.judge(world).await.map(drop)
}
