//! Requests, good and bad.

use super::*;
use rcgen::PKCS_ECDSA_P384_SHA384;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn authority(organisation: &str) -> (tempfile::TempDir, Authority) {
    let directory = tempfile::tempdir().unwrap();
    let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
    let mut settings: Settings = all["tls"].clone().try_into().unwrap();
    settings.organisation = organisation.to_owned();
    settings.authority_certificate_file = directory.path().join("ca.pem");
    settings.authority_key_file = directory.path().join("ca.key");
    assert!(Authority::open(&settings).unwrap().is_none());
    let (pem, key) = make(organisation, NOW).unwrap();
    std::fs::write(&settings.authority_certificate_file, pem).unwrap();
    std::fs::write(&settings.authority_key_file, key).unwrap();
    let authority = Authority::open(&settings).unwrap().unwrap();
    (directory, authority)
}

fn csr(common: &[&str], key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    common.iter().for_each(|common| name.push(DnType::CommonName, *common));
    name.push(DnType::OrganizationName, "Somebody");
    params.distinguished_name = name;
    // What a request must not get.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![rcgen::SanType::DnsName("csms.example".try_into().unwrap())];
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn charger() -> ChargerId {
    "CP-1".parse().unwrap()
}

#[test]
fn a_certificate_names_the_charger_and_is_for_clients_alone() {
    let (_directory, authority) = authority("Our Company");
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let chain = authority.sign(&csr(&["CP-1"], &key), &charger(), NOW).unwrap();
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 1, "the root is not sent");
        let (_, pem) = parse_x509_pem(chain.as_bytes()).unwrap();
        let (_, signed) = X509Certificate::from_der(&pem.contents).unwrap();
        assert_eq!(signed.subject().to_string(), "CN=CP-1, O=Our Company");
        assert_eq!(signed.validity().not_after.timestamp(), NOW.0 / 1000 + 365 * 86_400);
        let usage = signed.extended_key_usage().unwrap().unwrap();
        assert!(usage.value.client_auth && !usage.value.server_auth);
        assert!(signed.subject_alternative_name().unwrap().is_none() && !signed.is_ca());
        assert_eq!(signed.public_key().raw, &*key.subject_public_key_info());
    }
}

#[test]
fn two_certificates_have_two_serial_numbers() {
    let (_directory, authority) = authority("");
    let request = csr(&["CP-1"], &KeyPair::generate().unwrap());
    let serial = || {
        let chain = authority.sign(&request, &charger(), NOW).unwrap();
        let (_, pem) = parse_x509_pem(chain.as_bytes()).unwrap();
        X509Certificate::from_der(&pem.contents).unwrap().1.raw_serial().to_vec()
    };
    assert_ne!(serial(), serial());
}

#[test]
fn what_is_not_a_good_request_of_this_charger_is_refused() {
    let (_directory, authority) = authority("Our Company");
    let key = KeyPair::generate().unwrap();
    let good = csr(&["CP-1"], &key);
    let tampered = {
        let (_, pem) = parse_x509_pem(good.as_bytes()).unwrap();
        let mut der = pem.contents;
        let at = der.windows(4).position(|four| four == b"CP-1").unwrap();
        der[at + 3] = b'2';
        pem_of(&der).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    };
    let two: ChargerId = "CP-2".parse().unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for (what, request, id, expected) in [
        ("another's name", good.clone(), &two, Refusal::ForeignName),
        ("no name", csr(&[], &key), &charger(), Refusal::ForeignName),
        ("changed after signing", tampered, &two, Refusal::Signature),
        ("another kind of key", csr(&["CP-1"], &ed25519), &charger(), Refusal::WeakKey),
        ("a short RSA key", include_str!("rsa1024.csr").to_owned(), &charger(), Refusal::WeakKey),
        ("no request", "hello".to_owned(), &charger(), Refusal::Unreadable),
        ("too long", good.clone() + &" ".repeat(6000), &charger(), Refusal::Unreadable),
        ("a certificate", make("", NOW).unwrap().0, &charger(), Refusal::Unreadable),
    ] {
        assert_eq!(authority.sign(&request, id, NOW).err(), Some(expected), "{what}");
    }
    assert!(authority.sign(include_str!("rsa2048.csr"), &charger(), NOW).is_ok());
}

#[test]
fn nothing_outlives_the_authority() {
    let (_directory, authority) = authority("");
    let request = csr(&["CP-1"], &KeyPair::generate().unwrap());
    let late = Timestamp(authority.expires * 1000 - 1000);
    let (ends, _) = about(&authority.sign(&request, &charger(), late).unwrap()).unwrap();
    assert_eq!(ends, authority.expires);
    let over = Timestamp(authority.expires * 1000);
    assert_eq!(authority.sign(&request, &charger(), over).err(), Some(Refusal::Authority));
}
