//! The heap of a server full of idle chargers, by site of allocation. Only with the feature `heap`: the server is then this
//! program, whose allocator notes where each byte comes from, and is slow.

use crate::host::{Host, Wishes};
use loadtest::net::Sources;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const NOW: &str = "heap-now";
const DUMP: &str = "heap.json";

/// In the server: notes allocations from now on, and writes down what is live once it is asked to.
pub(crate) fn watch() {
    let profiler = dhat::Profiler::builder().file_name(DUMP).trim_backtraces(Some(60)).build();
    std::thread::spawn(move || {
        while !Path::new(NOW).exists() {
            std::thread::sleep(Duration::from_millis(200));
        }
        drop(profiler);
        let _ = std::fs::write("heap-done", "");
    });
}

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
    while !dir.join("heap-done").exists() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    std::fs::copy(dir.join(DUMP), std::env::var("HEAP_OUT").unwrap_or_else(|_| "target/heap.json".into()))?;
    host.end().await
}
