//! Operators' bearer tokens: the installation's own, in a file, and those of accounts (OP-3). Owns their form, the file, and the
//! comparison of what is in it.
//!
//! Invariants: 256 random bits each, compared in constant time, never logged; a file is readable by its owner only.

use crate::persistence::private;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;

/// Text before a token, so that scanners for leaked secrets can know it.
const PREFIX: &str = "co_";

/// Hexadecimal digits of an account's token's public name.
const ID: usize = 12;

/// A token as it was presented.
#[derive(Clone, Copy)]
pub(crate) enum Presented<'a> {
    /// In the form of an account's: `co_<name>_<secret>`.
    Own {
        /// Its public name.
        id: &'a str,
        /// What proves it.
        secret: &'a str,
    },
    /// Anything else.
    Other(Option<&'a str>),
}

impl<'a> Presented<'a> {
    /// Tells the forms apart.
    pub(crate) fn read(shown: Option<&'a str>) -> Self {
        let own = shown.and_then(|text| text.strip_prefix(PREFIX)?.split_once('_'));
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match own.filter(|(id, secret)| id.len() == ID && hex(id) && secret.len() == 64 && hex(secret)) {
            Some((id, secret)) => Presented::Own { id, secret },
            None => Presented::Other(shown),
        }
    }

    /// Its public name, if it has one.
    pub(crate) fn token_id(&self) -> Option<&'a str> {
        match self {
            Presented::Own { id, .. } => Some(id),
            Presented::Other(_) => None,
        }
    }

    /// All of it, where it may be the installation's.
    pub(crate) fn whole(&self) -> Option<&'a str> {
        match self {
            Presented::Own { .. } => None,
            Presented::Other(shown) => *shown,
        }
    }
}

/// A new token of an account: its public name, its secret, and the whole of it, which is shown once.
pub(crate) fn make() -> (String, SecretString, SecretString) {
    let (id, secret) = (hex::encode(rand::random::<[u8; ID / 2]>()), hex::encode(rand::random::<[u8; 32]>()));
    let whole = format!("{PREFIX}{id}_{secret}");
    (id, secret.into(), whole.into())
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("the operator token file {0} cannot be used")]
    File(PathBuf, #[source] io::Error),
    /// Others may read the file.
    #[error("the operator token file {0} can be read by others: its mode must be 0600")]
    Open(PathBuf),
    /// The file holds something else.
    #[error("the operator token file {0} holds no token: remove it, and a new one is made at the next start")]
    Rubbish(PathBuf),
}

/// The token that opens the operator API.
#[derive(Debug, Clone)]
pub struct OperatorToken(SecretString);

impl OperatorToken {
    /// The token of `path`; made there if there is none. Blocks on the disk.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn load_or_make(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            other => other,
        }
    }

    /// The token of `path`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let failed = |error| TokenError::File(path.to_owned(), error);
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(TokenError::Open(path.to_owned()));
        }
        let text = text.trim();
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        if text.len() < 32 || !plain {
            return Err(TokenError::Rubbish(path.to_owned()));
        }
        Ok(OperatorToken(text.into()))
    }

    fn make(path: &Path) -> Result<Self, TokenError> {
        let failed = |error| TokenError::File(path.to_owned(), error);
        let token = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 32]>()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        private::make(path, &token).map_err(failed)?;
        tracing::info!(path = %path.display(), "operator token made");
        Ok(OperatorToken(token.into()))
    }

    /// Whether this is the token. Digests are compared, so that not even the length shows.
    pub fn opens(&self, shown: Option<&str>) -> bool {
        let ours = Sha256::digest(self.0.expose_secret());
        let theirs = Sha256::digest(shown.unwrap_or_default());
        bool::from(ours.ct_eq(&theirs))
    }

    /// Whether it is an account's, by its form.
    pub fn is_of_an_account(&self) -> bool {
        matches!(Presented::read(Some(self.0.expose_secret())), Presented::Own { .. })
    }

    /// The value of the `Authorization` header, for the command line.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_token_is_known_by_its_form() {
        let (id, secret, whole) = make();
        let shown = Presented::read(Some(whole.expose_secret()));
        assert_eq!((shown.token_id(), shown.whole()), (Some(id.as_str()), None));
        assert!(matches!(shown, Presented::Own { secret: of, .. } if of == secret.expose_secret()));
        assert!(OperatorToken(whole).is_of_an_account());
        let digits = "0".repeat(64);
        for other in
            ["co_".to_owned(), format!("co_{digits}"), format!("co_0123456789AB_{digits}"), format!("co_0_{digits}")]
        {
            assert_eq!(Presented::read(Some(&other)).token_id(), None, "{other}");
        }
    }

    #[test]
    fn the_token_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/operator.key");
        let made = OperatorToken::load_or_make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = OperatorToken::load_or_make(&path).unwrap();
        assert!(again.header().strip_prefix("Bearer ").is_some_and(|token| made.opens(Some(token))));
        for wrong in [None, Some(""), Some("co_"), Some("x")] {
            assert!(!made.opens(wrong), "{wrong:?}");
        }
        assert!(!format!("{made:?}").contains("co_"), "{made:?}");
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_rubbish_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        OperatorToken::load_or_make(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(OperatorToken::load_or_make(&path), Err(TokenError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(OperatorToken::load_or_make(&path), Err(TokenError::Rubbish(_))));
    }
}
