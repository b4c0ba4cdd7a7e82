//! A charger's byte stream, plain or through TLS, that can change the thread it lives on. Owns the change; never a byte.
//!
//! The handshake runs beside the arbiters and the socket on one of them: the TCP socket is taken out of the first runtime
//! and put into the second, under the TLS session, which stays as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A TCP socket, in a runtime or between two.
#[derive(Debug)]
pub(crate) enum Line {
    /// In the runtime of this thread.
    Live(TcpStream),
    /// Between two.
    Parked(std::net::TcpStream),
    /// No socket at all: bytes in memory, for simulations (see [`super::memory`]).
    #[cfg(any(test, feature = "testing"))]
    Memory(tokio::io::DuplexStream),
    /// It could not be moved.
    Lost,
}

/// What a charger is reached by.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Without TLS (profiles 0 and 1).
    Plain(Line),
    /// With TLS (profiles 2 and 3). Boxed, so that a plain connection costs no more.
    Tls(Box<TlsStream<Line>>),
}

impl Line {
    fn turn(&mut self, how: impl FnOnce(Line) -> io::Result<Line>) -> io::Result<()> {
        *self = how(std::mem::replace(self, Line::Lost))?;
        Ok(())
    }
}

/// Polls what the line is made of.
macro_rules! poll_line {
    ($line:expr, $stream:ident => $poll:expr) => {
        match &mut *$line {
            Line::Live($stream) => $poll,
            #[cfg(any(test, feature = "testing"))]
            Line::Memory($stream) => $poll,
            Line::Parked(_) | Line::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl Stream {
    fn line(&mut self) -> &mut Line {
        match self {
            Stream::Plain(line) => line,
            Stream::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Takes the socket out of this thread's runtime.
    ///
    /// # Errors
    /// When the operating system refuses; the connection is over then.
    pub(crate) fn park(&mut self) -> io::Result<()> {
        self.line().turn(|line| match line {
            Line::Live(stream) => {
                stream.set_nodelay(true)?;
                stream.into_std().map(Line::Parked)
            }
            other => Ok(other),
        })
    }

    /// Puts the socket into this thread's runtime.
    ///
    /// # Errors
    /// As [`Stream::park`].
    pub(crate) fn wake(&mut self) -> io::Result<()> {
        self.line().turn(|line| match line {
            Line::Parked(stream) => TcpStream::from_std(stream).map(Line::Live),
            other => Ok(other),
        })
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll_line!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        poll_line!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_line!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_line!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(line) => Pin::new(line).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(line) => Pin::new(line).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(line) => Pin::new(line).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(line) => Pin::new(line).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
