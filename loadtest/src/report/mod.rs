//! Reports of runs: what is looked at while they last, and one self-contained HTML page with the verdict, the machine and
//! plots. Owns looking and drawing; never judges.

mod machine;
mod page;
mod plot;
mod process;
mod sampler;
mod scrape;
mod standard;
mod timeline;

pub use machine::Machine;
pub use page::{Judged, Page, Table};
pub use plot::{Line, Plot, Scale, Unit};
pub use process::{disk_bytes, listening_at};
pub use sampler::{LOOK_EVERY, Recorded, Sample, Sampler, Series, Watched};
pub use standard::{latency_table, sections};
pub use timeline::{Point, Timeline};
