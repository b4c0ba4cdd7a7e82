//! How a server is brought down. Owns the contract between the rounds, which keep the world going and judge, and what strikes;
//! and the plainest of blows.

use crate::server::Server;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Brings a server down, round by round.
pub trait Blow {
    /// Once, before the server starts for the first time.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    fn prepare(&mut self, server: &mut Server) -> anyhow::Result<()>;

    /// One round: waits for its moment (`moment` ends at any, or at one at which money is on its way), brings the server down
    /// and leaves it so that it can start. Gives how often it was brought down.
    ///
    /// # Errors
    /// When it cannot be brought down, or the place it lives in cannot be made ready again.
    fn strike(
        &mut self,
        server: &mut Server,
        moment: impl Future<Output = ()>,
    ) -> impl Future<Output = anyhow::Result<u32>>;

    /// The server is ready again after `took`. Gives what is wrong.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn back(&mut self, server: &mut Server, took: Duration) -> impl Future<Output = anyhow::Result<Vec<String>>>;
}

/// SIGKILL, now and then a second one in the middle of the recovery.
#[derive(Debug)]
pub struct Sigkill(SmallRng);

impl Sigkill {
    /// What is drawn follows from the seed.
    pub fn new(seed: u64) -> Self {
        Sigkill(SmallRng::seed_from_u64(seed.wrapping_add(1)))
    }
}

impl Blow for Sigkill {
    fn prepare(&mut self, _: &mut Server) -> anyhow::Result<()> {
        Ok(())
    }

    async fn strike(&mut self, server: &mut Server, moment: impl Future<Output = ()>) -> anyhow::Result<u32> {
        moment.await;
        server.kill().await?;
        if !self.0.random_ratio(1, 10) {
            return Ok(1);
        }
        server.start()?;
        tokio::time::sleep(Duration::from_millis(self.0.random_range(0..200))).await;
        server.kill().await?;
        Ok(2)
    }

    async fn back(&mut self, _: &mut Server, _: Duration) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}
