//! The door to all accounts, from any thread. Owns the recall: a request whose memos have left the state is sent again with
//! what their rows say.

use crate::actors::engine::{HostAddr, Refusal};
use crate::domain::account::{
    Account, AccountFamily, Command, Key, Memo, MemoKey, Outcome, Recalled, Rejection, Reply, Request, rows,
};
use crate::persistence::SharedJournal;
use std::fmt;
use std::time::Duration;

/// What a request comes to.
pub type Asked = Result<Outcome, Refusal<Rejection>>;

/// The accounts of all users. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    host: HostAddr<AccountFamily>,
    journal: SharedJournal,
    retry_after: Duration,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// The door over this host and the journal that its rows are in.
    pub fn new(host: HostAddr<AccountFamily>, journal: SharedJournal, retry_after: Duration) -> Self {
        Accounts { host, journal, retry_after }
    }

    /// Asks the account of the user with this pseudonym, and waits until the outcome is durable. Send the same request again
    /// after anything but an outcome or a rejection: its cause keeps it from being booked twice.
    ///
    /// # Errors
    /// [`Refusal::Rejected`]: the request can never be done as it is. Anything else: not now.
    pub async fn ask(&self, account: &str, request: Request) -> Asked {
        let command = Command::from(request.clone());
        match self.host.ask(account, Key, command).await? {
            Reply::Done(outcome) => Ok(outcome),
            Reply::Recall(keys) => {
                let recalled = Some(recall(&self.journal, account, keys).await.map_err(|error| self.unread(&error))?);
                match self.host.ask(account, Key, Command::Do { request: Box::new(request), recalled }).await? {
                    Reply::Done(outcome) => Ok(outcome),
                    // It has them all: a second recall cannot be.
                    Reply::Recall(_) => Err(Refusal::Crashed),
                }
            }
        }
    }

    fn unread(&self, error: &str) -> Refusal<Rejection> {
        tracing::warn!(error, "what an account remembers could not be read");
        Refusal::Unavailable(self.retry_after)
    }

    /// Looks at an account's committed state. `None`: its arbiter is too busy, or it cannot be brought into memory now. One
    /// that never was is as it is at birth.
    pub async fn read<R: Send + 'static>(
        &self,
        account: &str,
        look: impl FnOnce(&Account) -> R + Send + 'static,
    ) -> Option<R> {
        self.host.read(account, Key, look).await.ok().flatten()
    }

    /// The host, for recovery and snapshots.
    pub fn host(&self) -> &HostAddr<AccountFamily> {
        &self.host
    }
}

/// What the rows say of these keys.
///
/// # Errors
/// When a row cannot be read: nothing may be decided without it.
pub(super) async fn recall(journal: &SharedJournal, account: &str, keys: Vec<MemoKey>) -> Result<Recalled, String> {
    let mut recalled = Recalled::new();
    for key in keys {
        let row = rows::memo_key(account, &key);
        let found = journal.row(rows::MEMO, &row).await.map_err(|error| error.to_string())?;
        let memo: Option<Memo> = found
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|error| format!("{}/{row}: {error}", rows::MEMO))?;
        recalled.insert(key, memo);
    }
    Ok(recalled)
}
