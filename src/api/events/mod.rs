//! The catalogue of events (EM-7, EM-13): every type that a partner can be sent, when, and what its `data` holds. Owns the types by
//! which `docs/events.md` and the `webhooks` of the OpenAPI document are made; the rules make the events themselves, and tests
//! hold everything that those ever tell against these types.

mod data;
pub mod reference;
#[cfg(test)]
mod tests;

use data::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, OpenApi, Ref, RefOr, Required};

/// Schemas by name.
type Schemas = Vec<(String, RefOr<Schema>)>;

/// An event type.
pub struct Kind {
    /// As on the wire: `session.ended`.
    pub name: &'static str,
    /// When it is sent.
    pub when: &'static str,
    /// The name of what its `data` is, and that schema with all those it mentions.
    schema: fn(&mut Schemas) -> String,
    /// Reads `data` as that type and writes it again.
    read: fn(Value) -> Result<Value, String>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    const fn of<T: ToSchema + Serialize + DeserializeOwned>(name: &'static str, when: &'static str) -> Self {
        Kind { name, when, schema: schema::<T>, read: read::<T> }
    }

    /// Whether this `data` is of the type.
    ///
    /// # Errors
    /// What is missing, of another kind, or not in the catalogue.
    pub fn check(&self, data: &Value) -> Result<(), String> {
        let known = (self.read)(data.clone()).map_err(|error| format!("{}: {error}", self.name))?;
        contains(&known, data, "data").map_err(|path| format!("{}: {path} is not in the catalogue", self.name))
    }
}

fn schema<T: ToSchema>(all: &mut Schemas) -> String {
    let name = T::name().into_owned();
    T::schemas(all);
    all.push((name.clone(), T::schema()));
    name
}

fn read<T: Serialize + DeserializeOwned>(data: Value) -> Result<Value, String> {
    let known: T = serde_json::from_value(data).map_err(|error| error.to_string())?;
    serde_json::to_value(known).map_err(|error| error.to_string())
}

/// Every member of `told` is in `known` with the same value; otherwise the path of the first that is not.
fn contains(known: &Value, told: &Value, path: &str) -> Result<(), String> {
    match (known, told) {
        (Value::Object(known), Value::Object(told)) => told.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            match known.get(name) {
                Some(known) => contains(known, value, &path),
                None if value.is_null() => Ok(()),
                None => Err(path),
            }
        }),
        (Value::Array(known), Value::Array(told)) if known.len() == told.len() => known
            .iter()
            .zip(told)
            .enumerate()
            .try_for_each(|(n, (known, told))| contains(known, told, &format!("{path}[{n}]"))),
        _ if known == told => Ok(()),
        _ => Err(path.to_owned()),
    }
}

/// Every event type, in the order of the documents.
pub const KINDS: &[Kind] = &[
    Kind::of::<SessionEvent>("session.started", "the charger began the transaction"),
    Kind::of::<SessionEvent>("session.failed", "it did not start: refused, timed out, not plugged in; see `failure`"),
    Kind::of::<SessionEvent>("session.progress", "at most every 60 s while it charges"),
    Kind::of::<StopResult>("session.stop_result", "the charger accepted a stop, refused it, or could not be reached"),
    Kind::of::<SessionEvent>("session.ended", "it is over, with all its readings"),
    Kind::of::<SessionEvent>(
        "session.updated",
        "anything else worth knowing: flagged, suspended, late consumption found",
    ),
    Kind::of::<ReservationEvent>("reservation.reserved", "the connector is held"),
    Kind::of::<ReservationEvent>("reservation.failed", "the deposit did not come"),
    Kind::of::<ReservationEvent>("reservation.fulfilled", "the user came and charges: see `session_id`"),
    Kind::of::<ReservationEvent>("reservation.cancelled", "given up, or the charger failed: see `end_cause`, `fee`"),
    Kind::of::<ReservationEvent>("reservation.no_show", "the user did not come"),
    Kind::of::<ReservationEvent>("reservation.disputed", "the user complained: see `complaint`"),
    Kind::of::<OrderEvent>("order.opened", "an order began"),
    Kind::of::<OrderEvent>("order.failed", "an order never began"),
    Kind::of::<OrderEvent>("order.updated", "anything else worth knowing of an order"),
    Kind::of::<OrderEvent>("order.under_review", "a person looks at it before anything is taken: see `doubts`"),
    Kind::of::<OrderEvent>("order.awaiting_payment", "too little was there: see `debt`"),
    Kind::of::<OrderEvent>("order.unpaid", "it was not paid in time"),
    Kind::of::<OrderEvent>("order.paid", "it is settled"),
    Kind::of::<OrderEvent>("order.refunded", "something was given back"),
    Kind::of::<StatementEvent>("statement.ready", "a statement was made"),
    Kind::of::<StatementEvent>("statement.confirmed", "you have confirmed it"),
    Kind::of::<StatementEvent>("statement.disputed", "you have disputed orders of it"),
    Kind::of::<StatementEvent>("statement.dispute_resolved", "a dispute was decided"),
    Kind::of::<StatementEvent>("statement.paper", "an invoice or word of a payment came"),
    Kind::of::<StatementEvent>("statement.settled", "it is settled"),
    Kind::of::<ConnectorEvent>(
        "connector.status",
        "a connector's status, fault or parking lock changed; under backlog only the newest of a connector",
    ),
    Kind::of::<TopUpEvent>("top_up.paid", "a top-up was paid"),
    Kind::of::<TopUpEvent>("top_up.failed", "a top-up was refused"),
    Kind::of::<TopUpEvent>("top_up.expired", "a top-up was not paid in time"),
    Kind::of::<TopUpEvent>("top_up.refunded", "a second payment of a top-up goes back"),
    Kind::of::<DebtEvent>("account.debt", "a user owes for an order"),
    Kind::of::<DebtPaidEvent>("account.debt_paid", "a user has paid of that"),
    Kind::of::<RefundEvent>("account.refunded", "a user got something back"),
    Kind::of::<AdjustmentEvent>("account.adjusted", "two operators changed a balance"),
    Kind::of::<BlockEvent>("account.blocked", "the user cannot start"),
    Kind::of::<UnblockEvent>("account.unblocked", "the user can again"),
    Kind::of::<UserNotice>("user.notice", "something to tell the user"),
    Kind::of::<TestEvent>("webhook.test", "you asked for it; only the endpoint that it tests gets it"),
    Kind::of::<DisabledEvent>("webhook.disabled", "one of your endpoints is sent nothing any more"),
    Kind::of::<EnabledEvent>("webhook.enabled", "one of your endpoints is sent events again"),
    Kind::of::<VerificationEvent>(
        "webhook.verification",
        "a URL is new, or a disabled endpoint may be there again; it is not in `GET /events`",
    ),
];

/// The event type of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn text(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about))
}

/// The body of a webhook of this kind.
fn envelope(kind: &Kind, data: &str) -> ObjectBuilder {
    let time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("id", text("Unique for ever: drop an id that you have seen."))
        .property("type", text("The event type.").enum_values(Some([kind.name])))
        .property("timestamp", text("When it happened.").format(Some(time)))
        .property("partner_id", text("Yours."))
        .property("order_key", text("Events of one key are in order."))
        .property("sequence", number.description(Some("From 1 without gaps within the key; absent for statuses.")))
        .property("data", Ref::from_schema_name(data))
        .required("id")
        .required("type")
        .required("timestamp")
        .required("partner_id")
        .required("order_key")
        .required("data")
}

/// Adds the section `webhooks` and its schemas.
pub(crate) fn describe(document: &mut OpenApi) {
    let mut paths = PathsBuilder::new();
    let mut schemas = Schemas::new();
    for kind in KINDS {
        let data = (kind.schema)(&mut schemas);
        let content = ContentBuilder::new().schema(Some(Schema::Object(envelope(kind, &data).build()))).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        let taken = ResponseBuilder::new().description("Any 2xx within 15 s: it is delivered").build();
        let operation = OperationBuilder::new()
            .summary(Some(kind.when))
            .operation_id(Some(kind.name))
            .request_body(Some(body.build()))
            .responses(ResponsesBuilder::new().response("2XX", taken).build());
        paths = paths.path(kind.name, PathItem::new(HttpMethod::Post, operation.build()));
    }
    document.webhooks = Some(paths.build());
    let components = document.components.get_or_insert_default();
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
}
