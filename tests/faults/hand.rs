//! A charger played by hand: one WebSocket on which a row sends exactly the frames that it is about. What it does to
//! transactions is in the fleet's history, so that the checker judges it as any other.

use crate::scene::{FLEET, PATIENCE};
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use loadtest::fleet::World;
use loadtest::history::{ChargerRecord, FactKind, History};
use loadtest::time::{now_ms, rfc3339};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const PASSWORD: &str = "by-hand-password-0123";

/// A connected charger.
pub(crate) struct Hand {
    pub(crate) id: String,
    socket: WebSocketStream<TcpStream>,
    history: History,
    /// Commands that came, oldest first: message id, action, payload.
    pub(crate) commands: VecDeque<(String, String, Value)>,
    /// Whether commands are answered at once.
    pub(crate) answers: bool,
    /// Frames that answer something that nobody waits for.
    pub(crate) stray: Vec<Value>,
    last: u32,
}

/// Registers a charger of two connectors.
pub(crate) async fn register(world: &World, id: &str) -> Result<()> {
    world.operator.put_charger(id, &format!("{FLEET}-site-0"), 2, PASSWORD).await
}

impl Hand {
    /// Registers a charger of two connectors, connects it and boots it.
    pub(crate) async fn arrive(world: &World, port: u16, id: &str) -> Result<Hand> {
        register(world, id).await?;
        let mut hand = Hand::connect(world, port, id).await?;
        hand.boot().await?;
        Ok(hand)
    }

    /// Connects, and nothing else.
    pub(crate) async fn connect(world: &World, port: u16, id: &str) -> Result<Hand> {
        let socket = dial(port, id, None).await?;
        let (history, id) = (world.charger_history(), id.to_owned());
        Ok(Hand {
            id,
            socket,
            history,
            commands: VecDeque::new(),
            answers: true,
            stray: Vec::new(),
            last: rand::random_range(0..1 << 30),
        })
    }

    /// Connects anew, as often as it takes.
    pub(crate) async fn again(self, world: &World, port: u16) -> Result<Hand> {
        let id = self.id.clone();
        drop(self);
        let begun = std::time::Instant::now();
        loop {
            match Hand::connect(world, port, &id).await {
                Ok(hand) => return Ok(hand),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// BootNotification and the statuses of its connectors.
    pub(crate) async fn boot(&mut self) -> Result<()> {
        let payload = json!({"chargePointVendor": "hand", "chargePointModel": "hand"});
        let boot = self.call("BootNotification", payload).await?;
        ensure!(boot["status"] == "Accepted", "{boot}");
        for connector in 0..=2 {
            self.status(connector, "Available").await?;
        }
        Ok(())
    }

    pub(crate) async fn status(&mut self, connector: u16, status: &str) -> Result<()> {
        let payload = json!({"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": now()});
        self.call("StatusNotification", payload).await.map(drop)
    }

    /// A message id of its own.
    pub(crate) fn fresh(&mut self) -> String {
        self.last += 1;
        format!("h-{}", self.last)
    }

    pub(crate) async fn send(&mut self, frame: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// A call under a fresh id and the payload of its result.
    pub(crate) async fn call(&mut self, action: &str, payload: Value) -> Result<Value> {
        let id = self.fresh();
        self.call_as(&id, action, &payload).await
    }

    /// The same under this id.
    pub(crate) async fn call_as(&mut self, id: &str, action: &str, payload: &Value) -> Result<Value> {
        self.send(&json!([2, id, action, payload])).await?;
        let frame = self.answer_to(id).await?;
        ensure!(frame[0] == 3, "{action} was answered {frame}");
        Ok(frame[2].clone())
    }

    /// The frame that answers `id`.
    pub(crate) async fn answer_to(&mut self, id: &str) -> Result<Value> {
        loop {
            let frame = self.frame(PATIENCE).await?.with_context(|| format!("no answer to {id}"))?;
            if frame[1] == id && frame[0] != 2 {
                return Ok(frame);
            }
            if frame[0] != 2 {
                self.stray.push(frame);
            }
        }
    }

    /// The next command of this kind; gives its message id and payload.
    pub(crate) async fn asked(&mut self, action: &str) -> Result<(String, Value)> {
        loop {
            while let Some((id, name, payload)) = self.commands.pop_front() {
                if name == action {
                    return Ok((id, payload));
                }
            }
            self.frame(PATIENCE).await?.with_context(|| format!("{action} never came"))?;
        }
    }

    /// The next frame within `limit`; commands are kept, and answered unless told otherwise. An error: the socket is gone.
    pub(crate) async fn frame(&mut self, limit: Duration) -> Result<Option<Value>> {
        loop {
            let Ok(message) = tokio::time::timeout(limit, self.socket.next()).await else { return Ok(None) };
            match message.context("the socket is gone")?? {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    if frame[0] == 2 {
                        let text = |at: usize| frame[at].as_str().unwrap_or_default().to_owned();
                        let (id, action) = (text(1), text(2));
                        if self.answers {
                            self.send(&accepted(&id, &action)).await?;
                        }
                        self.commands.push_back((id, action, frame[3].clone()));
                    }
                    return Ok(Some(frame));
                }
                Message::Close(close) => bail!("closed: {close:?}"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Reads until the server ends the socket.
    pub(crate) async fn closed(&mut self) -> Result<()> {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.frame(Duration::from_secs(1)).await.is_err() {
                return Ok(());
            }
        }
        bail!("the server keeps the socket")
    }

    /// Puts into the history what happened at the connector.
    pub(crate) fn happened(&self, kind: FactKind, local: u64, connector: u16, meter_wh: i64) {
        let (charger, id_tag, reason) = (self.id.clone(), None, None);
        self.history.write(ChargerRecord::Fact { charger, connector, local, kind, meter_wh, id_tag, reason });
    }

    /// Puts into the history that the server has confirmed it.
    pub(crate) fn confirmed(&self, kind: FactKind, local: u64, transaction_id: i64, answer: &Value) {
        let token_status = answer["idTagInfo"]["status"].as_str().map(str::to_owned);
        let charger = self.id.clone();
        self.history.write(ChargerRecord::Acked { charger, local, kind, transaction_id, token_status });
    }

    /// A transaction begins with this card; its id.
    pub(crate) async fn start(&mut self, local: u64, payload: &Value) -> Result<i64> {
        self.happened(FactKind::Start, local, number(payload, "connectorId")?, number(payload, "meterStart")?);
        self.start_again(local, payload).await
    }

    /// The same start told again.
    pub(crate) async fn start_again(&mut self, local: u64, payload: &Value) -> Result<i64> {
        let answer = self.call("StartTransaction", payload.clone()).await?;
        let id = number(&answer, "transactionId")?;
        self.confirmed(FactKind::Start, local, id, &answer);
        Ok(id)
    }

    /// It ends.
    pub(crate) async fn stop(&mut self, local: u64, connector: u16, transaction: i64, meter: i64) -> Result<()> {
        self.happened(FactKind::Stop, local, connector, meter);
        let answer = self.call("StopTransaction", stop_payload(transaction, meter)).await?;
        self.confirmed(FactKind::Stop, local, transaction, &answer);
        Ok(())
    }

    /// A reading.
    pub(crate) async fn meter(&mut self, connector: u16, transaction: i64, wh: i64) -> Result<()> {
        let sampled = json!({"value": wh.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh"});
        let value = json!([{"timestamp": now(), "sampledValue": [sampled]}]);
        let payload = json!({"connectorId": connector, "transactionId": transaction, "meterValue": value});
        self.call("MeterValues", payload).await.map(drop)
    }

    /// Answers every command from now on, beside the row.
    pub(crate) fn idles(mut self) -> JoinHandle<Result<()>> {
        tokio::spawn(async move {
            loop {
                self.frame(Duration::from_secs(3600)).await?;
            }
        })
    }

    /// Ends the socket in good order.
    pub(crate) async fn closed_by_us(mut self) {
        // A server that is gone already is as good.
        let _ = self.socket.close(None).await;
    }
}

fn accepted(id: &str, action: &str) -> Value {
    match action {
        "GetConfiguration" => json!([3, id, {}]),
        _ => json!([3, id, {"status": "Accepted"}]),
    }
}

/// A number of any width that must be there.
pub(crate) fn number<N: TryFrom<i64>>(payload: &Value, name: &str) -> Result<N> {
    let number = payload[name].as_i64().and_then(|number| N::try_from(number).ok());
    number.with_context(|| format!("no {name} in {payload}"))
}

/// A StartTransaction with a card.
pub(crate) fn start_payload(connector: u16, card: &str, meter: i64) -> Value {
    json!({"connectorId": connector, "idTag": card, "meterStart": meter, "timestamp": now()})
}

pub(crate) fn stop_payload(transaction: i64, meter: i64) -> Value {
    json!({"transactionId": transaction, "meterStop": meter, "timestamp": now(), "reason": "Local"})
}

/// The present, as OCPP writes it.
pub(crate) fn now() -> String {
    rfc3339(now_ms())
}

/// A socket with basic authentication; `window`: what it can hold unread, bytes.
pub(crate) async fn dial(port: u16, id: &str, window: Option<u32>) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://127.0.0.1:{port}/ocpp/{id}").into_client_request()?;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{PASSWORD}"));
    request.headers_mut().insert("authorization", format!("Basic {pair}").parse()?);
    request.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse()?);
    let socket = TcpSocket::new_v4()?;
    if let Some(window) = window {
        socket.set_recv_buffer_size(window)?;
    }
    let stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
    stream.set_nodelay(true)?;
    let shaken = tokio_tungstenite::client_async(request, stream);
    let (socket, _) = tokio::time::timeout(PATIENCE, shaken).await.context("the handshake hangs")??;
    Ok(socket)
}
