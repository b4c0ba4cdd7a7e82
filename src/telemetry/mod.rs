//! What operators and SREs see of the process: metrics, logs, traces. Owns names, help texts and labels; never a rule.

pub mod exporter;
#[cfg(test)]
pub(crate) mod heard;
pub mod logs;
pub mod metrics;
pub mod redact;
pub mod stages;
