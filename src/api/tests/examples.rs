//! EM-13: the examples of `docs/partner-api.md` run as they stand, against a real server.

use super::*;
use std::process::Stdio;

const DOCUMENT: &str = include_str!("../../../docs/partner-api.md");

fn example(language: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

async fn run(rig: &Rig, program: &[&str], language: &str) -> (bool, String) {
    let mut command = tokio::process::Command::new(program[0]);
    command.args(&program[1..]).arg(example(language)).stdin(Stdio::null());
    command.env("CHARGELINE_URL", &rig.url).env("CHARGELINE_KEY", "ck_1").env("CHARGELINE_SECRET", SECRET);
    command.env("no_proxy", "*");
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A server on the machine's own time, since the examples use it.
async fn rig() -> Rig {
    let world = World::new();
    world.clock.0.store(crate::clock::WallClock.now().0, SeqCst);
    world.serve().await
}

#[tokio::test]
async fn the_python_example_runs_as_it_stands() {
    let rig = rig().await;
    let (good, text) = run(&rig, &["python3", "-c"], "python").await;
    assert!(good && text.contains("CP1") && text.contains("(202"), "{text}");
}

#[tokio::test]
async fn the_node_example_runs_as_it_stands() {
    let rig = rig().await;
    let (good, text) = run(&rig, &["node", "-e"], "js").await;
    assert!(good && text.contains("CP1") && text.contains("[202"), "{text}");
}

#[tokio::test]
async fn the_curl_example_runs_as_it_stands() {
    let tools = ["bash", "curl", "openssl"];
    let there = |tool: &&str| {
        let asked =
            std::process::Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok()
    };
    let missing: Vec<_> = tools.iter().filter(|tool| !there(tool)).collect();
    assert!(missing.is_empty(), "this test needs {missing:?}");
    let rig = rig().await;
    let (good, text) = run(&rig, &["bash", "-c"], "bash").await;
    assert!(good && text.contains("from-curl-1"), "{text}");
}
