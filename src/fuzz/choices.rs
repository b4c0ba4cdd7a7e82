//! Bytes as a source of choices. Owns how many bytes a choice takes, so that a small change of an input is a small change
//! of what is done with it.

use rand::TryRng;
use std::convert::Infallible;

/// Gives an input's bytes as random numbers, two bytes each; zeros when they are used up.
pub(super) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Choices(bytes)
    }

    /// Whether all bytes are used up.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> u16 {
        let mut two = [0; 2];
        self.take(&mut two);
        u16::from_be_bytes(two)
    }

    fn take(&mut self, to: &mut [u8]) {
        let n = to.len().min(self.0.len());
        let (now, later) = self.0.split_at(n);
        to[..n].copy_from_slice(now);
        self.0 = later;
    }
}

/// A number in a range is drawn from the upper bits, so two bytes decide.
impl TryRng for Choices<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from(self.next()) << 16)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.next()) << 48)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.take(to);
        Ok(())
    }
}
