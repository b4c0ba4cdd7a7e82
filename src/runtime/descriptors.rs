//! The process's descriptors (fault J13): how many there are, and who may take them. Owns the limit; never a socket.
//!
//! One socket too many must not cost the journal a file, an operator the way in or a partner an answer. So every kind of
//! caller has a share, and whoever comes beyond it is turned away by those who listen.

use super::ServeError;
use crate::api::server::OPERATOR_CONNECTIONS_MAX;
use crate::config::Config;
use crate::gateway::listener::{REFUSALS_MAX, Room};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The journal's files and the logs', listeners, readers of metrics and of messages, a backup under way.
const FILES: usize = 96;

/// A thread's poller, and what wakes it.
const OF_A_THREAD: usize = 8;

/// One of so many of the rest is the most that partners have, operators, calls to partners' endpoints, and chargers that are
/// being turned away; each.
const PART: usize = 16;

/// Fewer than this of the rest are not worth a start.
const REST_LEAST: usize = 4 * PART;

/// What is asked for where the system sets no bound, and where it takes no more than its own.
const ASKED: [u64; 2] = [1 << 20, 10_240];

/// Who may have how many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) chargers: Room,
    pub(super) partners: usize,
    pub(super) operators: usize,
}

/// The shares of `limit` descriptors where so many of each are wanted; how many would do, if these do not.
fn shares(limit: usize, threads: usize, [chargers, partners]: [usize; 2]) -> Result<Shares, usize> {
    let own = FILES + threads * OF_A_THREAD;
    let Some(rest) = limit.checked_sub(own).filter(|rest| *rest >= REST_LEAST) else { return Err(own + REST_LEAST) };
    let part = rest / PART;
    let [partners, operators] = [partners, OPERATOR_CONNECTIONS_MAX].map(|wanted| wanted.min(part));
    let refusals = REFUSALS_MAX.min(part);
    let connections = chargers.min(rest - part - partners - operators - refusals);
    Ok(Shares { chargers: Room { connections, refusals }, partners, operators })
}

/// Raises the limit as far as the system lets us, and shares out what there is.
///
/// # Errors
/// When that is too little to serve with.
pub(super) fn share_out(config: &Config) -> Result<Shares, ServeError> {
    let limit = raised();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wanted = config.gateway.connections_max;
    let shares = shares(limit, threads, [wanted, config.api.connections_max]).map_err(|least| {
        ServeError::Start(format!(
            "this process may have {limit} files and sockets open; {least} are needed at least (`ulimit -n`, LimitNOFILE= of systemd)"
        ))
    })?;
    let most = shares.chargers.connections;
    if most < wanted {
        tracing::warn!(
            limit,
            most,
            wanted,
            "fewer chargers can be connected than gateway.connections_max: the limit of open files is too low"
        );
    }
    Ok(shares)
}

fn raised() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    for asked in ASKED.map(|asked| maximum.map_or(asked, |maximum| maximum.min(asked))) {
        let higher = current.is_some_and(|current| current < asked);
        if higher && setrlimit(Resource::Nofile, Rlimit { current: Some(asked), maximum }).is_ok() {
            return usize::try_from(asked).unwrap_or(usize::MAX);
        }
    }
    current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_share_and_the_journal_its_own() {
        let defaults = [50_000, 4_096];
        for (limit, chargers, refusals, partners, operators) in [
            (usize::MAX, 50_000, 256, 4_096, 256),
            (1 << 20, 50_000, 256, 4_096, 256),
            (20_000, 16_890, 256, 1_243, 256),
            (1_024, 684, 57, 57, 57),
            (256, 108, 9, 9, 9),
            (176, 48, 4, 4, 4),
        ] {
            let shared = Shares { chargers: Room { connections: chargers, refusals }, partners, operators };
            assert_eq!(shares(limit, 2, defaults), Ok(shared), "{limit}");
        }
        assert_eq!(shares(175, 2, defaults), Err(176));
        assert_eq!(shares(176, 64, defaults), Err(672), "many threads have many pollers");
        let few = shares(20_000, 2, [100, 10]).unwrap();
        assert_eq!((few.chargers.connections, few.partners), (100, 10), "not more than is wanted");
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let limit = raised();
        assert_eq!(raised(), limit);
        assert!(limit as u64 >= getrlimit(Resource::Nofile).current.unwrap_or(0));
    }
}
