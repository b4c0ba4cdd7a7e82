//! CH-3, controls 9 to 11: profiles 2 and 3 over real TLS, and those who must not come in.

use super::*;
use crate::config::tls::Tls as TlsSettings;
use crate::gateway::tls::Door;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Client = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Issuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A charger's certificate.
fn charger(of: &Issuer, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Client {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Our Company");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let signed = params.signed_by(&key, of).unwrap();
    (signed.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// Authorities, and the files of a server.
struct Pki {
    directory: tempfile::TempDir,
    servers: Issuer,
    clients: Issuer,
}

impl Pki {
    fn new() -> Pki {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki { directory, servers: authority("servers"), clients: authority("chargers") };
        pki.write_server("localhost");
        std::fs::write(pki.path("ca.pem"), pki.clients.pem()).unwrap();
        pki.revoke(&[]);
        pki
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn write_server(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        std::fs::write(self.path("server.pem"), params.signed_by(&key, &self.servers).unwrap().pem()).unwrap();
        std::fs::write(self.path("server.key"), key.serialize_pem()).unwrap();
    }

    fn revoke(&self, serials: &[u64]) {
        let now = rcgen::date_time_ymd(2026, 1, 1);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: rcgen::date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(self.path("crl.pem"), list.signed_by(&self.clients).unwrap().pem().unwrap()).unwrap();
    }

    fn settings(&self) -> TlsSettings {
        let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
        let mut settings: TlsSettings = all["tls"].clone().try_into().unwrap();
        settings.certificate_file = self.path("server.pem");
        settings.key_file = self.path("server.key");
        settings.client_ca_file = self.path("ca.pem");
        settings.client_crl_file = self.path("crl.pem");
        settings.organisation = "Our Company".into();
        settings
    }

    fn rig(&self) -> (Rig, Arc<ArcSwap<Door>>) {
        self.rig_with(|_| {})
    }

    fn rig_with(&self, change: impl FnOnce(&mut Settings)) -> (Rig, Arc<ArcSwap<Door>>) {
        let door = Arc::new(ArcSwap::from_pointee(Door::open(&self.settings()).unwrap()));
        let port = TlsPort { listen: "127.0.0.1:0".parse().unwrap(), door: door.clone() };
        (rig_on(change, Some(port), ROOM, fake_placement), door)
    }

    fn connector(&self, client: Option<Client>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.servers.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        };
        Arc::new(config).into()
    }
}

const HOME: [u8; 4] = [127, 0, 0, 1];

async fn secure(rig: &Rig, from: [u8; 4], with: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = dial(rig.handle.tls_addr().unwrap(), from).await;
    with.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// What the gateway answers to an upgrade; empty if there is no TLS.
async fn answer(rig: &Rig, with: &TlsConnector, id: &str, login: &str) -> (String, Option<TlsStream<TcpStream>>) {
    answer_to(rig, HOME, with, id, login).await
}

async fn answer_to(
    rig: &Rig,
    from: [u8; 4],
    with: &TlsConnector,
    id: &str,
    login: &str,
) -> (String, Option<TlsStream<TcpStream>>) {
    let Ok(mut stream) = secure(rig, from, with).await else { return (String::new(), None) };
    let mut head = Vec::new();
    let talk = async {
        stream.write_all(upgrade(&format!("/ocpp/{id}"), login).as_bytes()).await?;
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        std::io::Result::Ok(())
    };
    // With TLS 1.3 a client learns here that its certificate was refused.
    let _ = tokio::time::timeout(PATIENCE, talk).await.expect("an answer or an end");
    (status(&head), Some(stream))
}

const IN: &str = "HTTP/1.1 101 Switching Protocols";
const OUT: &str = "HTTP/1.1 401 Unauthorized";

#[tokio::test]
async fn each_profile_connects_and_no_lower_one_does() {
    let pki = Pki::new();
    let (rig, _) = pki.rig();
    let plain = pki.connector(None);
    let own = |id| pki.connector(Some(charger(&pki.clients, id, |_| {})));
    let other_company = charger(&pki.clients, "CERT", |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "CERT");
        params.distinguished_name.push(DnType::OrganizationName, "Another Company");
    });
    let two_names = charger(&pki.clients, "CERT", |params| {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "CP-1");
    });
    for (what, with, id, login, expected) in [
        ("profile 1 through TLS", &plain, "CP-1", basic("CP-1", PASSWORD), IN),
        ("profile 2", &plain, "TLS", basic("TLS", PASSWORD), IN),
        ("profile 2, wrong password", &plain, "TLS", basic("TLS", b"wrong-password-1"), OUT),
        ("profile 2, none", &plain, "TLS", String::new(), OUT),
        ("a certificate where a password is wanted", &own("TLS"), "TLS", String::new(), OUT),
        ("profile 3", &own("CERT"), "CERT", String::new(), IN),
        ("profile 3 without a certificate", &plain, "CERT", String::new(), OUT),
        ("profile 3 with another's", &own("CP-1"), "CERT", String::new(), OUT),
        ("another's certificate, the right password", &own("CERT"), "TLS", basic("TLS", PASSWORD), OUT),
        ("another organisation", &pki.connector(Some(other_company)), "CERT", String::new(), OUT),
        ("two names", &pki.connector(Some(two_names)), "CERT", String::new(), ""),
        ("an unknown charger", &own("NOBODY"), "NOBODY", String::new(), OUT),
    ] {
        assert_eq!(answer(&rig, with, id, &login).await.0, expected, "{what}");
    }
    let downgraded = upgrade("/ocpp/TLS", &basic("TLS", PASSWORD));
    let refused = exchange(rig.addr(), [127, 0, 0, 1], downgraded.as_bytes()).await;
    let stranger = upgrade("/ocpp/NOBODY", &basic("NOBODY", PASSWORD));
    assert_eq!(refused, exchange(rig.addr(), [127, 0, 0, 1], stranger.as_bytes()).await, "all look alike");
    let denied: Vec<_> = rig.denials.lock().unwrap().iter().map(|(id, why)| (id.to_string(), *why)).collect();
    let foreign = |id: &str| (id.to_owned(), Denied::Foreign);
    assert_eq!(denied[..3], [foreign("CERT"), foreign("TLS"), foreign("CERT")]);
    assert_eq!(denied[3..], [("TLS".to_owned(), Denied::Downgrade)]);
}

#[tokio::test]
async fn a_certificate_that_does_not_count_gets_no_session() {
    let pki = Pki::new();
    pki.revoke(&[77]);
    let (rig, _) = pki.rig();
    let years = |from, to| {
        move |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        }
    };
    for (what, client) in [
        ("another authority of that name", charger(&authority("chargers"), "CERT", |_| {})),
        ("an authority that nobody knows", charger(&authority("strangers"), "CERT", |_| {})),
        ("ended", charger(&pki.clients, "CERT", years(2020, 2021))),
        ("not begun", charger(&pki.clients, "CERT", years(2090, 2091))),
        ("revoked", charger(&pki.clients, "CERT", |params| params.serial_number = Some(SerialNumber::from(77)))),
        (
            "a server's",
            charger(&pki.clients, "CERT", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
    ] {
        assert_eq!(answer(&rig, &pki.connector(Some(client)), "CERT", "").await.0, "", "{what}");
    }
    assert!(rig.script.seen.lock().unwrap().is_empty(), "nobody came in");
    for (series, count) in [
        (r#"tls_failures_total{cause="unknown_issuer"}"#, 1),
        (r#"tls_failures_total{cause="expired_certificate"}"#, 2),
        (r#"tls_failures_total{cause="revoked_certificate"}"#, 1),
        (r#"tls_failures_total{cause="bad_certificate"}"#, 2),
        (r#"handshakes_total{outcome="tls_failed"}"#, 6),
    ] {
        assert_eq!(rig.meters.counts(series, count).await, count, "{series}");
    }
    let good = pki.connector(Some(charger(&pki.clients, "CERT", |_| {})));
    assert_eq!(answer(&rig, &good, "CERT", "").await.0, IN);
}

#[tokio::test]
async fn messages_pass_through_tls_and_the_newest_wins_only_after_its_password() {
    let pki = Pki::new();
    let (rig, _) = pki.rig();
    let with = pki.connector(None);
    let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
    let (head, stream) = answer(&rig, &with, "TLS", &basic("TLS", PASSWORD)).await;
    assert_eq!(head, IN);
    let mut old = WebSocketStream::from_raw_socket(stream.unwrap(), role, None).await;
    old.send(Message::text(r#"[2,"1","Heartbeat",{}]"#)).await.unwrap();
    assert!(old.next().await.unwrap().unwrap().to_text().unwrap().starts_with(r#"[3,"1""#));
    // A large message, in many records, and a thief.
    let room = " ".repeat(200_000);
    old.send(Message::text(format!(r#"[2,"2","Heartbeat",{{{room}}}]"#))).await.unwrap();
    assert!(old.next().await.unwrap().unwrap().to_text().unwrap().starts_with(r#"[3,"2""#));
    assert_eq!(answer(&rig, &with, "TLS", &basic("TLS", b"wrong-password-1")).await.0, OUT);
    old.send(Message::text(r#"[2,"3","Heartbeat",{}]"#)).await.unwrap();
    assert!(old.next().await.unwrap().unwrap().to_text().unwrap().starts_with(r#"[3,"3""#));
    let (head, _new) = answer(&rig, &with, "TLS", &basic("TLS", PASSWORD)).await;
    assert_eq!(head, IN);
    assert_eq!(rig.script.detached(1).await, CloseReason::Replaced);
    assert_eq!(rig.script.link(2).await.proof().profile, SecurityProfile::Tls);
}

#[tokio::test]
async fn what_is_not_tls_or_says_nothing_holds_nothing_open() {
    let pki = Pki::new();
    let (rig, _) = pki.rig();
    rig.settings.rcu(|settings| Settings { handshake_timeout: Duration::from_millis(200), ..(**settings).clone() });
    let at = rig.handle.tls_addr().unwrap();
    let plain = upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD));
    let answer = exchange(at, [127, 0, 0, 1], plain.as_bytes()).await;
    assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "an alert, no more: {answer:?}");
    let mut silent = dial(at, [127, 0, 0, 1]).await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert!(end.is_ok() && rest.is_empty());
    rig.empties().await;
    rig.meters.counts(r#"tls_failures_total{cause="not_tls"}"#, 1).await;
    rig.meters.counts(r#"handshakes_total{outcome="timeout"}"#, 1).await;
}

/// Shows a certificate of nobody's until that has been refused so often that the address is beyond its limit.
async fn fail_often(rig: &Rig, from: [u8; 4], forged: &TlsConnector) {
    for _ in 0..20 {
        assert_eq!(answer_to(rig, from, forged, "CERT", "").await.0, "");
    }
    rig.meters.counts(r#"tls_failures_total{cause="unknown_issuer"}"#, 5).await;
}

#[tokio::test]
async fn an_address_whose_handshakes_fail_is_not_shaken_hands_with_and_others_are() {
    let pki = Pki::new();
    // So few that the limit does not fill up again while this runs.
    let (rig, _) = pki.rig_with(|s| {
        s.auth_failures_per_address = 5;
        s.homecoming = Duration::ZERO;
    });
    let forged = pki.connector(Some(charger(&authority("strangers"), "CERT", |_| {})));
    let good = pki.connector(Some(charger(&pki.clients, "CERT", |_| {})));
    fail_often(&rig, [127, 0, 0, 66], &forged).await;
    let tried = rig.meters.now(r#"tls_failures_total{cause="unknown_issuer"}"#);
    assert!((5..=7).contains(&tried), "{tried} keys were worked with");
    let refused = rig.meters.now(r#"refused_total{limit="tls_failures"}"#);
    assert_eq!(refused + tried, 20);
    assert_eq!(answer_to(&rig, HOME, &good, "CERT", "").await.0, IN, "from another address");
}

#[tokio::test]
async fn one_bad_charger_behind_a_shared_address_keeps_nobody_out() {
    let pki = Pki::new();
    for homecoming in [Duration::ZERO, Duration::from_secs(600)] {
        let (rig, _) = pki.rig_with(|s| {
            s.auth_failures_per_address = 5;
            s.homecoming = homecoming;
        });
        shared_address(&pki, &rig, homecoming.is_zero()).await;
    }
}

/// `known`: a charger has come in from there before the bad one begins.
async fn shared_address(pki: &Pki, rig: &Rig, known: bool) {
    let forged = pki.connector(Some(charger(&authority("strangers"), "CERT", |_| {})));
    let good = pki.connector(Some(charger(&pki.clients, "CERT", |_| {})));
    let plain = pki.connector(None);
    let mut first = None;
    if known {
        let (head, stream) = answer(rig, &plain, "TLS", &basic("TLS", PASSWORD)).await;
        assert_eq!(head, IN);
        first = stream;
    }
    fail_often(rig, HOME, &forged).await;
    // Nothing is begun beyond a few at once, and the honest ones come in: one by certificate, one by password, back or new.
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(dial(rig.handle.tls_addr().unwrap(), HOME).await);
    }
    assert_eq!(answer(rig, &good, "CERT", "").await.0, "", "there are a few already");
    rig.meters.counts(r#"refused_total{limit="tls_failures"}"#, 1).await;
    drop(idle);
    rig.meters.counts(r#"tls_failures_total{cause="gone"}"#, 4).await;
    drop(first);
    assert_eq!(answer(rig, &good, "CERT", "").await.0, IN);
    assert_eq!(answer(rig, &plain, "TLS", &basic("TLS", PASSWORD)).await.0, IN);
    assert_eq!(answer(rig, &plain, "CP-1", &basic("CP-1", PASSWORD)).await.0, IN);
}

#[tokio::test]
async fn a_resumed_session_is_checked_against_the_present_list() {
    let pki = Pki::new();
    let (rig, door) = pki.rig();
    let client = charger(&pki.clients, "CERT", |params| params.serial_number = Some(SerialNumber::from(5)));
    let with = pki.connector(Some(client));
    // The first gets a ticket, the second uses it.
    for _ in 0..2 {
        let (head, stream) = answer(&rig, &with, "CERT", "").await;
        assert_eq!(head, IN);
        drop(stream);
    }
    pki.revoke(&[5]);
    door.store(Arc::new(Door::open(&pki.settings()).unwrap()));
    assert_eq!(answer(&rig, &with, "CERT", "").await.0, "");
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let pki = Pki::new();
    let write = |name: &str, text: &str| std::fs::write(pki.path(name), text).unwrap();
    let problem = |settings: &TlsSettings| Door::open(settings).map(drop).unwrap_err().to_string();
    assert!(Door::open(&pki.settings()).is_ok());
    let key = std::fs::read_to_string(pki.path("server.key")).unwrap();
    write("server.key", &KeyPair::generate().unwrap().serialize_pem());
    assert!(problem(&pki.settings()).contains("tls.key_file"), "another's key");
    write("server.key", "nothing");
    assert!(problem(&pki.settings()).contains("tls.key_file"));
    write("server.key", &key);
    write("crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    assert!(Door::open(&pki.settings()).is_err());
    write("ca.pem", "");
    assert!(problem(&pki.settings()).contains("there is no certificate in it"));
    let absent = TlsSettings { certificate_file: Path::new("/nowhere.pem").into(), ..pki.settings() };
    assert!(problem(&absent).contains("tls.certificate_file"));
}
