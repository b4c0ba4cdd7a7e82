//! The arguments of `chargeline admin charger messages` and `session messages`.

use super::PageArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Which OCPP frames, and where to.
#[derive(Debug, Default, ClapArgs)]
pub struct MessageArgs {
    /// From when on (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Until when (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Calls of this action, such as BootNotification, and their answers.
    #[arg(long)]
    action: Option<String>,
    /// Frames with this text in them.
    #[arg(long)]
    text: Option<String>,
    /// Which come first.
    #[arg(long, value_parser = ["newest", "oldest"])]
    order: Option<String>,
    /// Write all of them to this file, one JSON object a line, instead of showing a page.
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    pub(in crate::api::cli) file: Option<PathBuf>,
    /// Which part.
    #[command(flatten)]
    page: PageArgs,
}

impl MessageArgs {
    /// The path with this query.
    pub(in crate::api::cli) fn after(&self, path: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let members = [
            ("from", &self.from),
            ("to", &self.to),
            ("action", &self.action),
            ("text", &self.text),
            ("order", &self.order),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        self.page.after_query(path, query)
    }
}
