//! The arguments of `chargeline admin partner application …` (EM-1). Owns names, help texts, and the calls they become.

use super::PageArgs;
use crate::api::cli::Task;
use crate::domain::access::Scope;
use crate::ids::{PartnerId, SiteId};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

/// Applications of those who want to become partners.
#[derive(Debug, Subcommand)]
pub enum Application {
    /// Lists them.
    List {
        /// Of one stage only: waiting, returned, approved, refused or withdrawn.
        #[arg(long)]
        stage: Option<String>,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one, with its contacts.
    Show {
        /// Which.
        id: PartnerId,
    },
    /// Makes a partner of the applicant, who takes the credentials itself.
    Approve {
        /// Which.
        id: PartnerId,
        /// What it may see and do.
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Sends it back to be amended.
    Return {
        /// Which.
        id: PartnerId,
        /// What has to be amended: the applicant reads it.
        #[arg(long)]
        reason: String,
    },
    /// Refuses it.
    Refuse {
        /// Which.
        id: PartnerId,
        /// Why: the applicant reads it.
        #[arg(long)]
        reason: String,
    },
}

/// What a new partner may see and do.
#[derive(Debug, ClapArgs)]
pub struct GrantArgs {
    /// Sites visible to it, separated by commas; all without.
    #[arg(long, value_delimiter = ',')]
    sites: Option<Vec<SiteId>>,
    /// What its first key may do, separated by commas; what it asked for without.
    #[arg(long, value_delimiter = ',')]
    scopes: Option<Vec<Scope>>,
    /// Its users have accounts here.
    #[arg(long)]
    accounts: bool,
}

impl Application {
    /// The call.
    pub(in crate::api::cli) fn task(self) -> Task {
        let path = |id: &PartnerId, tail: &str| format!("/applications/{id}{tail}");
        match self {
            Application::List { stage, page } => {
                let mut listed = page.after("/applications");
                if let Some(stage) = stage {
                    let joint = if listed.contains('?') { '&' } else { '?' };
                    let stage: String = url::form_urlencoded::byte_serialize(stage.as_bytes()).collect();
                    listed.push_str(&format!("{joint}stage={stage}"));
                }
                Task::get(listed, "{count} applications")
            }
            Application::Show { id } => Task::get(path(&id, ""), "{company}: {stage}"),
            Application::Approve { id, grant: GrantArgs { sites, scopes, accounts } } => {
                let sites = sites.map_or_else(|| json!("all"), |sites| json!(sites));
                let body = json!({"sites": sites, "scopes": scopes, "accounts": accounts});
                Task::send(
                    "POST",
                    path(&id, "/approve"),
                    body,
                    "partner {partner_id} made; it takes its credentials itself",
                )
            }
            Application::Return { id, reason } => {
                Task::send("POST", path(&id, "/return"), json!({"reason": reason}), "sent back to be amended")
            }
            Application::Refuse { id, reason } => {
                Task::send("POST", path(&id, "/refuse"), json!({"reason": reason}), "refused")
            }
        }
    }
}
