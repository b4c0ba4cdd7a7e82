//! A central system on the crate `ocpp-kit`: accepts every charger and answers boots and heartbeats from memory. Only a thing to
//! measure against: in a package of its own, so that its features do not change how the product is compiled.

use ocpp_kit::RawValue;
use ocpp_kit::engine::IncomingRequest;
use ocpp_kit::rpc::CallError;
use ocpp_kit::transport::{Auth, AuthOutcome, BoxFuture, Csms, Ctx, Handler};
use ocpp_kit::types::DateTime;
use ocpp_kit::{Version, v1_6};

struct Heartbeats;

impl Handler for Heartbeats {
    fn on_request(&self, ctx: Ctx, request: IncomingRequest) -> BoxFuture<'_, Result<Box<RawValue>, CallError>> {
        Box::pin(async move {
            let action =
                v1_6::Action::from_wire(&request.action).ok_or_else(|| CallError::not_implemented(&request.action))?;
            match v1_6::CsRequest::decode(action, &request.payload, ctx.decode_options())? {
                v1_6::CsRequest::Heartbeat(_) => ctx.reply(&v1_6::HeartbeatResponse::new(DateTime::now())),
                v1_6::CsRequest::BootNotification(_) => ctx.reply(&v1_6::BootNotificationResponse::new(
                    v1_6::RegistrationStatus::Accepted,
                    DateTime::now(),
                    300,
                )),
                other => Err(CallError::not_supported(other.action().as_str())),
            }
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: kit-responder ADDRESS")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let csms = Csms::builder()
            .bind(address)
            .versions([Version::V1_6])
            .authenticate(|_: Auth| async move { AuthOutcome::accept() })
            .handler(Heartbeats)
            .build()?;
        csms.serve().await?;
        Ok(())
    })
}
