//! Faults of the machine: no descriptors left, no room for logs, no memory (J13, O3, O4).

use crate::chargers::everywhere;
use crate::disk::Disk;
use crate::group::Group;
use crate::hand;
use crate::scene::{FLEET, Fleet, PATIENCE, Scene, all_online, command, lively, sessions, started, until};
use anyhow::{Context as _, Result, ensure};
use loadtest::fleet::{World, identity};
use loadtest::partner::Session;
use reqwest::Method;
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Files and sockets that the server may have.
const DESCRIPTORS: u32 = 256;

/// A socket of another address of this machine.
async fn stranger(port: u16, last: u8) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    Ok(socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?)
}

/// Comes again each time it is turned away, and says nothing.
async fn insists(port: u16) {
    loop {
        if let Ok(mut socket) = stranger(port, 2).await {
            // Whatever comes, it ends.
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// J13: more sockets than the process may have descriptors.
pub(crate) async fn descriptors_exhausted(scene: &mut Scene) -> Result<()> {
    for key in ["gateway.handshakes_per_second", "gateway.handshakes_per_second_busy", "gateway.handshakes_in_flight"] {
        scene.configure(key, 10_000)?;
    }
    scene.configure("gateway.handshake_timeout", "1s")?;
    scene.server.limit_descriptors(DESCRIPTORS);
    scene.start().await?;
    let world = scene.world(Fleet::of(3)).await?;
    let ports = scene.server.ports();
    let (refused, open) = ("chargeline_gateway_refused_total", "chargeline_process_open_descriptors");
    let mut strangers = JoinSet::new();
    for _ in 0..2 * DESCRIPTORS {
        strangers.spawn(insists(ports.ocpp));
    }
    for port in [ports.metrics, ports.operator] {
        strangers.spawn(insists(port));
    }
    for round in 0..scene.rounds(10, 2) {
        let before = scene.metric(refused, &["\"connections\""]).await?;
        until("chargers are turned away", PATIENCE, async || {
            Ok(scene.metric(refused, &["\"connections\""]).await? > before)
        })
        .await?;
        // The journal has its files, those who are in their sockets, partners and operators their way in.
        started(&world, &format!("j13-{round}"), round % 3, 1).await?;
        let charger = identity(FLEET, (round + 1) % 3);
        let state = command(&world, &charger).await?;
        ensure!(state == "Accepted", "{charger}: {state}");
        let backup = json!({"name": format!("j13-{round}")});
        world.operator.call(Method::POST, "/ops/v1/journal/backup", Some(backup)).await.context("a backup")?;
        let used = scene.metric(open, &[]).await?;
        ensure!(used < u64::from(DESCRIPTORS), "{used} of {DESCRIPTORS} descriptors are in use");
        sessions(&world, "it ends", |all| all.iter().filter(|s| s.is_over()).count() > round).await?;
    }
    scene.count("chargers turned away", scene.metric(refused, &["\"connections\""]).await?);
    ensure!(scene.metric(refused, &["\"accept_error\""]).await? == 0, "sockets took all descriptors");
    ensure!(!scene.log().contains("Too many open files"), "somebody had none");
    strangers.shutdown().await;
    scene.kill_and_start().await?;
    until("the fleet is back", PATIENCE, async || Ok(all_online(&world))).await?;
    scene.judge(world).await.map(drop)
}

/// Memory that is left when the crowd comes.
const ROOM: u64 = 20 << 20;
/// Of a message of which the rest does not come: as much as is free to each.
const BEGUN: usize = 60_000;
/// Those who come.
const CROWD: usize = 600;

/// Says the first part of a message as soon as it is let in, and holds it.
async fn hoards(port: u16, id: String) {
    loop {
        if let Ok(mut socket) = hand::dial(port, &id, None).await {
            // Final, a text, masked with zeros.
            let mut begun = vec![0x81, 0xFE];
            begun.extend(u16::MAX.to_be_bytes());
            begun.extend([0; 4]);
            begun.resize(begun.len() + BEGUN, b' ');
            if socket.get_mut().write_all(&begun).await.is_ok() {
                // Until it is put out.
                let _ = socket.get_mut().read_to_end(&mut Vec::new()).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// O4: more memory is wanted than the process may have.
pub(crate) async fn memory_short(scene: &mut Scene) -> Result<()> {
    let group = Group::new("o4").map_err(anyhow::Error::msg)?;
    scene.server.within(group.directory());
    // What comes between two looks at so little memory is to fit into what is left of it.
    scene.configure("gateway.handshakes_per_second", 40)?;
    scene.configure("gateway.handshakes_in_flight", 10_000)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(3)).await?;
    let crowd: Vec<String> = (0..CROWD).map(|n| format!("CP-o4-{n}")).collect();
    for id in &crowd {
        hand::register(&world, id).await?;
    }
    group.bound(group.used()? + ROOM)?;
    let refused = "chargeline_gateway_refused_total";
    let (port, mut hoarders) = (scene.server.ports().ocpp, JoinSet::new());
    for id in crowd {
        hoarders.spawn(hoards(port, id));
    }
    for round in 0..scene.rounds(10, 2) {
        let before = scene.metric(refused, &["\"memory\""]).await?;
        until("newcomers are turned away", PATIENCE, async || {
            Ok(scene.metric(refused, &["\"memory\""]).await? > before)
        })
        .await?;
        // Those who are in go on: partners start, chargers obey.
        started(&world, &format!("o4-{round}"), round % 3, 1).await?;
        let charger = identity(FLEET, (round + 1) % 3);
        let state = command(&world, &charger).await?;
        ensure!(state == "Accepted", "{charger}: {state}");
        sessions(&world, "it ends", |all| all.iter().filter(|s| s.is_over()).count() > round).await?;
        ensure!(group.killings()? == 0, "the system has killed (round {round})");
    }
    scene.count("newcomers turned away", scene.metric(refused, &["\"memory\""]).await?);
    hoarders.shutdown().await;
    until("there is room again", PATIENCE, async || Ok(hand::dial(port, "CP-o4-0", None).await.is_ok())).await?;
    ensure!(group.killings()? == 0, "the system has killed");
    scene.kill_and_start().await?;
    until("the fleet is back", PATIENCE, async || Ok(all_online(&world))).await?;
    scene.judge(world).await.map(drop)
}

/// Asks for the metrics and reads nothing, if it is let in.
async fn hangs(port: u16) -> Option<TcpStream> {
    let mut socket = stranger(port, 3).await.ok()?;
    for _ in 0..64 {
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.ok()?;
    }
    Some(socket)
}

/// Writes until nothing more goes in.
fn fill(ballast: &Path) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(ballast)?;
    let chunk = [0xA5; 4096];
    while file.write_all(&chunk).is_ok() {}
    Ok(())
}

async fn charges(world: &World, name: &str) -> Result<()> {
    let before = world.operator.sessions().await?.len();
    let begun = everywhere(world, name).await? as usize;
    sessions(world, "all are over", |all| all.len() >= before + begun && all.iter().all(Session::is_over)).await
}

/// O3: the disk of all logs is full, and those who read the metrics hang.
pub(crate) async fn logs_without_room(scene: &mut Scene) -> Result<()> {
    let disk = Disk::of(32 << 20).map_err(anyhow::Error::msg)?;
    std::fs::create_dir_all(disk.data())?;
    let log = disk.data().join("server.log");
    std::fs::write(&log, "")?;
    std::os::unix::fs::symlink(&log, scene.folder.join("server.log"))?;
    scene.configure("message_log.path", disk.data().join("messages").display().to_string())?;
    scene.configure("telemetry.log_filter", "debug")?;
    scene.start().await?;
    let world = scene.world(Fleet::of(3)).await?;
    charges(&world, "o3-before").await?;
    let ballast = disk.data().join("ballast");
    fill(&ballast)?;
    let mut hang = Vec::new();
    for _ in 0..20 {
        hang.extend(hangs(scene.server.ports().metrics).await);
    }
    let (kept, dropped) = ("chargeline_messages_kept_total", "chargeline_messages_dropped_total");
    let lost = "chargeline_process_log_dropped_lines_total";
    for round in 0..scene.rounds(5, 1) {
        charges(&world, &format!("o3-{round}")).await?;
    }
    until("holes are counted", PATIENCE, async || {
        lively(&world).await?;
        Ok(scene.metric(dropped, &[]).await? > 0 && scene.metric(lost, &[]).await? > 0)
    })
    .await?;
    scene.count("frames not kept", scene.metric(dropped, &[]).await?);
    scene.count("log lines lost", scene.metric(lost, &[]).await?);
    scene.count("scrapers that hang", hang.len() as u64);
    std::fs::remove_file(&ballast)?;
    let before = scene.metric(kept, &[]).await?;
    until("frames are kept again", PATIENCE, async || {
        lively(&world).await?;
        Ok(scene.metric(kept, &[]).await? > before)
    })
    .await?;
    drop(hang);
    charges(&world, "o3-after").await?;
    scene.judge(world).await?;
    // The log lies on the disk that goes.
    std::fs::copy(&log, scene.folder.join("server.log.kept"))?;
    scene.kill().await
}
