//! A watch on the frames of a socket, between the stream and tungstenite. Owns the limits that tungstenite has not:
//! fragments of a message, control frames a minute, and a budget for large messages that is asked before a byte of one is
//! buffered (CH-2, control 14). Reads frame headers only; never payloads.
//!
//! Invariant: bytes reach tungstenite only if the frame that they belong to is within all limits.

use super::ports::CloseReason;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The time over which control frames are counted.
const CONTROL_WINDOW: Duration = Duration::from_secs(60);

/// The largest header of a frame from a client: two bytes, eight of length, four of mask.
const HEADER_MAX: usize = 14;

/// What one socket may send.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// Bytes of one message.
    pub message: usize,
    /// Bytes of a message that need no budget.
    pub small: usize,
    /// Fragments of one message.
    pub fragments: u32,
    /// Control frames a minute.
    pub control: u32,
}

/// Bytes that all large messages together may take.
#[derive(Debug)]
pub struct Budget {
    total: AtomicUsize,
    taken: AtomicUsize,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Budget { total: AtomicUsize::new(bytes), taken: AtomicUsize::new(0) }
    }

    /// Makes it another size. What is taken stays so, also where it is more.
    pub fn resize(&self, bytes: usize) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    /// What is left of it.
    pub fn left(&self) -> usize {
        self.total.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }
}

impl Share {
    /// Grows the share to `bytes`, if there is so much.
    fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let total = self.budget.total.load(Ordering::Relaxed);
        let fits = |taken: usize| taken.checked_add(more).filter(|all| *all <= total);
        let taken = self.budget.taken.try_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The header being read, or the payload being passed.
#[derive(Debug)]
enum Place {
    Header { bytes: [u8; HEADER_MAX], have: usize },
    Payload { left: u64 },
}

/// The watch.
#[derive(Debug)]
pub struct Watch {
    limits: FrameLimits,
    share: Share,
    place: Place,
    /// Fragments so far of a message that is not complete.
    fragments: u32,
    message: u64,
    control: u32,
    control_since: Instant,
    /// Messages and control frames that are complete.
    items: u64,
    /// Whether the frame in hand completes one.
    completes: bool,
    /// Whether it is a data frame.
    carries_data: bool,
    progress: Progress,
}

/// How far a charger has come with its messages: what tells a slow one from a stalled one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Payload bytes of messages so far.
    pub bytes: u64,
    /// Messages that are complete.
    pub messages: u64,
    /// Whether one has begun and is not complete.
    pub unfinished: bool,
}

const START: Place = Place::Header { bytes: [0; HEADER_MAX], have: 0 };

impl Watch {
    /// A watch over a new connection.
    pub fn new(limits: FrameLimits, budget: Arc<Budget>) -> Self {
        Watch {
            limits,
            share: Share { budget, bytes: 0 },
            place: START,
            fragments: 0,
            message: 0,
            control: 0,
            control_since: Instant::now(),
            items: 0,
            completes: false,
            carries_data: false,
            progress: Progress::default(),
        }
    }

    /// Whether nothing is in hand: every byte so far belongs to one of [`Watch::items`].
    fn at_boundary(&self) -> bool {
        matches!(self.place, Place::Header { have: 0, .. }) && self.fragments == 0
    }

    /// Passes bytes.
    ///
    /// # Errors
    /// The limit that they break.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), CloseReason> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Payload { left } => {
                    let n = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= n as u64;
                    let ended = *left == 0;
                    bytes = &bytes[n..];
                    if self.carries_data {
                        self.progress.bytes += n as u64;
                    }
                    if ended {
                        self.end_frame();
                    }
                }
                Place::Header { bytes: header, have } => {
                    header[*have] = bytes[0];
                    *have += 1;
                    bytes = &bytes[1..];
                    if *have >= 2 && *have == header_length(header[1]) {
                        let (header, have) = (*header, *have);
                        self.begin_frame(&header[..have])?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self, header: &[u8]) -> Result<(), CloseReason> {
        let (first, second) = (header[0], header[1]);
        let (fin, opcode, masked) = (first & 0x80 != 0, first & 0x0f, second & 0x80 != 0);
        if first & 0x70 != 0 || !masked {
            return Err(CloseReason::Protocol);
        }
        let length = payload_length(header);
        if opcode >= 8 {
            self.control_frame(fin, length)?;
        } else {
            self.data_frame(fin, opcode, length)?;
        }
        self.carries_data = opcode < 8;
        self.completes = opcode >= 8 || fin;
        self.place = Place::Payload { left: length };
        if length == 0 {
            self.end_frame();
        }
        Ok(())
    }

    fn control_frame(&mut self, fin: bool, length: u64) -> Result<(), CloseReason> {
        if !fin || length > 125 {
            return Err(CloseReason::Protocol);
        }
        if self.control_since.elapsed() >= CONTROL_WINDOW {
            self.control = 0;
            self.control_since = Instant::now();
        }
        self.control += 1;
        if self.control > self.limits.control {
            return Err(CloseReason::ControlFlood);
        }
        Ok(())
    }

    fn data_frame(&mut self, fin: bool, opcode: u8, length: u64) -> Result<(), CloseReason> {
        if (opcode == 0) != (self.fragments > 0) {
            return Err(CloseReason::Protocol);
        }
        self.fragments += 1;
        if self.fragments > self.limits.fragments {
            return Err(CloseReason::Fragments);
        }
        self.message = self.message.saturating_add(length);
        let message = usize::try_from(self.message).unwrap_or(usize::MAX);
        if message > self.limits.message {
            return Err(CloseReason::TooBig);
        }
        if message > self.limits.small && !self.share.grow(message) {
            return Err(CloseReason::NoBudget);
        }
        if fin {
            (self.fragments, self.message) = (0, 0);
        }
        Ok(())
    }

    fn end_frame(&mut self) {
        self.place = START;
        self.items += u64::from(self.completes);
        self.progress.messages += u64::from(self.completes && self.carries_data);
    }
}

/// How long a header with this second byte is.
fn header_length(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    if second & 0x80 != 0 { length + 4 } else { length }
}

fn payload_length(header: &[u8]) -> u64 {
    let wide = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    match header[1] & 0x7f {
        126 => wide(&header[2..4]),
        127 => wide(&header[2..10]),
        n => u64::from(n),
    }
}

/// A stream under watch.
#[derive(Debug)]
pub struct Guarded<S> {
    inner: S,
    watch: Watch,
    broken: Option<CloseReason>,
}

impl<S> Guarded<S> {
    /// Puts a stream under watch. `first` are bytes of it that were read before.
    ///
    /// # Errors
    /// The limit that those break.
    pub fn new(inner: S, mut watch: Watch, first: &[u8]) -> Result<Self, CloseReason> {
        watch.pass(first)?;
        Ok(Guarded { inner, watch, broken: None })
    }

    /// The limit that was broken, if one was.
    pub fn broken(&self) -> Option<CloseReason> {
        self.broken
    }

    /// Whether everything that was read belongs to the first `items` messages and control frames.
    pub fn is_drained(&self, items: u64) -> bool {
        self.watch.at_boundary() && self.watch.items == items
    }

    /// Gives back the share of the budget that messages took which are done with by now.
    pub fn give_back(&mut self) {
        if self.watch.share.bytes > 0 && self.watch.at_boundary() {
            let budget = self.watch.share.budget.clone();
            self.watch.share = Share { budget, bytes: 0 };
        }
    }

    /// How far the charger has come with its messages.
    pub fn progress(&self) -> Progress {
        let watch = &self.watch;
        let in_data = matches!(watch.place, Place::Payload { .. }) && watch.carries_data;
        Progress { unfinished: watch.fragments > 0 || in_data, ..watch.progress }
    }

    /// The stream itself.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.broken.is_some() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut me.inner).poll_read(cx, buf))?;
        if let Err(reason) = me.watch.pass(&buf.filled()[before..]) {
            me.broken = Some(reason);
            buf.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { message: 1000, small: 100, fragments: 4, control: 10 };

    fn watch(budget: usize) -> Watch {
        Watch::new(LIMITS, Arc::new(Budget::new(budget)))
    }

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut out = vec![first];
        match length {
            0..=125 => out.push(0x80 | length as u8),
            _ => out.extend([0x80 | 126, (length >> 8) as u8, length as u8]),
        }
        out.extend([1, 2, 3, 4]);
        out.extend(vec![b'x'; length]);
        out
    }

    #[tokio::test]
    async fn frames_are_counted_however_they_are_cut() {
        let bytes = [frame(0x81, 20), frame(0x89, 3), frame(0x01, 5), frame(0x89, 0), frame(0x80, 300)].concat();
        for step in 1..bytes.len() {
            let mut watch = watch(1000);
            for chunk in bytes.chunks(step) {
                assert_eq!(watch.pass(chunk), Ok(()), "{step}");
            }
            assert!(watch.at_boundary() && watch.items == 4, "{step}: {watch:?}");
        }
    }

    #[tokio::test]
    async fn progress_counts_messages_and_not_pings() {
        let bytes = [frame(0x81, 20), frame(0x01, 5), frame(0x89, 9), frame(0x80, 8)].concat();
        let at = |end: usize| Guarded::new((), watch(1000), &bytes[..end]).unwrap().progress();
        assert_eq!(at(16), Progress { bytes: 10, messages: 0, unfinished: true });
        assert_eq!(at(26), Progress { bytes: 20, messages: 1, unfinished: false });
        assert_eq!(at(37 + 12), Progress { bytes: 25, messages: 1, unfinished: true });
        assert_eq!(at(bytes.len()), Progress { bytes: 33, messages: 2, unfinished: false });
    }

    #[tokio::test]
    async fn every_limit_is_told_apart() {
        let huge = [0x82, 0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        for (bytes, reason) in [
            (frame(0xc1, 5), CloseReason::Protocol),
            (vec![0x81, 5, b'h', b'e', b'l', b'l', b'o'], CloseReason::Protocol),
            (frame(0x80, 5), CloseReason::Protocol),
            ([frame(0x01, 5), frame(0x81, 5)].concat(), CloseReason::Protocol),
            (frame(0x09, 5), CloseReason::Protocol),
            (frame(0x89, 126), CloseReason::Protocol),
            (frame(0x81, 1001), CloseReason::TooBig),
            ([frame(0x01, 600), frame(0x80, 600)].concat(), CloseReason::TooBig),
            (huge.to_vec(), CloseReason::TooBig),
            (frame(0x81, 801), CloseReason::NoBudget),
            ([frame(0x01, 0), frame(0, 0).repeat(10_000)].concat(), CloseReason::Fragments),
            (frame(0x89, 0).repeat(11), CloseReason::ControlFlood),
        ] {
            assert_eq!(watch(800).pass(&bytes), Err(reason), "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    #[tokio::test]
    async fn the_budget_is_asked_at_the_header_and_given_back() {
        let budget = Arc::new(Budget::new(1500));
        let mut first = Watch::new(LIMITS, budget.clone());
        assert_eq!(first.pass(&frame(0x81, 900)[..8]), Ok(()));
        assert_eq!(budget.left(), 600);
        let mut second = Watch::new(LIMITS, budget.clone());
        assert_eq!(second.pass(&frame(0x81, 900)), Err(CloseReason::NoBudget));
        drop((first, second));
        assert_eq!(budget.left(), 1500);
        let mut guarded = Guarded::new((), Watch::new(LIMITS, budget.clone()), &frame(0x81, 900)).unwrap();
        assert_eq!(guarded.progress(), Progress { bytes: 900, messages: 1, unfinished: false });
        assert!(guarded.is_drained(1) && budget.left() == 600);
        guarded.give_back();
        assert_eq!(budget.left(), 1500);
    }
}
