//! Opens what is sealed in a view of a session, for those who may see it (OP-9). Owns the change from the rules' names to
//! the wire's; never who may see.

use crate::api::port::UserRef;
use crate::persistence::vault::{Sealed, Vault, VaultError};
use serde_json::Value;

/// Puts the partner's own name of the user in the place of its seal, and the wire's names in the place of the rules'.
/// Operators see whose session it is, too. A view of something else is left as it is.
///
/// # Errors
/// When the user's key cannot be read now; the view is not fit to be shown then.
pub async fn dress(vault: &Vault, view: &mut Value, operator: bool) -> Result<(), VaultError> {
    let (user, sealed) = strip(view, operator);
    let user = match (user.as_ref().and_then(Value::as_str), sealed.as_ref().and_then(Value::as_str)) {
        (Some(user), Some(sealed)) => open(vault, user, sealed).await?,
        _ => None,
    };
    name(view, user.map(|user| user.id));
    Ok(())
}

/// Takes out what is ours alone: the user's pseudonym and the sealed name.
pub(crate) fn strip(view: &mut Value, operator: bool) -> (Option<Value>, Option<Value>) {
    let Some(members) = view.as_object_mut() else { return (None, None) };
    let (partner, user, sealed) = (members.remove("partner"), members.remove("user"), members.remove("sealed"));
    if let (true, Some(partner)) = (operator, partner) {
        members.insert("partner_id".to_owned(), partner);
    }
    (user, sealed)
}

/// Puts the partner's own name of the user in, and the wire's names in the place of the rules'.
pub(crate) fn name(view: &mut Value, user: Option<String>) {
    let Some(members) = view.as_object_mut() else { return };
    if let Some(user) = user {
        members.insert("user_id".to_owned(), user.into());
    }
    let Some(readings) = members.get_mut("readings").and_then(Value::as_array_mut) else { return };
    for reading in readings.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(energy) = reading.remove("energy_wh") {
            reading.insert("register_wh".to_owned(), energy);
        }
    }
    readings.retain(|reading| reading.get("register_wh").is_some());
}

/// `None`: erased, or not readable: the view simply does not name the user.
async fn open(vault: &Vault, user: &str, sealed: &str) -> Result<Option<UserRef>, VaultError> {
    match vault.unseal(&user.into(), &Sealed(sealed.to_owned())).await {
        Ok(plain) => Ok(serde_json::from_str(&plain).ok()),
        Err(VaultError::Erased | VaultError::Damaged) => Ok(None),
        Err(error) => Err(error),
    }
}
