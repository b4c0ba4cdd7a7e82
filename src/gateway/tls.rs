//! TLS of charger connections (CH-3, controls 10 and 11). Owns which certificates, keys and lists count, and what a
//! charger's certificate says; never who may connect.
//!
//! Invariants: TLS 1.2 and 1.3 with ephemeral keys and AEAD only; no compression, no renegotiation, no early data; a resumed
//! session is checked against the present authorities and lists like a new one.

use super::authority::Authority;
use crate::config::Config;
use crate::config::check::Problem;
use crate::config::tls::Tls as Settings;
use crate::ids::ChargerId;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use std::io;
use std::path::Path;
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Bytes of a record that we send: a charger's small memory need not hold more.
const RECORD_BYTES: usize = 4096;

/// Bytes that wait to be encrypted or sent in one session.
const SESSION_BYTES: usize = 65_536;

/// Why files cannot be used: the key of the configuration, the file, the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {file:?}: {why}")]
pub struct TlsError {
    /// The key of the configuration.
    pub key: &'static str,
    /// The file.
    pub file: String,
    /// Why not, and what is needed.
    pub why: String,
}

/// The certificates, keys and lists of one moment.
pub struct Door {
    server: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    organisation: String,
    /// When the server's certificate ends, in seconds since 1970; the earliest of its chain.
    pub expires: i64,
    /// The same of the clients' authorities.
    pub authority_expires: Option<i64>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What a charger's certificate says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    organisation: String,
}

pub(crate) fn failed(key: &'static str, file: &Path, why: impl std::fmt::Display) -> TlsError {
    TlsError { key, file: file.display().to_string(), why: why.to_string() }
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = std::fs::read(file).map_err(|error| failed(key, file, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| failed(key, file, error))?;
    if found.is_empty() {
        return Err(failed(key, file, "there is no certificate in it; `-----BEGIN CERTIFICATE-----` is needed"));
    }
    Ok(found)
}

/// The earliest end of some certificates.
fn earliest(key: &'static str, file: &Path, chain: &[CertificateDer<'_>]) -> Result<i64, TlsError> {
    let ends = chain.iter().map(|der| X509Certificate::from_der(der).map(|(_, x)| x.validity().not_after.timestamp()));
    let ends: Result<Vec<_>, _> = ends.collect();
    let ends = ends.map_err(|error| failed(key, file, error))?;
    Ok(ends.into_iter().min().unwrap_or(i64::MAX))
}

impl Door {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn open(settings: &Settings) -> Result<Door, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (key, file) = ("tls.certificate_file", &*settings.certificate_file);
        let chain = certificates(key, file)?;
        let expires = earliest(key, file, &chain)?;
        let key_file = &*settings.key_file;
        let private = PrivateKeyDer::from_pem_file(key_file);
        let private = private.map_err(|error| failed("tls.key_file", key_file, error))?;
        let (verifier, authority_expires) = clients(settings, &provider)?.unzip();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| failed(key, file, error))?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let server = builder.with_single_cert(chain, private);
        let mut server = server.map_err(|error| failed("tls.key_file", key_file, error))?;
        // Tickets cost the server no memory; a session in a store would.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.ticketer = ring::Ticketer::new().map_err(|error| failed(key, file, error))?;
        server.send_tls13_tickets = 1;
        server.max_fragment_size = Some(RECORD_BYTES);
        let organisation = settings.organisation.clone();
        Ok(Door { server: Arc::new(server), verifier, organisation, expires, authority_expires })
    }

    /// What to accept with.
    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.server).into()
    }

    /// What the other side's certificate says; `None`: it showed none.
    ///
    /// # Errors
    /// A resumed session whose certificate does not count any more.
    pub(crate) fn identity(&self, session: &mut ServerConnection) -> Result<Option<Identity>, rustls::Error> {
        session.set_buffer_limit(Some(SESSION_BYTES));
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let Some((first, rest)) = session.peer_certificates().and_then(<[_]>::split_first) else { return Ok(None) };
        match &self.verifier {
            Some(verifier) if resumed => {
                verifier.verify_client_cert(first, rest, UnixTime::now())?;
            }
            Some(_) => {}
            // The ticket is of a time when there was an authority.
            None => return Err(CertificateError::UnknownIssuer.into()),
        }
        Identity::read(first).map(Some).ok_or_else(|| CertificateError::BadEncoding.into())
    }

    /// Whether that is this charger, of our organisation.
    pub(crate) fn is_own(&self, identity: &Identity, charger: &ChargerId) -> bool {
        let ours = self.organisation.is_empty() || identity.organisation == self.organisation;
        ours && identity.name == charger.as_str()
    }
}

type Clients = (Arc<dyn ClientCertVerifier>, i64);

fn clients(settings: &Settings, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Option<Clients>, TlsError> {
    let (key, file) = ("tls.client_ca_file", &*settings.client_ca_file);
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let authorities = certificates(key, file)?;
    let expires = earliest(key, file, &authorities)?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| failed(key, file, error))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let list = &*settings.client_crl_file;
    if !list.as_os_str().is_empty() {
        let lists: Result<Vec<_>, _> = std::fs::read(list)
            .map_err(|error| failed("tls.client_crl_file", list, error))
            .map(|bytes| CertificateRevocationListDer::pem_slice_iter(&bytes).collect())?;
        let lists = lists.map_err(|error| failed("tls.client_crl_file", list, error))?;
        // An authority without a list revokes nobody.
        builder = builder.with_crls(lists).only_check_end_entity_revocation().allow_unknown_revocation_status();
    }
    // Chargers of profile 2 show none: what is shown must be good, and who must show one is said by the registration.
    let verifier = builder.allow_unauthenticated().build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(why) => {
            failed("tls.client_crl_file", list, format!("{why:?}; a list of version 2 with its number is needed"))
        }
        error => failed(key, file, error),
    })?;
    Ok(Some((verifier, expires)))
}

impl Identity {
    /// Reads the subject: CN is the charger, O its operator (white paper §4.1.3).
    fn read(certificate: &CertificateDer<'_>) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let mut names = subject.iter_common_name();
        let name = names.next()?.as_str().ok()?.to_owned();
        // Two names are none: which one counts would be a matter of taste.
        if names.next().is_some() {
            return None;
        }
        let organisation = subject.iter_organization().next().and_then(|o| o.as_str().ok()).unwrap_or_default();
        Some(Identity { name, organisation: organisation.to_owned() })
    }
}

/// What is wrong with the files that a configuration names: for `check-config`, which asks before anything is served.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    if config.tls.address().is_some()
        && let Err(error) = Door::open(&config.tls)
    {
        found.push(Problem::new(error.key, format!("{:?}", error.file), error.why));
    }
    if let Err(error) = Authority::open(&config.tls) {
        found.push(Problem::new(error.key, format!("{:?}", error.file), error.why));
    }
    found
}

/// The metric label of a handshake that failed.
pub(crate) fn cause(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return "gone" };
    label(error)
}

/// Whether a failure counts against the address that it came from. Who is gone before anything was wrong does not: balancers
/// and monitors open connections and close them.
pub(crate) fn counts(cause: &str) -> bool {
    cause != "gone"
}

/// The metric label of what is wrong.
pub(crate) fn label(error: &rustls::Error) -> &'static str {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
                "expired_certificate"
            }
            C::Revoked => "revoked_certificate",
            C::UnknownIssuer => "unknown_issuer",
            _ => "bad_certificate",
        },
        rustls::Error::InvalidMessage(_) => "not_tls",
        rustls::Error::PeerIncompatible(_) => "incompatible",
        rustls::Error::AlertReceived(_) => "alert",
        _ => "other",
    }
}
