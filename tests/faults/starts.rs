//! A start that ends at each of its steps (J15). Owns which steps there are to be tried; the shim kills.

use crate::journal::{copy, opens, same, worked};
use crate::scene::{PATIENCE, Scene};
use anyhow::{Context as _, Result, bail, ensure};
use loadtest::fleet::World;
use loadtest::partner::Session;
use std::os::unix::process::ExitStatusExt as _;

const SIGKILL: i32 = 9;

/// J15: killed before, or in the midst of, each call by which a start changes the journal's files.
pub(crate) async fn each_step(scene: &mut Scene) -> Result<()> {
    scene.preload()?;
    let (world, known) = worked(scene).await?;
    let (journal, good, none) = (scene.folder.join("journal"), scene.folder.join("good"), scene.folder.join("none"));
    copy(&journal, &good).await?;
    // A first start, too.
    std::fs::create_dir(&none)?;
    for (left, known) in [(&good, known), (&none, Vec::new())] {
        copy(left, &journal).await?;
        scene.shim()?.fall_at(None, false)?;
        scene.start().await?;
        let steps = scene.shim()?.steps()?;
        scene.kill().await?;
        let every = scene.rounds(1, 4);
        let each = (1..=steps).step_by(every).flat_map(|step| [(step, false), (step, true)]);
        for (step, midst) in each {
            copy(left, &journal).await?;
            let which = || format!("{}: call {step} of {steps}, midst {midst}", left.display());
            killed(scene, &world, &known, (step, midst)).await.with_context(which)?;
        }
    }
    copy(&good, &journal).await?;
    scene.start().await?;
    scene.judge(world).await.map(drop)
}

/// A start that is killed at a step, and the one after it.
async fn killed(scene: &mut Scene, world: &World, known: &[Session], (step, midst): (u64, bool)) -> Result<()> {
    scene.shim()?.fall_at(Some(step), midst)?;
    scene.server.start()?;
    let ready = scene.server.ready(PATIENCE).await;
    scene.shim()?.stands()?;
    if ready.is_ok() {
        // What comes after it is ready is not in the same order each time.
        return scene.kill().await;
    }
    let status = scene.server.ended(PATIENCE).await?.context("it neither starts nor falls")?;
    ensure!(status.signal() == Some(SIGKILL), "it ended with {status}");
    scene.count("starts killed", 1);
    match opens(scene, world).await? {
        Some(found) if same(&found, known) => Ok(()),
        Some(found) => bail!("{} sessions of {}", found.len(), known.len()),
        None => bail!("the next start is refused"),
    }
}
