//! The phases of the server's life.

/// Where the server is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are taken.
    Serving,
    /// Requests are taken, but balancers should turn to other servers.
    Leaving,
    /// What runs is finished, no new connection is taken.
    Draining,
    /// What still runs is cut off.
    Cutting,
}
