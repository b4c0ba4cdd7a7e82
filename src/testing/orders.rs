//! The rig's side of [`super::points`]: orders to a process at its named places. Owns the file of orders, written so that the
//! process never reads half of it.

use super::points;
use std::io;
use std::path::{Path, PathBuf};

/// One order, to ask after and to withdraw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(String);

/// The file of orders for one process, across its lives.
#[derive(Debug, Clone)]
pub struct Orders(PathBuf);

impl Orders {
    /// None yet. The process finds them by the variable [`points::VARIABLE`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(file: PathBuf) -> io::Result<Self> {
        std::fs::write(&file, "")?;
        Ok(Orders(file))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// At the place `name`, where its detail begins with `detail` (`*`: any): `what`, after `skip` hits, `times` times.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn give(&self, name: &str, detail: &str, what: &str, skip: u64, times: u64) -> io::Result<Order> {
        let before = points::lines(&self.0);
        // What has acted is counted by line: two equal lines would share it.
        let order = format!("{name} {detail} {what} {skip} {times} {}", before.lines().count());
        self.replace(&format!("{before}{order}\n"))?;
        Ok(Order(order))
    }

    /// This one no more: what is held by it goes on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn withdraw(&self, order: &Order) -> io::Result<()> {
        // The number of lines stands for their names: keep it.
        let left = points::lines(&self.0)
            .lines()
            .map(|line| if line == order.0 { "-\n".into() } else { format!("{line}\n") })
            .collect::<String>();
        self.replace(&left)
    }

    /// None any more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn withdraw_all(&self) -> io::Result<()> {
        self.replace(&"-\n".repeat(points::lines(&self.0).lines().count()))
    }

    /// How often places have acted.
    pub fn hits(&self) -> u64 {
        points::lines(&points::hits(&self.0)).lines().count() as u64
    }

    /// How often this one has.
    pub fn acted(&self, order: &Order) -> u64 {
        points::acted(&self.0, &order.0)
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let next = self.0.with_extension("next");
        std::fs::write(&next, text)?;
        std::fs::rename(next, &self.0)
    }
}
