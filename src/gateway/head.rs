//! The head of an upgrade request. Owns reading it within limits and the canonical charger id in its path (controls 2
//! and 13); never who may connect.

use super::credentials::Login;
use crate::ids::ChargerId;
use crate::protocol::ocpp16;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use tokio_tungstenite::tungstenite::handshake::server::create_response;

/// The path before the charger id.
const PREFIX: &str = "/ocpp/";

/// Headers that are looked at; all others are dropped at once.
const WANTED: [&str; 6] =
    ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "sec-websocket-protocol", "authorization"];

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP/1.1, or no WebSocket handshake.
    #[error("not a WebSocket handshake")]
    Bad,
    /// More bytes or headers than allowed.
    #[error("the request head is too large")]
    TooLarge,
    /// Not the path of a charger.
    #[error("no such path")]
    NotFound,
}

/// An upgrade request that is well formed.
#[derive(Debug)]
pub struct Head {
    /// Who it claims to be.
    pub charger: ChargerId,
    /// The basic login, if one is presented.
    pub login: Option<Login>,
    /// The sub-protocol that both sides speak, if any.
    pub subprotocol: Option<&'static str>,
    /// The answer to its `Sec-WebSocket-Key`.
    accept: HeaderValue,
    /// How many bytes the head has.
    pub length: usize,
}

/// Reads a head from the bytes received so far; `None` if it is not complete.
///
/// # Errors
/// When it cannot become a good head any more.
pub fn read(bytes: &[u8], bytes_max: usize, headers_max: usize) -> Result<Option<Head>, HeadError> {
    let mut slots = vec![httparse::EMPTY_HEADER; headers_max];
    let mut request = httparse::Request::new(&mut slots);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= bytes_max => length,
        Ok(httparse::Status::Partial) if bytes.len() < bytes_max => return Ok(None),
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => return Err(HeadError::TooLarge),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Bad),
    };
    let charger = charger_in(request.path.unwrap_or_default()).ok_or(HeadError::NotFound)?;
    if request.method != Some("GET") || request.version != Some(1) {
        return Err(HeadError::Bad);
    }
    let headers = wanted(request.headers)?;
    let accept = accept(&headers)?;
    let login = headers.get("authorization").map(|value| Login::read(value.as_bytes()));
    Ok(Some(Head {
        charger,
        // A login that cannot be read is a wrong one, not none.
        login: login.map(|login| login.unwrap_or_else(Login::unreadable)),
        subprotocol: subprotocol(&headers),
        accept,
        length,
    }))
}

/// The charger id of a path: exactly `/ocpp/{id}`, percent-decoded once, then of an id's alphabet (control 2).
fn charger_in(path: &str) -> Option<ChargerId> {
    let raw = path.strip_prefix(PREFIX)?;
    percent_encoding::percent_decode_str(raw).decode_utf8().ok()?.parse().ok()
}

/// The headers that matter. One of them given twice is refused, but for the list of sub-protocols.
fn wanted(raw: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(8);
    for header in raw {
        let Some(name) = WANTED.iter().find(|known| known.eq_ignore_ascii_case(header.name)) else { continue };
        let value = HeaderValue::from_bytes(header.value).map_err(|_| HeadError::Bad)?;
        let name = HeaderName::from_static(name);
        if headers.contains_key(&name) && name != "sec-websocket-protocol" && name != "connection" {
            return Err(HeadError::Bad);
        }
        headers.append(name, value);
    }
    Ok(headers)
}

/// Checks the handshake and answers its key, both by tungstenite.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, HeadError> {
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers.clone();
    let mut response = create_response(&request).map_err(|_| HeadError::Bad)?;
    response.headers_mut().remove("sec-websocket-accept").ok_or(HeadError::Bad)
}

/// The first sub-protocol offered that we speak (RFC 6455 §4.2.2, OCPP-J 1.6 §3.2).
fn subprotocol(headers: &HeaderMap) -> Option<&'static str> {
    let offered = headers.get_all("sec-websocket-protocol").into_iter().filter_map(|value| value.to_str().ok());
    let mut names = offered.flat_map(|list| list.split(',')).map(str::trim);
    names.find(|name| *name == ocpp16::SUBPROTOCOL).map(|_| ocpp16::SUBPROTOCOL)
}

impl Head {
    /// The bytes that complete the upgrade. Names are in the usual case: some chargers compare them so.
    pub fn response(&self) -> Vec<u8> {
        let mut out = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_vec();
        out.extend_from_slice(b"Sec-WebSocket-Accept: ");
        out.extend_from_slice(self.accept.as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(subprotocol) = self.subprotocol {
            out.extend_from_slice(format!("Sec-WebSocket-Protocol: {subprotocol}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// A refusal. Nothing in it depends on who asked (control 7).
pub fn refusal(status: &str, header: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    }

    fn parse(text: &str) -> Result<Option<Head>, HeadError> {
        read(text.as_bytes(), 8192, 64)
    }

    #[test]
    fn a_good_head_is_read_and_answered() {
        let text = request("/ocpp/CP%2D1", "Sec-WebSocket-Protocol: ocpp2.0.1, ocpp1.6\r\n");
        let head = parse(&format!("{text}rest")).unwrap().unwrap();
        assert_eq!((head.charger.as_str(), head.subprotocol, head.length), ("CP-1", Some("ocpp1.6"), text.len()));
        assert!(head.login.is_none());
        let response = String::from_utf8(head.response()).unwrap();
        assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{response}");
        assert!(response.contains("\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"));
    }

    #[test]
    fn paths_that_are_not_exactly_a_charger_are_not_found() {
        for path in [
            "/",
            "/ocpp",
            "/ocpp/",
            "/ocpp/a/",
            "/ocpp/a/b",
            "/OCPP/a",
            "//ocpp/a",
            "/ocpp/a?x",
            "/ocpp/%2e%2e",
            "/ocpp/a%2eb",
            "/ocpp/%2561",
            "/ocpp/a%00",
            "/ocpp/%D0%A1P-1",
            "/ocpp/a%2Fb",
            "/ocpp/a*",
            "/ocpp/../ocpp/a",
            "http://x/ocpp/a",
        ] {
            assert_eq!(parse(&request(path, "")).err(), Some(HeadError::NotFound), "{path}");
        }
    }

    #[test]
    fn heads_beyond_the_limits_are_refused_before_they_end() {
        let many: String = (0..70).map(|n| format!("x{n}: y\r\n")).collect();
        assert_eq!(parse(&request("/ocpp/a", &many)).err(), Some(HeadError::TooLarge));
        let long = format!("x: {}\r\n", "y".repeat(9000));
        assert_eq!(parse(&request("/ocpp/a", &long)).err(), Some(HeadError::TooLarge));
        let endless = format!("GET /ocpp/a HTTP/1.1\r\nx: {}", "y".repeat(9000));
        assert_eq!(parse(&endless).err(), Some(HeadError::TooLarge));
    }

    #[test]
    fn what_is_no_handshake_is_bad_and_what_is_not_complete_waits() {
        for text in [
            request("/ocpp/a", "").replace("GET", "POST"),
            request("/ocpp/a", "").replace("HTTP/1.1", "HTTP/1.0"),
            request("/ocpp/a", "").replace("Upgrade: websocket\r\n", ""),
            request("/ocpp/a", "").replace("13", "8"),
            request("/ocpp/a", "").replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            request("/ocpp/a", "Authorization: Basic QTpC\r\nAuthorization: Basic QTpC\r\n"),
            "\x16\x03\x01\x02\x00\x01\x00".to_owned(),
        ] {
            assert_eq!(parse(&text).err(), Some(HeadError::Bad), "{text}");
        }
        let whole = request("/ocpp/a", "");
        for end in 0..whole.len() {
            assert!(matches!(parse(&whole[..end]), Ok(None)), "{end}");
        }
    }

    #[test]
    fn no_common_sub_protocol_is_none() {
        for offered in ["", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n", "Sec-WebSocket-Protocol: ocpp1.6j, OCPP1.6\r\n"] {
            assert_eq!(parse(&request("/ocpp/a", offered)).unwrap().unwrap().subprotocol, None, "{offered}");
        }
    }
}
