//! A small charger: one WebSocket, calls one at a time, every command accepted and kept.

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long anything of the server's may take, or of a partner's program that it waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connected charger.
pub(crate) struct Charger {
    socket: WebSocketStream<TcpStream>,
    commands: VecDeque<(String, Value)>,
    last: u32,
    refuses: bool,
}

impl Charger {
    /// Connects with basic authentication.
    pub(crate) async fn connect(port: u16, id: &str, password: &str) -> Result<Charger, Error> {
        let mut request = format!("ws://127.0.0.1:{port}/ocpp/{id}").into_client_request()?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{password}"));
        request.headers_mut().insert("authorization", format!("Basic {pair}").parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse().unwrap());
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Charger { socket, commands: VecDeque::new(), last: 0, refuses: false })
    }

    /// From now on remote starts are answered `Rejected`.
    pub(crate) fn refuses_starts(&mut self) {
        self.refuses = true;
    }

    /// A CALL and the payload of its CALLRESULT.
    pub(crate) async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.last += 1;
        let id = format!("{action}-{}", self.last);
        self.socket.send(Message::text(json!([2, id, action, payload]).to_string())).await.unwrap();
        loop {
            let frame = self.frame().await.unwrap();
            if frame[0] == 3 && frame[1] == id.as_str() {
                return frame[2].clone();
            }
            assert_ne!(frame[0], 4, "{action} was refused: {frame}");
        }
    }

    /// BootNotification, and the statuses of connectors 0 to `connectors`.
    pub(crate) async fn boot(&mut self, connectors: u16) {
        let boot = self.call("BootNotification", json!({"chargePointVendor": "it", "chargePointModel": "it"})).await;
        assert_eq!(boot["status"], "Accepted");
        for connector in 0..=connectors {
            self.status(connector, "Available").await;
        }
    }

    /// A StatusNotification.
    pub(crate) async fn status(&mut self, connector: u16, status: &str) {
        let payload = json!({"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": now()});
        self.call("StatusNotification", payload).await;
    }

    /// Begins a transaction for the tag of the next remote start; gives its id.
    pub(crate) async fn begin(&mut self, connector: u16, meter_start: i64) -> (i64, Value) {
        let command = self.asked("RemoteStartTransaction").await;
        let start = json!({"connectorId": connector, "idTag": command["idTag"], "meterStart": meter_start,
                           "timestamp": now()});
        (self.start(&start).await, start)
    }

    /// StartTransaction with this payload; gives the transaction's id.
    pub(crate) async fn start(&mut self, payload: &Value) -> i64 {
        self.call("StartTransaction", payload.clone()).await["transactionId"].as_i64().unwrap()
    }

    /// MeterValues with one reading of the register.
    pub(crate) async fn meter(&mut self, connector: u16, transaction: i64, wh: i64) {
        let sampled = json!({"value": wh.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh"});
        let value = json!([{"timestamp": now(), "sampledValue": [sampled]}]);
        let payload = json!({"connectorId": connector, "transactionId": transaction, "meterValue": value});
        self.call("MeterValues", payload).await;
    }

    /// StopTransaction.
    pub(crate) async fn stop(&mut self, transaction: i64, meter_stop: i64) {
        let payload = json!({"transactionId": transaction, "meterStop": meter_stop, "timestamp": now(),
                             "reason": "EVDisconnected"});
        self.call("StopTransaction", payload).await;
    }

    /// The payload of the next command of this kind; others before it are let pass.
    pub(crate) async fn asked(&mut self, action: &str) -> Value {
        loop {
            while let Some((name, payload)) = self.commands.pop_front() {
                if name == action {
                    return payload;
                }
            }
            let frame = self.frame().await.unwrap();
            assert_eq!(frame[0], 2, "an answer to nothing: {frame}");
        }
    }

    /// The code with which the server closes the socket.
    pub(crate) async fn closed(&mut self) -> CloseCode {
        self.frame().await.unwrap_err().expect("closed without a code")
    }

    /// The next frame; commands are answered and kept. At the end, the code of the closing frame.
    async fn frame(&mut self) -> Result<Value, Option<CloseCode>> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing came for too long");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame[0] == 2 {
                        let action = frame[2].as_str().unwrap().to_owned();
                        let answer = match action.as_str() {
                            "GetConfiguration" => json!({}),
                            "RemoteStartTransaction" if self.refuses => json!({"status": "Rejected"}),
                            _ => json!({"status": "Accepted"}),
                        };
                        self.socket.send(Message::text(json!([3, frame[1], answer]).to_string())).await.unwrap();
                        self.commands.push_back((action, frame[3].clone()));
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    // Answers the closing handshake.
                    let _ = self.socket.next().await;
                    return Err(close.map(|close| close.code));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}

/// The present, as OCPP writes it.
#[allow(clippy::disallowed_methods, reason = "a charger has a clock of its own")]
pub(crate) fn now() -> String {
    loadtest::time::rfc3339(loadtest::time::now_ms())
}
