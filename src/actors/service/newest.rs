//! Lists of sessions, reservations and orders, the newest first. Owns the paging and how many rows are looked at at a time;
//! never what a row means.

use super::sessions::{Eyes, user_scope};
use super::{Service, bad_cursor};
use crate::api::port::{Page, PageRequest, Refusal};
use crate::persistence::StoredRow;
use futures_util::{StreamExt as _, stream};

/// The largest number of rows that one page looks through for a filter.
const LOOKED_THROUGH: usize = 2000;

/// Rows of a page that are looked at at a time. What is open is asked of its charger's thread: one after the other, a page would
/// wait for that thread as often as it has rows.
const AT_A_TIME: usize = 32;

impl Service {
    /// The table and the beginning of its keys in which somebody's list stands: all for an operator, a partner's own, those of one
    /// of its users.
    pub(super) fn listing(
        &self,
        eyes: Eyes<'_>,
        (all, by_user): (&'static str, &'static str),
        user: Option<&str>,
    ) -> (&'static str, String) {
        match (eyes, user) {
            (Eyes::Partner(partner), Some(user)) => {
                (by_user, format!("{partner}/{}/", self.vault.pseudonym(&user_scope(partner), user)))
            }
            (Eyes::Partner(partner), None) => (by_user, format!("{partner}/")),
            (Eyes::Operator, _) => (all, String::new()),
        }
    }

    /// A page of the rows of a table whose keys begin with `prefix`, as `look` shows them; `None` leaves a row out.
    ///
    /// # Errors
    /// A cursor that is not one of ours; what `look` refuses.
    pub(super) async fn newest_first<T, L>(
        &self,
        (table, prefix): (&str, &str),
        page: PageRequest,
        look: impl Fn(StoredRow) -> L,
    ) -> Result<Page<T>, Refusal>
    where
        L: Future<Output = Result<Option<T>, Refusal>>,
    {
        let mut before = match page.cursor {
            Some(cursor) if cursor.starts_with(prefix) => Some(cursor),
            Some(_) => return Err(bad_cursor()),
            None => None,
        };
        let mut items = Vec::new();
        for _ in 0..LOOKED_THROUGH.div_ceil(page.limit.max(1)) {
            let rows = self.journal.rows_back(table, prefix, before.as_deref(), page.limit).await?;
            let exhausted = rows.len() < page.limit;
            let looks = rows.into_iter().map(|row| {
                let (key, seen) = (row.key.clone(), look(row));
                async move { (key, seen.await) }
            });
            let mut looks = stream::iter(looks).buffered(AT_A_TIME);
            while let Some((key, seen)) = looks.next().await {
                before = Some(key);
                items.extend(seen?);
                if items.len() == page.limit {
                    return Ok(Page { items, next: before });
                }
            }
            if exhausted {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: before })
    }
}
