//! Statements: looking, agreeing, disputing, settling, and their files (RC-3, RC-4). Owns the way from a request to the partner's
//! statements and back to a view; the rules are in `domain::statement`.

use super::{Service, bad_cursor, corrupt, refused};
use crate::actors::statement::{Lines, file};
use crate::api::catalogue::Code;
use crate::api::port::{
    FiguresView, FileSum, OrderView, Page, PageRequest, PaperView, PartView, Refusal, StatementDispute, StatementFile,
    StatementFormat, StatementLine, StatementPort, StatementView, StatementWish,
};
use crate::clock::Timestamp;
use crate::domain::money::{Currency, Money};
use crate::domain::statement::file::{Format, Sum, Written};
use crate::domain::statement::line::{self, Figures, Line};
use crate::domain::statement::period::{Paper, PaperKind, Side};
use crate::domain::statement::shares::{Rule, split};
use crate::domain::statement::{BookCommand, Command, Key, Open, PeriodCommand, Rejection, Reply, State, rows};
use crate::ids::{OrderId, PartnerId, StatementId};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::io;

/// Lines of one order that are looked at: far more than an order can have.
const LINES_MAX: usize = 1000;

/// What the rules' rejections are called in the catalogue.
fn rejected(rejection: Rejection) -> Refusal {
    let field = |field: &str, allowed: &str| Refusal::field(field, rejection.to_string(), allowed);
    match &rejection {
        Rejection::Unknown | Rejection::Settled => Code::StatementSettled.into(),
        Rejection::Disputed => Code::StatementDisputed.into(),
        Rejection::DisputeExists => Code::DisputeExists.into(),
        Rejection::NoDispute => Code::DisputeUnknown.into(),
        Rejection::PaperDiffers => field("reference", "a reference that was not used for something else"),
        Rejection::TooMany { .. } => Refusal { code: Code::StatementLimit, ..field("", "fewer") },
        Rejection::Rule(_) => field("shares", "at most 10 parties, each once, at most 10000 together"),
        Rejection::RuleTooEarly(_) => field("from", "not before the period that is open now"),
        Rejection::NotOpen => Code::PartnerUnknown.into(),
        Rejection::NothingToCut => Code::StatementEmpty.into(),
        Rejection::WrongEntity => Code::Internal.into(),
    }
}

fn read<T: DeserializeOwned>(table: &str, key: &str, bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| corrupt(table, key, &error))
}

/// What the store has of a statement: the wire's form, but for the currency of balances, which is the same text.
fn shown(key: &str, bytes: &[u8]) -> Result<StatementView, Refusal> {
    read(rows::STATEMENT, key, bytes)
}

fn open_of(view: &StatementView) -> Open {
    Open {
        id: view.statement_id.clone(),
        day: "".into(),
        nth: 1,
        from: view.from.0,
        until: view.until.0,
        due: view.until.0,
        zone: view.time_zone.as_str().into(),
    }
}

fn line_view(key: &str, line: &Line, rules: &[Rule], standing: Option<&'static str>) -> Result<StatementLine, Refusal> {
    let value = serde_json::to_value(Written::from(line)).map_err(|error| corrupt(line::TABLE, key, &error))?;
    let mut view: StatementLine = serde_json::from_value(value).map_err(|error| corrupt(line::TABLE, key, &error))?;
    let parts = split(rules, line);
    view.shares = parts.into_iter().map(|part| PartView { party: part.party, minor: part.minor }).collect();
    view.standing = standing.map(str::to_owned);
    Ok(view)
}

fn figures(view: FiguresView) -> Figures {
    let FiguresView { energy_wh, electricity, service, other, total } = view;
    Figures { energy_wh, electricity, service, other, total }
}

fn paper(view: &PaperView) -> Result<Paper, Refusal> {
    let side = if view.side == "partner" { Side::Partner } else { Side::Operator };
    let kind = match view.kind.as_str() {
        "invoice" => PaperKind::Invoice,
        "payment" => PaperKind::Payment,
        "receipt" => PaperKind::Receipt,
        _ => return Err(Refusal::field("kind", "is not known", "`invoice`, `payment`, `receipt`")),
    };
    let currency = Currency::from_code(&view.amount.currency);
    let currency = currency.ok_or_else(|| Refusal::field("amount.currency", "is not known", "an ISO 4217 code"))?;
    let amount = Money::new(view.amount.minor, currency);
    let details = view.details.as_deref().map(Into::into);
    Ok(Paper { side, kind, reference: view.reference.as_str().into(), amount, details })
}

impl Service {
    /// Collects the lines of a partner from now on; of one whose lines are collected: nothing.
    pub(super) async fn open_book(&self, partner: &PartnerId) -> Result<(), Refusal> {
        let asked = self.statements.ask(partner.as_str(), Key::Book, Command::Book(BookCommand::Open)).await;
        asked.map(drop).map_err(|refusal| refused(refusal, rejected))
    }

    /// Collects the lines of every partner: of one whose definition was stored, and its book not, before we ended.
    pub async fn open_books(&self) {
        for known in self.directory.all() {
            if let Err(refusal) = self.open_book(&known.id).await {
                tracing::error!(target: "alert", partner = %known.id, code = %refusal.code, "no lines are collected for a partner's statements until the next start");
            }
        }
    }

    async fn statement_row(&self, partner: &PartnerId, id: &StatementId) -> Result<StatementView, Refusal> {
        let key = format!("{partner}/{id}");
        let row = self.journal.row(rows::STATEMENT, &key).await?.ok_or(Code::StatementUnknown)?;
        shown(&key, &row)
    }

    async fn rules(&self, partner: &PartnerId) -> Result<Vec<Rule>, Refusal> {
        let look = |state: &State| match state {
            State::Book(book) => book.rules.clone(),
            State::Period(_) => Vec::new(),
        };
        self.statements.read(partner.as_str(), Key::Book, look).await?.ok_or_else(|| Code::Busy.into())
    }

    /// What was said of the orders of a statement. Of one that is closed for good, its disputes alone tell.
    async fn standings(
        &self,
        partner: &PartnerId,
        view: &StatementView,
    ) -> Result<HashMap<OrderId, &'static str>, Refusal> {
        let look = |state: &State| match state {
            State::Period(period) => {
                let word = |open: bool| if open { "disputed" } else { "resolved" };
                let confirmed = period.confirmed.iter().map(|order| (*order, "confirmed"));
                let disputes = period.disputes.iter().map(|(order, it)| (*order, word(it.resolution.is_none())));
                confirmed.chain(disputes).collect()
            }
            State::Book(_) => HashMap::new(),
        };
        let key = Key::Period(view.statement_id.clone());
        match self.statements.read(partner.as_str(), key, look).await? {
            Some(standings) => Ok(standings),
            None if view.settled.is_some() => Ok(HashMap::new()),
            None => Err(Code::Busy.into()),
        }
    }

    /// The newest line of an order in a statement, or `order_not_stated`.
    async fn line_of(&self, partner: &PartnerId, view: &StatementView, order: OrderId) -> Result<Line, Refusal> {
        let pointers = self.journal.rows(line::BY_ORDER, &format!("{order}/"), None, LINES_MAX).await?;
        let within = |at: Timestamp| view.from.0 <= at && at < view.until.0;
        let keys = pointers.iter().rev().filter_map(|row| line::key_of_pointer(partner, &row.key));
        for (_, key) in keys.filter(|(at, _)| within(*at)) {
            // Of another partner's order there is none under this key.
            if let Some(row) = self.journal.row(line::TABLE, &key).await? {
                return read(line::TABLE, &key, &row);
            }
        }
        Err(Code::OrderNotStated.into())
    }

    async fn wish_command(
        &self,
        partner: &PartnerId,
        view: &StatementView,
        wish: StatementWish,
    ) -> Result<PeriodCommand, Refusal> {
        Ok(match wish {
            StatementWish::Confirm => PeriodCommand::Confirm,
            StatementWish::ConfirmOrder(order) => {
                self.line_of(partner, view, order).await?;
                PeriodCommand::ConfirmOrder(order)
            }
            StatementWish::Dispute { order, request, reason } => {
                let line = self.line_of(partner, view, order).await?;
                let evidence = serde_json::to_string(&Written::from(&line)).unwrap_or_default().into();
                PeriodCommand::Dispute { order, request, reason: reason.into(), evidence }
            }
            StatementWish::Paper(view) => PeriodCommand::Note(paper(&view)?),
            StatementWish::Resolve { order, change, note, by } => {
                let base = Box::new(self.line_of(partner, view, order).await?);
                let change = change.map(figures);
                PeriodCommand::Resolve { order, base, change, note: note.into(), by: by.into() }
            }
            StatementWish::Settle { by, note } => PeriodCommand::Settle { by: by.into(), note: note.into() },
        })
    }

    /// Orders of a partner that were settled or corrected in a stretch of time, each once a page, oldest first.
    pub(super) async fn orders_settled(
        &self,
        partner: &PartnerId,
        (from, until): (Timestamp, Timestamp),
        page: &PageRequest,
    ) -> Result<Page<OrderView>, Refusal> {
        let mut lines = Lines::between(self.journal.clone(), partner, from, until);
        if let Some(cursor) = &page.cursor {
            if !cursor.starts_with(&format!("{partner}/")) || *cursor < line::border(partner, from) {
                return Err(bad_cursor());
            }
            lines = lines.after(cursor.clone());
        }
        let found = lines.keyed(page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|(key, _)| key.clone())).flatten();
        let (mut seen, mut items) = (BTreeSet::new(), Vec::with_capacity(found.len()));
        for (_, line) in found {
            if seen.insert(line.order) {
                items.push(self.order_view(super::sessions::Eyes::Partner(partner), line.order, false).await?);
            }
        }
        Ok(Page { items, next })
    }
}

#[async_trait]
impl StatementPort for Service {
    async fn statements(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<StatementView>, Refusal> {
        let prefix = format!("{partner}/");
        if page.cursor.as_ref().is_some_and(|cursor| !cursor.starts_with(&prefix)) {
            return Err(bad_cursor());
        }
        let found = self.journal.rows_back(rows::STATEMENT, &prefix, page.cursor.as_deref(), page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|row| row.key.clone())).flatten();
        let items = found.iter().map(|row| shown(&row.key, &row.value)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    async fn statement(&self, partner: &PartnerId, id: &StatementId) -> Result<StatementView, Refusal> {
        self.statement_row(partner, id).await
    }

    async fn statement_lines(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        page: PageRequest,
    ) -> Result<Page<StatementLine>, Refusal> {
        let view = self.statement_row(partner, id).await?;
        let mut lines = Lines::between(self.journal.clone(), partner, view.from.0, view.until.0);
        if let Some(cursor) = page.cursor {
            if !cursor.starts_with(&format!("{partner}/")) || cursor < line::border(partner, view.from.0) {
                return Err(bad_cursor());
            }
            lines = lines.after(cursor);
        }
        let (rules, standings) = (self.rules(partner).await?, self.standings(partner, &view).await?);
        let found = lines.keyed(page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|(key, _)| key.clone())).flatten();
        let item = |(key, line): &(String, Line)| line_view(key, line, &rules, standings.get(&line.order).copied());
        Ok(Page { items: found.iter().map(item).collect::<Result<_, _>>()?, next })
    }

    async fn statement_disputes(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        page: PageRequest,
    ) -> Result<Page<StatementDispute>, Refusal> {
        self.statement_row(partner, id).await?;
        let prefix = format!("{partner}/{id}/");
        if page.cursor.as_ref().is_some_and(|cursor| !cursor.starts_with(&prefix)) {
            return Err(bad_cursor());
        }
        let found = self.journal.rows(rows::DISPUTE, &prefix, page.cursor.as_deref(), page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|row| row.key.clone())).flatten();
        let items = found.iter().map(|row| read(rows::DISPUTE, &row.key, &row.value)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    async fn statement_file(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        format: StatementFormat,
    ) -> Result<StatementFile, Refusal> {
        let view = self.statement_row(partner, id).await?;
        let (format, sum) = match format {
            StatementFormat::Csv => (Format::Csv, view.csv.clone()),
            StatementFormat::Json => (Format::Json, view.json.clone()),
        };
        let stated = Sum { sha256: sum.sha256.as_str().into(), bytes: sum.bytes };
        let content = file(self.journal.clone(), partner.clone(), open_of(&view), format, stated);
        let content = content.map(|piece| piece.map_err(io::Error::other)).boxed();
        Ok(StatementFile { sum: FileSum { ..sum }, content })
    }

    async fn statement_wish(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        wish: StatementWish,
    ) -> Result<StatementView, Refusal> {
        self.working()?;
        let view = self.statement_row(partner, id).await?;
        let command = self.wish_command(partner, &view, wish).await?;
        let asked = self.statements.ask(partner.as_str(), Key::Period(id.clone()), Command::Period(command)).await;
        asked.map_err(|refusal| refused(refusal, rejected))?;
        self.statement_row(partner, id).await
    }

    async fn cut_statement(&self, partner: &PartnerId, by: &str) -> Result<Value, Refusal> {
        self.working()?;
        self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let cut = Command::Book(BookCommand::Cut { by: by.into() });
        match self.statements.ask(partner.as_str(), Key::Book, cut).await {
            Ok(Reply::Cut(open)) => Ok(serde_json::json!({"partner_id": partner, "statement_id": open.id,
                "until": open.until.to_rfc3339(), "made_at": open.due.to_rfc3339()})),
            Ok(Reply::Done) => Err(Code::Internal.into()),
            Err(refusal) => Err(refused(refusal, rejected)),
        }
    }

    async fn revenue_rules(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<Value>, Refusal> {
        let prefix = format!("{partner}/");
        if page.cursor.as_ref().is_some_and(|cursor| !cursor.starts_with(&prefix)) {
            return Err(bad_cursor());
        }
        let found = self.journal.rows(rows::RULE, &prefix, page.cursor.as_deref(), page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|row| row.key.clone())).flatten();
        let mut items = Vec::with_capacity(found.len());
        for row in found {
            let rule: Rule = read(rows::RULE, &row.key, &row.value)?;
            items.push(serde_json::json!({"from": rule.from.to_rfc3339(), "site_id": rule.site,
                "shares": rule.shares, "remainder": rule.remainder, "by": rule.by}));
        }
        Ok(Page { items, next })
    }

    async fn put_revenue_rule(&self, partner: &PartnerId, rule: Rule) -> Result<(), Refusal> {
        self.working()?;
        self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let command = Command::Book(BookCommand::PutRule(rule));
        let asked = self.statements.ask(partner.as_str(), Key::Book, command).await;
        asked.map(drop).map_err(|refusal| refused(refusal, rejected))
    }
}
