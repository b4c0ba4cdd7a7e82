//! Users' accounts as HTTP asks for them: the first-party app's port, and payment callbacks (MO-3). Owns the way from a user's
//! name to their account; never a rule of money.

mod desk;
mod payments;

use super::sessions::{may_begin, user_scope};
use super::{Service, bad_cursor, corrupt, refused};
use crate::api::catalogue::Code;
use crate::api::port::{
    AccountPort, Amount, BalanceView, BlockItem, Callback, DebtItem, DebtPaidView, Detail, EntryView, Moment, Page,
    PageRequest, Refusal, TopUpView, UserRef,
};
use crate::domain::account::{
    AccountView, Action, Booked, Outcome, Owner, Rejection, Request, TopUp, TopUpState, rows,
};
use crate::domain::ledger::{Cause, LedgerAccount, OrderId};
use crate::domain::money::Money;
use crate::ids::{PartnerId, RequestId, TopUpId};
use async_trait::async_trait;

/// What the rules' rejections are called in the catalogue.
pub(super) fn account_rejected(rejection: Rejection) -> Refusal {
    let field = |field: &str, allowed: &str| Refusal::field(field, rejection.to_string(), allowed);
    let coded = |code| Refusal { code, ..field("", "see the problem") };
    match &rejection {
        Rejection::CauseReused { .. } => Code::RequestIdConflict.into(),
        Rejection::Amount { allowed, .. } => field("amount.minor", allowed),
        Rejection::WrongCurrency { account, .. } => field("amount.currency", account.code()),
        Rejection::Limit { .. } => coded(Code::AccountLimit),
        Rejection::NoDebt(_) => Code::NoDebt.into(),
        Rejection::UnknownIntent(_) => Code::TopUpUnknown.into(),
        Rejection::CouponExists(_) => field("coupon_id", "a code that this user has not been given"),
        Rejection::Coupon(problem) => field("coupon", problem),
        Rejection::UnknownProposal(_) => Code::AdjustmentUnknown.into(),
        Rejection::SamePerson(_) => Code::SecondPerson.into(),
        Rejection::AdjustmentTooLarge { .. } => coded(Code::InsufficientFunds),
        Rejection::NothingToLift(_) => field("rule", "a rule that blocks this user or is under review"),
        Rejection::RefundTooLarge { .. } => field("amount.minor", "at most what was taken of the order"),
        Rejection::Lines(_)
        | Rejection::UnknownHold(_)
        | Rejection::HoldExists(_)
        | Rejection::HoldClosed(_)
        | Rejection::PaymentCause
        | Rejection::Posting(_)
        | Rejection::Name(_) => {
            tracing::error!(%rejection, "an account was asked for what it cannot be asked");
            Code::Internal.into()
        }
    }
}

/// What an outcome that is a refusal is called in the catalogue.
fn denied(outcome: &Outcome) -> Refusal {
    let told = |code: Code, field: &str, problem: String| {
        let detail = Detail { field: field.to_owned(), problem, allowed: String::new() };
        Refusal { code, retry_after: None, details: vec![detail] }
    };
    match outcome {
        Outcome::InsufficientFunds { available, needed } => {
            told(Code::InsufficientFunds, "amount", format!("{available} is available, {needed} is needed"))
        }
        Outcome::Blocked { rule, .. } => told(Code::AccountBlocked, "user_id", format!("blocked by the rule {rule}")),
        Outcome::UnpaidOrder { order, debt } => {
            told(Code::UnpaidOrder, "user_id", format!("{debt} is owed for the order {order}"))
        }
        _ => Code::Internal.into(),
    }
}

fn cause(text: String) -> Result<Cause, Refusal> {
    // Made of checked identifiers, which are of the same letters.
    text.parse().map_err(|error| corrupt("cause", &text, &error))
}

fn shown(top_up: &TopUp) -> TopUpView {
    let transaction_id = match &top_up.state {
        TopUpState::Paid { payment } => Some(payment.to_string()),
        TopUpState::Pending | TopUpState::LastQuery | TopUpState::Failed | TopUpState::Expired => None,
    };
    TopUpView {
        top_up_id: top_up.id,
        amount: Amount(top_up.amount),
        state: top_up.state.name().to_owned(),
        at: Moment(top_up.at),
        expires: Moment(top_up.expires),
        transaction_id,
    }
}

fn balance(view: AccountView) -> BalanceView {
    BalanceView {
        available: Amount(view.available),
        frozen: Amount(view.frozen),
        debt: Amount(view.debt),
        credit_limit: Amount(view.credit_limit),
        debts: view
            .debts
            .into_iter()
            .map(|debt| DebtItem { order_id: debt.order, amount: Amount(debt.amount), since: Moment(debt.since) })
            .collect(),
        blocks: view.blocks.into_iter().map(|(rule, (_, told))| BlockItem::new(rule, told)).collect(),
        coupons: view.coupons.into_iter().map(|coupon| coupon.id.to_string()).collect(),
    }
}

fn entry(booked: Booked) -> EntryView {
    let posting = &booked.posting;
    let gain = |account| posting.gain(&account);
    let debt = gain(LedgerAccount::UserDebt);
    EntryView {
        number: booked.number,
        at: Moment(booked.at),
        cause: posting.cause().to_string(),
        order_id: posting.order().map(ToString::to_string),
        available: Amount(gain(LedgerAccount::UserAvailable)),
        frozen: Amount(gain(LedgerAccount::UserFrozen)),
        debt: Amount(Money { minor: -debt.minor, ..debt }),
    }
}

impl Service {
    /// The account of a partner's user; refused unless the partner's users have accounts here.
    fn account_of(&self, partner: &PartnerId, user_id: &str) -> Result<String, Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        if !known.partner.profile.as_ref().is_some_and(|profile| profile.accounts) {
            return Err(Code::AccountsOff.into());
        }
        Ok(self.vault.pseudonym(&user_scope(partner), user_id).to_string())
    }

    async fn ask_account(&self, account: &str, request: Request) -> Result<Outcome, Refusal> {
        self.working()?;
        self.accounts.ask(account, request).await.map_err(|refusal| refused(refusal, account_rejected))
    }

    /// Says whose account it is, with the name sealed, before it is first used (OP-9).
    async fn open_account(&self, partner: &PartnerId, user_id: &str, account: &str) -> Result<(), Refusal> {
        let known = self.accounts.read(account, |state| state.owner.is_some()).await;
        if known == Some(true) {
            return Ok(());
        }
        let user = UserRef { id: user_id.to_owned(), name: None, phone: None, plate: None };
        let personal = serde_json::to_string(&user).map_err(|error| corrupt("user", "", &error))?;
        let sealed = self.vault.seal(&account.into(), &personal).await;
        let sealed = sealed.map_err(|error| corrupt("userkey", "", &error))?.0.into();
        let owner = Owner { partner: partner.clone(), sealed };
        self.ask_account(account, Request::new(cause("open".to_owned())?, Action::Open(owner))).await.map(drop)
    }

    pub(super) async fn account_view(&self, account: &str) -> Result<AccountView, Refusal> {
        self.working()?;
        let currency = self.configuration.swaps.accounts.load().currency;
        let view = self.accounts.read(account, move |state| state.view(currency)).await;
        view.ok_or_else(|| Code::Busy.into())
    }

    /// A page of entry rows, newest first.
    async fn booked(&self, account: &str, page: &PageRequest) -> Result<Page<Booked>, Refusal> {
        let prefix = format!("{account}/");
        let before = match &page.cursor {
            Some(cursor) if cursor.starts_with(&prefix) => Some(cursor.as_str()),
            Some(_) => return Err(bad_cursor()),
            None => None,
        };
        let rows = self.journal.rows_back(rows::ENTRY, &prefix, before, page.limit).await?;
        let next = (rows.len() == page.limit).then(|| rows.last().map(|row| row.key.clone())).flatten();
        let items =
            rows.iter().map(|row| serde_json::from_slice(&row.value).map_err(|e| corrupt(rows::ENTRY, &row.key, &e)));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    async fn top_up_row(&self, id: TopUpId) -> Result<Option<rows::TopUpRow>, Refusal> {
        let Some(row) = self.journal.row(rows::TOP_UP, &id.to_string()).await? else { return Ok(None) };
        serde_json::from_slice(&row).map(Some).map_err(|error| corrupt(rows::TOP_UP, &id.to_string(), &error))
    }
}

#[async_trait]
impl AccountPort for Service {
    async fn balance(&self, partner: &PartnerId, user_id: &str) -> Result<BalanceView, Refusal> {
        let account = self.account_of(partner, user_id)?;
        self.account_view(&account).await.map(balance)
    }

    async fn entries(&self, partner: &PartnerId, user_id: &str, page: PageRequest) -> Result<Page<EntryView>, Refusal> {
        let account = self.account_of(partner, user_id)?;
        let Page { items, next } = self.booked(&account, &page).await?;
        Ok(Page { items: items.into_iter().map(entry).collect(), next })
    }

    async fn open_top_up(
        &self,
        partner: &PartnerId,
        user_id: &str,
        request_id: &RequestId,
        amount: Money,
    ) -> Result<TopUpView, Refusal> {
        let account = self.account_of(partner, user_id)?;
        if let Some(known) = self.directory.get(partner) {
            may_begin(&known.partner)?;
        }
        self.open_account(partner, user_id, &account).await?;
        let request = Request::new(cause(format!("top-up/{request_id}"))?, Action::OpenTopUp { amount });
        match self.ask_account(&account, request).await? {
            Outcome::TopUpOpened { intent, .. } => self.top_up(partner, user_id, intent).await,
            other => Err(denied(&other)),
        }
    }

    async fn top_up(&self, partner: &PartnerId, user_id: &str, id: TopUpId) -> Result<TopUpView, Refusal> {
        let account = self.account_of(partner, user_id)?;
        match self.top_up_row(id).await? {
            Some(row) if row.account == account => Ok(shown(&row.top_up)),
            Some(_) | None => Err(Code::TopUpUnknown.into()),
        }
    }

    async fn pay_debt(
        &self,
        partner: &PartnerId,
        user_id: &str,
        order: &OrderId,
        (request_id, amount): (&RequestId, Option<Money>),
    ) -> Result<DebtPaidView, Refusal> {
        let account = self.account_of(partner, user_id)?;
        let amount = match amount {
            Some(amount) => amount,
            // More than is owed pays what is owed; the wish stays the same when it is repeated.
            None => {
                let policy = self.configuration.swaps.accounts.load();
                let currency = self.account_view(&account).await?.available.currency;
                Money::new(policy.amount_max, currency)
            }
        };
        let wish = Action::PayDebt { order: order.clone(), amount };
        match self.ask_account(&account, Request::new(cause(format!("pay-debt/{request_id}"))?, wish)).await? {
            Outcome::DebtPaid { paid, left } => {
                Ok(DebtPaidView { order_id: order.clone(), paid: Amount(paid), left: Amount(left) })
            }
            other => Err(denied(&other)),
        }
    }

    async fn payment_callback(&self, callback: Callback) -> Result<(), Refusal> {
        self.take_callback(callback).await
    }
}
