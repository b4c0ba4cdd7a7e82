//! The sender against real sockets: answers, redirects, slow and endless bodies, broken connections, TLS, names.

use super::*;
use crate::clock::WallClock;
use crate::config::DEFAULTS;
use crate::protocol::webhook::{SigningSecret, signature_header};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Names and, for each look-up, the addresses; the last ones stay.
#[derive(Default)]
struct Names(Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>);

impl Lookup for Names {
    fn lookup(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let found = names.get_mut(name).map(|turns| if turns.len() > 1 { turns.remove(0) } else { turns[0].clone() });
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

fn names(list: &[(&'static str, &[&[&str]])]) -> Arc<Names> {
    let address = |text: &&str| text.parse().unwrap();
    let turns = |turns: &[&[&str]]| turns.iter().map(|turn| turn.iter().map(address).collect()).collect();
    Arc::new(Names(Mutex::new(list.iter().map(|(name, t)| (*name, turns(t))).collect())))
}

fn config() -> Webhook {
    let mut table: toml::Table = DEFAULTS.parse().unwrap();
    let webhook: Webhook = table.remove("webhook").unwrap().try_into().unwrap();
    Webhook { ports: vec![], ..webhook }
}

/// Loopback is allowed, as an operator may allow a private network.
fn open() -> Webhook {
    Webhook { allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true, ..config() }
}

fn sender(config: &Webhook, lookup: Arc<Names>) -> HttpSender {
    HttpSender::new(config, lookup, HttpSender::public_roots(), Arc::new(WallClock)).unwrap()
}

fn delivery(url: &str) -> Delivery {
    let (id, timestamp) = ("evt_1".to_owned(), crate::clock::Clock::now(&WallClock).as_seconds());
    let body = Bytes::from_static(b"{\"id\":\"evt_1\"}");
    let signature = signature_header(&[SigningSecret::parse(SECRET).unwrap()], &id, timestamp, &body);
    Delivery { url: url.to_owned(), id, timestamp, signature, body, challenge: None }
}

/// A server that answers each connection with `script` and counts them.
async fn scripted<F, Fut>(script: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(tokio::net::TcpStream) -> Fut + Send + Copy + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                script(stream).await;
            });
        }
    });
    (address, count)
}

fn code(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::Status { code, .. } | Answer::NotEchoed { code } => Some(*code),
        Answer::TimedOut
        | Answer::NameFailed(_)
        | Answer::Refused(_)
        | Answer::ConnectFailed(_)
        | Answer::TlsFailed(_)
        | Answer::Broken(_)
        | Answer::Declined { .. }
        | Answer::Missing => None,
    }
}

#[tokio::test]
async fn a_delivery_carries_the_standard_headers_and_a_foreign_verifier_accepts_it() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/hook"))
        .and(header("content-type", "application/json"))
        .and(header("webhook-id", "evt_1"))
        .and(body_string("{\"id\":\"evt_1\"}"))
        .respond_with(ResponseTemplate::new(204))
        .expect(2)
        .mount(&server)
        .await;
    let sender = sender(&open(), names(&[]));
    for _ in 0..2 {
        let answer = sender.deliver(delivery(&format!("{}/hook", server.uri()))).await;
        assert_eq!(code(&answer), Some(204), "{answer:?}");
    }
    for request in server.received_requests().await.unwrap() {
        standardwebhooks::Webhook::new(SECRET).unwrap().verify(&request.body, &request.headers).unwrap();
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("Chargeline-Webhook/"));
    }
}

#[tokio::test]
async fn every_status_is_reported_as_it_is_and_retry_after_is_read() {
    for (status, retry_after, expected) in [
        (200, None, None),
        (410, None, None),
        (429, Some("7"), Some(7000)),
        (503, Some("rubbish"), None),
        (503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), Some(0)),
        (500, None, None),
    ] {
        let server = MockServer::start().await;
        let mut answer = ResponseTemplate::new(status).set_body_string("line\none\u{1b}[31m");
        if let Some(value) = retry_after {
            answer = answer.insert_header("retry-after", value);
        }
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let answer = sender(&open(), names(&[])).deliver(delivery(&server.uri())).await;
        let excerpt = "line\\none\\u{1b}[31m".to_owned();
        assert_eq!(answer, Answer::Status { code: status, retry_after_ms: expected, excerpt });
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let internal = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&internal).await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).insert_header("location", internal.uri());
        Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
        let answer = sender(&open(), names(&[])).deliver(delivery(&server.uri())).await;
        assert_eq!(code(&answer), Some(status));
        assert_eq!(answer.class(), crate::domain::delivery::Class::Failed);
    }
}

#[tokio::test]
async fn a_slow_partner_costs_one_time_out_and_no_more() {
    let (address, _) = scripted(|stream| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(stream);
    })
    .await;
    // A shorter time-out stands for the 15 s: this is a real socket, and real time.
    let config = Webhook { timeout: Duration::from_millis(300), ..open() };
    let begun = Instant::now();
    let answer = sender(&config, names(&[])).deliver(delivery(&format!("http://{address}/"))).await;
    assert_eq!(answer, Answer::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_dribbling_or_endless_body_neither_fails_nor_delays_a_success() {
    let dribble = scripted(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let endless = scripted(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = format!("10000\r\n{}\r\n", "y".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let config = Webhook { drain_timeout: Duration::from_millis(200), ..open() };
    let sender = sender(&config, names(&[]));
    for (address, expected) in [(dribble.await.0, 200), (endless.await.0, 500)] {
        let begun = Instant::now();
        let answer = sender.deliver(delivery(&format!("http://{address}/"))).await;
        assert_eq!(code(&answer), Some(expected));
        assert!(matches!(&answer, Answer::Status { excerpt, .. } if excerpt.len() <= EXCERPT_MAX), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_off_by_the_deadline() {
    let (address, _) = scripted(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"x-a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let config = Webhook { timeout: Duration::from_millis(400), ..open() };
    let answer = sender(&config, names(&[])).deliver(delivery(&format!("http://{address}/"))).await;
    assert_eq!(answer, Answer::TimedOut);
}

#[tokio::test]
async fn failures_before_an_answer_are_told_apart() {
    let (garbage, _) = scripted(|mut stream| async move {
        let _ = stream.write_all(b"220 smtp ready\r\n").await;
    })
    .await;
    let (hangs_up, _) = scripted(|stream| async move { drop(stream) }).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sender = sender(&open(), names(&[("here.example", &[&["127.0.0.1"]])]));
    let failed = async |url: String| sender.deliver(delivery(&url)).await;
    let answer = failed(format!("http://{closed}/")).await;
    assert!(matches!(&answer, Answer::ConnectFailed(why) if why.contains("refused")), "{answer:?}");
    for address in [garbage, hangs_up] {
        let answer = failed(format!("http://{address}/")).await;
        assert!(matches!(&answer, Answer::Broken(_)), "{answer:?}");
        let answer = failed(format!("https://{address}/")).await;
        assert!(matches!(&answer, Answer::TlsFailed(_) | Answer::ConnectFailed(_)), "{answer:?}");
    }
    let answer = failed("https://nowhere.example/".into()).await;
    assert_eq!(answer, Answer::NameFailed("nowhere.example does not resolve: no such name".into()));
}

#[tokio::test]
async fn a_name_that_resolves_to_an_internal_address_is_refused_before_any_connection() {
    let (address, connections) = scripted(|stream| async move { drop(stream) }).await;
    let names = names(&[
        ("loopback.example", &[&["127.0.0.1"]]),
        // One bad address among good ones is enough.
        ("mixed.example", &[&["93.184.215.14", "127.0.0.1"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
    ]);
    let sender = sender(&config(), names);
    for name in ["loopback", "mixed", "mapped", "metadata"] {
        let answer = sender.deliver(delivery(&format!("https://{name}.example:{}/", address.port()))).await;
        assert!(matches!(&answer, Answer::Refused(why) if why.contains("not allowed")), "{name}: {answer:?}");
    }
    let literal = sender.deliver(delivery(&format!("https://{address}/"))).await;
    assert!(matches!(literal, Answer::Refused(_)), "{literal:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_is_bound_anew_between_check_and_connection_gains_nothing() {
    let (address, connections) = scripted(|stream| async move { drop(stream) }).await;
    let rebound = names(&[("rebind.example", &[&["93.184.215.14"], &["127.0.0.1"]])]);
    let sender = sender(&config(), rebound.clone());
    let url = format!("https://rebind.example:{}/", address.port());
    // The check when the endpoint is set looks at the name's first answer: public.
    assert!(sender.policy().check_url(&url).is_ok());
    assert_eq!(rebound.lookup("rebind.example").await.unwrap(), ["93.184.215.14".parse::<IpAddr>().unwrap()]);
    let answer = sender.deliver(delivery(&url)).await;
    assert!(matches!(&answer, Answer::Refused(why) if why.contains("127.0.0.1")), "{answer:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_http_reaches_allow_listed_networks_only() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    let port = server.address().port();
    let names = names(&[("here.example", &[&["127.0.0.1"]]), ("public.example", &[&["93.184.215.14"]])]);
    let sender = sender(&open(), names);
    let answer = sender.deliver(delivery(&format!("http://here.example:{port}/"))).await;
    assert_eq!(code(&answer), Some(200), "{answer:?}");
    let answer = sender.deliver(delivery(&format!("http://public.example:{port}/"))).await;
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
}

/// A TLS server for `partner.example` that answers 200; and its certificate.
async fn tls_server() -> (SocketAddr, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["partner.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, certificate)
}

#[tokio::test]
async fn a_certificate_counts_only_if_it_is_trusted_and_names_the_host() {
    let (address, certificate) = tls_server().await;
    let names = || names(&[("partner.example", &[&["127.0.0.1"]]), ("other.example", &[&["127.0.0.1"]])]);
    let url = |host: &str| format!("https://{host}.example:{}/", address.port());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = HttpSender::new(&open(), names(), roots, Arc::new(WallClock)).unwrap();
    let answer = trusting.deliver(delivery(&url("partner"))).await;
    assert_eq!(code(&answer), Some(200), "{answer:?}");
    let answer = trusting.deliver(delivery(&url("other"))).await;
    assert!(matches!(&answer, Answer::TlsFailed(_)), "{answer:?}");
    let answer = sender(&open(), names()).deliver(delivery(&url("partner"))).await;
    assert!(matches!(&answer, Answer::TlsFailed(_)), "{answer:?}");
}

#[tokio::test]
async fn a_challenge_that_does_not_come_back_in_the_body_is_no_success_whatever_the_status() {
    for (template, expected) in [
        (ResponseTemplate::new(200).set_body_string("abc"), Some(200)),
        (ResponseTemplate::new(201).set_body_string("{\"challenge\":\"abc\"}"), Some(201)),
        (ResponseTemplate::new(200).set_body_string("ok"), None),
        (ResponseTemplate::new(204), None),
        (ResponseTemplate::new(200).set_body_string(format!("{}abc", " ".repeat(5000))), None),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(template).mount(&server).await;
        let url = format!("{}/hook", server.uri());
        let challenge = Some("abc".to_owned());
        let answer = sender(&open(), names(&[])).deliver(Delivery { challenge, ..delivery(&url) }).await;
        match expected {
            Some(code) => assert!(matches!(answer, Answer::Status { code: was, .. } if was == code), "{answer:?}"),
            None => assert!(matches!(answer, Answer::NotEchoed { .. }), "{answer:?}"),
        }
    }
    // A status that is no success stays what it is.
    let server = MockServer::start().await;
    let template = ResponseTemplate::new(410).set_body_string("abc");
    Mock::given(method("POST")).respond_with(template).mount(&server).await;
    let url = format!("{}/hook", server.uri());
    let challenge = Some("abc".to_owned());
    assert_eq!(code(&sender(&open(), names(&[])).deliver(Delivery { challenge, ..delivery(&url) }).await), Some(410));
}
