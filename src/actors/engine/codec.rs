//! How a step and a snapshot are written down. Owns the versioned JSON envelopes of the engine; the store has its own
//! around them.
//!
//! Invariant: a reader knows every version that any build has written (RT-6); members are only ever added with a default.

use crate::domain::entity::Family;
use serde::{Deserialize, Serialize};

/// The version written now.
const VERSION: u16 = 1;

/// Why stored bytes are no step or snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not the JSON that this build can read.
    #[error("unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Written by a newer build.
    #[error("format {0} is newer than this build reads ({VERSION})")]
    Newer(u16),
}

/// The events of one step: per entity, in the order decided.
pub type StepEvents<F> = Vec<(<F as Family>::Key, Vec<<F as Family>::Event>)>;

/// All entities' states of a partition.
pub type States<F> = Vec<(<F as Family>::Key, <F as Family>::State)>;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u16,
    b: T,
}

fn write<T: Serialize>(body: T) -> Result<Vec<u8>, CodecError> {
    Ok(serde_json::to_vec(&Versioned { v: VERSION, b: body })?)
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    #[derive(Deserialize)]
    struct Version {
        v: u16,
    }
    match serde_json::from_slice::<Versioned<T>>(bytes) {
        Ok(read) if read.v <= VERSION => Ok(read.b),
        Ok(read) => Err(CodecError::Newer(read.v)),
        Err(error) => match serde_json::from_slice::<Version>(bytes) {
            Ok(version) if version.v > VERSION => Err(CodecError::Newer(version.v)),
            Ok(_) | Err(_) => Err(error.into()),
        },
    }
}

/// Writes a step.
///
/// # Errors
/// When a member cannot be JSON; a defect of the rules.
pub fn write_step<F: Family>(events: &[(F::Key, Vec<F::Event>)]) -> Result<Vec<u8>, CodecError> {
    write(events)
}

/// Reads a step.
///
/// # Errors
/// When the bytes are none.
pub fn read_step<F: Family>(bytes: &[u8]) -> Result<StepEvents<F>, CodecError> {
    read(bytes)
}

/// Writes a snapshot.
///
/// # Errors
/// When a member cannot be JSON; a defect of the rules.
pub fn write_states<F: Family>(states: &[(&F::Key, &F::State)]) -> Result<Vec<u8>, CodecError> {
    write(states)
}

/// Reads a snapshot.
///
/// # Errors
/// When the bytes are none.
pub fn read_states<F: Family>(bytes: &[u8]) -> Result<States<F>, CodecError> {
    read(bytes)
}
