//! The sampler against this very process and a metrics endpoint in miniature.

use super::*;
use axum::routing::get as route;

fn sample(t_s: f64, depth: f64, memory: f64) -> Sample {
    let values = [("webhook_queue_depth".to_owned(), depth), ("server.rss_bytes".to_owned(), memory)].into();
    Sample { at_ms: 0, t_s, values }
}

#[test]
fn a_long_run_keeps_a_bounded_number_of_samples_with_the_worst_of_queues() {
    let mut series = Series::default();
    for i in 0..100_000_u32 {
        series.push(sample(f64::from(i), if i == 77_777 { 500.0 } else { 1.0 }, 10.0));
    }
    let kept = series.all().count();
    assert!((KEPT_MAX / 4..=KEPT_MAX).contains(&kept), "{kept}");
    assert_eq!((series.max("webhook_queue_depth"), series.max("server.rss_bytes")), (Some(500.0), Some(10.0)));
    let points = series.points("server.rss_bytes");
    assert!(points.windows(2).all(|w| w[0].0 < w[1].0) && points.last().unwrap().0 > 99_000.0);
}

#[test]
fn a_rate_is_growth_a_second_and_a_restart_is_none() {
    let mut series = Series::default();
    for (t, value) in [(0.0, 0.0), (2.0, 10.0), (3.0, 4.0)] {
        series.push(Sample { at_ms: 0, t_s: t, values: [("x".to_owned(), value)].into() });
    }
    assert_eq!(series.rate("x"), [(2.0, 5.0), (3.0, 0.0)]);
    assert_eq!((series.first("x"), series.last("x"), series.last("y")), (Some(0.0), Some(4.0), None));
}

#[test]
fn a_long_file_gets_fewer_lines_as_it_grows() {
    let path = std::env::temp_dir().join(format!("lines-{}.jsonl", uuid::Uuid::new_v4()));
    let out = Some(BufWriter::new(File::create(&path).unwrap()));
    let mut lines = Lines { out, looks: 0, written: 0, every: 1 };
    (0..40_000).for_each(|i| lines.write(&sample(f64::from(i), 1.0, 1.0)));
    let count = std::fs::read_to_string(&path).unwrap().lines().count();
    std::fs::remove_file(&path).unwrap();
    assert!((10_000..30_000).contains(&count), "{count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_look_holds_the_process_its_disk_its_metrics_and_the_latencies() {
    let dir = std::env::temp_dir().join(format!("sampler-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).unwrap();
    let text = "# TYPE chargeline_webhook_queue_depth gauge\nchargeline_webhook_queue_depth 9\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/metrics", route(move || async move { text }));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let watched = Watched {
        metrics_url: Some(url),
        pid: Some(std::process::id()),
        directories: vec![("data".into(), dir.clone())],
    };
    let stats = Arc::new(Stats::default());
    stats.record(Measure::Heartbeat, Duration::from_millis(3));
    let sampler = Sampler::start(stats, watched, &dir).unwrap();
    let mut newest = sampler.newest();
    newest.changed().await.unwrap();
    let recorded = sampler.end().await.unwrap();
    serving.abort();
    let first = recorded.series.all().next().unwrap().clone();
    for name in ["server.rss_bytes", "server.pss_bytes", "server.descriptors", "latency.heartbeat:p99_us"] {
        assert!(first.get(name).is_some_and(|v| v > 0.0), "{name}: {first:?}");
    }
    assert_eq!((first.get("webhook_queue_depth"), first.get("latency.heartbeat:count")), (Some(9.0), Some(1.0)));
    assert!(first.get("disk.data_bytes").is_some());
    let lines = std::fs::read_to_string(dir.join("samples.jsonl")).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let back: Vec<Sample> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(back.len(), recorded.series.all().count());
    assert_eq!(back[0].values, first.values);
}
