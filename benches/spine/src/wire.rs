//! A charger's end of a socket, as lean as it can be, so that the client takes little of the processor that the server
//! shares with it. Owns framing and the answers to what the server asks; never a charger's rules.
//!
//! Its frames are masked with zeros, as RFC 6455 permits: the payload goes out as it is.

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use loadtest::net::{self, Sources};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for one answer: beyond, the run is worth nothing.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Wire<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
    calls: u64,
}

impl Wire {
    /// Connects as `identity` and goes through the handshake.
    pub(crate) async fn connect(
        to: SocketAddr,
        identity: &str,
        password: Option<&str>,
        sources: &Sources,
    ) -> anyhow::Result<Wire> {
        let stream = net::connect(to, Some(sources)).await?;
        let mut wire = Wire { stream, received: Vec::new(), calls: 0 };
        let login = password.map(|password| {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{identity}:{password}"));
            format!("Authorization: Basic {pair}\r\n")
        });
        let head = format!(
            "GET /ocpp/{identity} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: ocpp1.6\r\n{}\r\n",
            login.unwrap_or_default()
        );
        wire.stream.write_all(head.as_bytes()).await?;
        let end = loop {
            if let Some(at) = wire.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            wire.fill().await?;
        };
        let answer = String::from_utf8_lossy(&wire.received[..end]).into_owned();
        ensure!(answer.starts_with("HTTP/1.1 101"), "{identity} was refused: {}", answer.lines().next().unwrap_or(""));
        wire.received.drain(..end);
        Ok(wire)
    }

    /// As [`Wire::call`], with the answer's TCP acknowledgement sent once the answer has been read, whatever the pause since the
    /// call before. Left to itself the kernel sends it along with the next call where that comes within 40 ms, by a timer where
    /// it comes later, and after a pause longer than a retransmission takes (200 ms) at once: on one machine that is within
    /// the server's own `send` and on its account, so that the same call would cost a server more the more clients share the load.
    pub(crate) async fn call_acknowledged(&mut self, action: &str, payload: &str) -> anyhow::Result<String> {
        self.stream.set_quickack(false)?;
        let answer = self.call(action, payload).await?;
        self.stream.set_quickack(true)?;
        Ok(answer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A stream on which WebSocket is spoken already.
    pub(crate) fn over(stream: S) -> Self {
        Wire { stream, received: Vec::new(), calls: 0 }
    }

    /// Connects, boots and tells the status of each connector, as a charger does.
    pub(crate) async fn boot(&mut self, connectors: u16) -> anyhow::Result<()> {
        let boot = r#"{"chargePointVendor":"Bench","chargePointModel":"B-1","firmwareVersion":"1.0.0"}"#;
        let answer = self.call("BootNotification", boot).await?;
        ensure!(answer.contains("Accepted"), "the boot was answered {answer}");
        for connector in 0..=connectors {
            let status = format!(r#"{{"connectorId":{connector},"errorCode":"NoError","status":"Available"}}"#);
            self.call("StatusNotification", &status).await?;
        }
        Ok(())
    }

    /// Sends a call and waits for its answer, the whole text; what the server asks meanwhile is answered.
    pub(crate) async fn call(&mut self, action: &str, payload: &str) -> anyhow::Result<String> {
        self.calls += 1;
        let begins = format!(r#"[3,"{}""#, self.calls);
        self.send(0x1, format!(r#"[2,"{}","{action}",{payload}]"#, self.calls).as_bytes()).await?;
        let waits = async {
            loop {
                let text = self.next().await?;
                if text.replacen(", ", ",", 1).starts_with(&begins) {
                    return Ok(text);
                }
                ensure!(!text.starts_with("[4"), "{action} {payload} was answered {text}");
            }
        };
        tokio::time::timeout(ANSWER_MAX, waits).await.with_context(|| format!("no answer to {action} {payload}"))?
    }

    /// The next text that is not a call of the server's, which is answered.
    pub(crate) async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            let frame = self.frame().await?;
            if let Some(text) = self.react(frame).await? {
                return Ok(text);
            }
        }
    }

    /// Answers what the server asks; a text that asks nothing is given back.
    async fn react(&mut self, (opcode, payload): (u8, Vec<u8>)) -> anyhow::Result<Option<String>> {
        match opcode {
            0x1 => {
                let text = String::from_utf8(payload)?;
                if !text.starts_with("[2") {
                    return Ok(Some(text));
                }
                self.answer(&text).await?;
            }
            0x9 => self.send(0xA, &payload).await?,
            0x8 => bail!("the server closed: {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default())),
            _ => {}
        }
        Ok(None)
    }

    /// Serves the server's calls and pings until `until` is there. What is begun is finished: the connection can be used on.
    pub(crate) async fn serve_until<T>(&mut self, until: impl Future<Output = T>) -> anyhow::Result<T> {
        tokio::pin!(until);
        loop {
            let frame = tokio::select! {
                frame = self.frame() => frame?,
                got = &mut until => return Ok(got),
            };
            self.react(frame).await?;
        }
    }

    /// Serves the server's calls and pings for as long as the connection lives.
    pub(crate) async fn idle(mut self) {
        while self.next().await.is_ok() {}
    }

    async fn answer(&mut self, call: &str) -> anyhow::Result<()> {
        let call: Value = serde_json::from_str(call)?;
        let payload = match call[2].as_str() {
            Some("GetConfiguration") => r#"{"configurationKey":[]}"#,
            _ => r#"{"status":"Accepted"}"#,
        };
        self.send(0x1, format!("[3,{},{payload}]", call[1]).as_bytes()).await
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        frame.push(0x80 | opcode);
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len())?.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }

    /// One frame; the server's are never fragmented.
    async fn frame(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        loop {
            let got = &self.received;
            let (head, length) = match got.get(1) {
                Some(126) => (4, got.get(2..4).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])))),
                Some(127) => bail!("a frame above 64 KiB"),
                Some(short) => (2, Some(usize::from(*short))),
                None => (2, None),
            };
            if let Some(length) = length.filter(|length| got.len() >= head + length) {
                let payload = got[head..head + length].to_vec();
                let opcode = got[0] & 0xF;
                self.received.drain(..head + length);
                return Ok((opcode, payload));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let mut some = [0; 1024];
        let got = self.stream.read(&mut some).await?;
        ensure!(got > 0, "the server closed the connection");
        self.received.extend_from_slice(&some[..got]);
        Ok(())
    }
}
