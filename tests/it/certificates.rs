//! A charger asks for a certificate and gets one from the built-in authority (CH-3; security white paper A02).

use crate::rig::{CHARGER, Rig, texts};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;

/// A request for a certificate of this name, in PEM.
fn request(name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(&key).unwrap().pem().unwrap()
}

#[tokio::test]
async fn a_charger_that_asks_for_a_certificate_gets_one_signed_for_its_own_name_alone() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let refused = charger.call("SignCertificate", json!({"csr": request(CHARGER)})).await;
    assert_eq!(refused["status"], "Rejected", "there is no authority yet");
    rig.stop().await;

    let made = rig.run(&["ca", "init"]);
    assert!(made.status.success(), "{:?}", texts(&made));
    let again = rig.run(&["ca", "init"]);
    assert!(!again.status.success(), "an authority is not made anew over one that is there");
    rig.again().await;
    let mut charger = rig.charger().await;
    let taken = charger.call("SignCertificate", json!({"csr": request(CHARGER)})).await;
    assert_eq!(taken["status"], "Accepted");
    let chain = charger.asked("CertificateSigned").await;
    let chain = chain["certificateChain"].as_str().unwrap();
    assert!(chain.starts_with("-----BEGIN CERTIFICATE-----"), "{chain}");

    let foreign = charger.call("SignCertificate", json!({"csr": request("CP-of-somebody-else")})).await;
    assert_eq!(foreign["status"], "Accepted", "whether it is signed is told later");
    let begun = std::time::Instant::now();
    while !rig.ops("/ops/v1/alerts").await.to_string().contains("common name is not the charger's id") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "operators hear of it\n{}", rig.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
