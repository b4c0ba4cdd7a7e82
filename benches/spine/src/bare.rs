//! What a server costs that does nothing but answer: tokio-tungstenite with the buffers of the product, which parses each
//! call and answers boots and heartbeats from memory. Only a thing to measure against.

use futures_util::{SinkExt, StreamExt};
use loadtest::time::{now_ms, rfc3339};
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Serves at `address` for ever, on as many threads as the product.
pub(crate) fn serve(address: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream));
        }
    })
}

#[allow(clippy::result_large_err, reason = "the library's own signature")]
async fn connection(stream: TcpStream) {
    let config = WebSocketConfig::default().read_buffer_size(512).write_buffer_size(0);
    let protocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async_with_config(stream, protocol, Some(config)).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Ok((2, id, action, _)) = serde_json::from_str::<(u8, &str, &str, &RawValue)>(&text) else { continue };
        let now = rfc3339(now_ms());
        let answer = match action {
            "Heartbeat" => format!(r#"[3,"{id}",{{"currentTime":"{now}"}}]"#),
            "BootNotification" => {
                format!(r#"[3,"{id}",{{"currentTime":"{now}","interval":300,"status":"Accepted"}}]"#)
            }
            _ => format!(r#"[4,"{id}","NotImplemented","",{{}}]"#),
        };
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}
