//! Encryption and signature of T/CEC 102.4: AES-128-CBC with PKCS#7 padding and standard Base64, HMAC-MD5 in upper-case
//! hexadecimal. Owns the use of the primitives; never their implementation.
//!
//! Both are the standard's choice. The vector is fixed for a relation, so equal texts give equal ciphertexts: TLS is needed too.

use super::secrets::Secrets;
use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use subtle::ConstantTimeEq as _;

/// Characters of a line, where Base64 is broken into lines.
const LINE: usize = 76;

/// Encrypts a text: Base64, in lines of 76 characters if `wrap`.
pub fn encrypt(secrets: &Secrets, plain: &[u8], wrap: bool) -> String {
    let cipher = cbc::Encryptor::<Aes128>::new(&secrets.key().into(), &secrets.iv().into());
    let text = STANDARD.encode(cipher.encrypt_padded_vec::<Pkcs7>(plain));
    if !wrap {
        return text;
    }
    // Base64 is ASCII: every boundary is one of characters.
    let lines: Vec<&str> = text.as_bytes().chunks(LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    lines.join("\r\n")
}

/// Decrypts a text. Blanks and line ends in the Base64 are passed over. `None`, without a reason, whatever is wrong with it.
pub fn decrypt(secrets: &Secrets, data: &str) -> Option<Vec<u8>> {
    let packed: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(packed).ok()?;
    let cipher = cbc::Decryptor::<Aes128>::new(&secrets.key().into(), &secrets.iv().into());
    cipher.decrypt_padded_vec::<Pkcs7>(&bytes).ok()
}

/// The signature over `parts`, one after the other without separators.
pub fn sign(secrets: &Secrets, parts: &[&str]) -> String {
    hex::encode_upper(mac(secrets, parts))
}

/// Whether the signature, in either case of letters, is the one over `parts`; in constant time.
pub fn verify(secrets: &Secrets, parts: &[&str], sig: &str) -> bool {
    let mut told = [0; 16];
    let well_formed = hex::decode_to_slice(sig.trim(), &mut told).is_ok();
    bool::from(mac(secrets, parts).ct_eq(&told)) && well_formed
}

fn mac(secrets: &Secrets, parts: &[&str]) -> [u8; 16] {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Md5>::new_from_slice(secrets.sig_key()).expect("a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}
