//! The payment gateway as it is configured: its secret and the way to it (MO-3).

use crate::actors::account::breaker::Breaker;
use crate::actors::account::gateway::{GatewayError, HttpGateway, NoGateway, PaymentGateway};
use crate::clock::SharedClock;
use crate::config::accounts::Payments;
use secrecy::{ExposeSecret as _, SecretString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The fewest characters of the shared secret.
const SECRET_MIN: usize = 32;

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum PaymentsError {
    /// The secret cannot be read.
    #[error("payments.secret_file {0}: {1}")]
    Secret(PathBuf, #[source] io::Error),
    /// The secret is too short to be one.
    #[error("payments.secret_file {0}: at least {SECRET_MIN} characters are allowed")]
    Short(PathBuf),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] GatewayError),
}

/// The shared secret, and the gateway that is asked.
pub(super) fn gateway(
    config: &Payments,
    clock: &SharedClock,
) -> Result<(Option<SecretString>, Arc<dyn PaymentGateway>), PaymentsError> {
    let path = &config.secret_file;
    if path.as_os_str().is_empty() {
        return Ok((None, Arc::new(NoGateway)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| PaymentsError::Secret(path.clone(), error))?;
    let secret = SecretString::from(text.trim().to_owned());
    if secret.expose_secret().len() < SECRET_MIN {
        return Err(PaymentsError::Short(path.clone()));
    }
    if config.gateway_url.is_empty() {
        return Ok((Some(secret), Arc::new(NoGateway)));
    }
    let breaker = Breaker::new(config.breaker_failures, config.breaker_pause);
    let gateway = HttpGateway::new(&config.gateway_url, secret.clone(), config.timeout, breaker, clock.clone())?;
    Ok((Some(secret), Arc::new(gateway)))
}
