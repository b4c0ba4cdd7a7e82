//! The heap of a server full of idle chargers, by site of allocation. Only with the feature `heap`: the server is then this
//! program, whose allocator notes where each byte comes from, and is slow.

use crate::host::{Host, Wishes};
use loadtest::net::Sources;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The file in the server's directory by which it is asked to write down what is live, the one that says that it has, and
/// where it does.
const NOW: &str = "heap-now";
const DONE: &str = "heap-done";
const DUMP: &str = "heap.json";
/// Between two looks for them.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Frames kept of each site: a future of a future has many.
const FRAMES: usize = 60;

/// In the server: notes allocations from now on, and writes down what is live once it is asked to.
pub(crate) fn watch() {
    let profiler = dhat::Profiler::builder().file_name(DUMP).trim_backtraces(Some(FRAMES)).build();
    std::thread::spawn(move || {
        while !Path::new(NOW).exists() {
            std::thread::sleep(LOOK_EVERY);
        }
        drop(profiler);
        // Whoever asked waits for it and would tell.
        let _ = std::fs::write(DONE, "");
    });
}

/// Connects `HEAP_CHARGERS` chargers, with `HEAP_REGISTERED` more that are only registered, and writes `target/heap.json`, or
/// `HEAP_OUT`, for dhat's viewer.
pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let number = |name: &str, or: usize| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or);
    let (chargers, registered) = (number("HEAP_CHARGERS", 1_000), number("HEAP_REGISTERED", 0));
    let wishes = Wishes { small_cache: true, same_program: true, ..Wishes::default() };
    let host = Host::start(paths, "heap", wishes).await?;
    host.register(0, chargers + registered, 1).await?;
    for wire in host.fleet(0, chargers, sources).await? {
        tokio::spawn(wire.idle());
    }
    host.process()?.quiet().await?;
    let dir = paths.work.join("heap");
    std::fs::write(dir.join(NOW), "")?;
    while !dir.join(DONE).exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    std::fs::copy(dir.join(DUMP), std::env::var("HEAP_OUT").unwrap_or_else(|_| "target/heap.json".into()))?;
    host.end().await
}
