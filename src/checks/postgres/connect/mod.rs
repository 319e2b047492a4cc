//! The way to a session: the first of the configured servers that lets us in and fits `target_session_attrs`.
//!
//! ```text
//! connect ─► parameters (service_file, password_file, address, encryption ─► environment)
//!         └► login, for each endpoint in turn ─► authenticate ─► scram
//! ```

mod address;
mod authenticate;
mod encryption;
mod environment;
mod login;
mod parameters;
mod password_file;
mod scram;
mod service_file;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{Instant, timeout};

use self::address::Address;
use self::environment::Environment;
use self::login::{LoginHints, log_in};
use self::parameters::{Endpoint, Parameters};
pub use self::service_file::WITHOUT_EFFECT;
use super::protocol::{Session, SessionGroup};
use super::spec::{LoadBalanceHosts, PostgresServer, TargetSessionAttrs};
use crate::model::CheckError;
use crate::runtime::blocking::single_flight;
use crate::runtime::{Context, lock};

/// What earlier connections to a configured server found out.
#[derive(Default)]
pub struct ConnectHints {
    login: LoginHints,
    /// The endpoint whose session was used last: it is tried first.
    last: Mutex<Option<Address>>,
    /// When it was last seen whether sessions are limited, and what.
    limited: Mutex<Option<(Instant, bool)>>,
}

/// How long an administrator's change of a connection limit may go unnoticed.
const LIMIT_TTL: Duration = Duration::from_secs(600);

impl ConnectHints {
    /// Whether the number of sessions is limited for the role or the database, as far as the role may know. An error
    /// means that the session is lost.
    pub async fn is_limited(&self, session: &Session) -> Result<bool, CheckError> {
        let known = *lock(&self.limited);
        if let Some((_, limited)) = known.filter(|(at, _)| at.elapsed() < LIMIT_TTL) {
            return Ok(limited);
        }
        let limits = "SELECT rolconnlimit >= 0 OR datconnlimit >= 0 FROM pg_roles, pg_database \
                      WHERE rolname = session_user AND datname = current_database()";
        let response = session.query(limits).await?;
        let limited = response.rows(0).first().is_some_and(|row| row.is_true(0));
        *lock(&self.limited) = Some((Instant::now(), limited));
        Ok(limited)
    }
}

/// Opens a session on the first server that fits. `key` identifies the server and its login.
pub async fn connect(
    context: &Context,
    server: &PostgresServer,
    key: &str,
    hints: &ConnectHints,
    group: &Arc<SessionGroup>,
) -> Result<Arc<Session>, CheckError> {
    let spec = server.clone();
    let resolve = move || parameters::resolve(&spec, &Environment::of_process()).map(Arc::new);
    let parameters = single_flight(&context.process, key, resolve).await??;
    let last = lock(&hints.last).clone();
    let endpoints = in_order(&parameters, last.as_ref());
    let mut failure = super::errors::configuration("there is no server to connect to");
    let mut second_choice = None;
    for (at, endpoint) in endpoints.iter().enumerate() {
        let attempt = async {
            let session = log_in(context, &parameters, endpoint, &hints.login, group).await?;
            let fits = fits(parameters.target_session_attrs, &session).await?;
            Ok((session, fits))
        };
        let outcome = match share(context, &parameters, endpoints.len() - at) {
            None => attempt.await,
            Some(after) => timeout(after, attempt)
                .await
                .unwrap_or_else(|_| Err(CheckError::Timeout { after, phase: context.phase() })),
        };
        match outcome {
            Ok((session, Fit::Yes)) => {
                *lock(&hints.last) = Some(endpoint.address.clone());
                return Ok(session);
            }
            Ok((session, Fit::SecondChoice)) => second_choice = second_choice.or(Some(session)),
            Ok((session, Fit::No(reason))) => {
                session.close();
                failure = CheckError::Unavailable { target: endpoint.address.target(), reason: reason.into() };
            }
            // The other servers would say the same.
            Err(error @ (CheckError::Authentication { .. } | CheckError::Rejected { .. })) => return Err(error),
            // That a server is there and does not fit says more than that another is not there.
            Err(_) if matches!(failure, CheckError::Unavailable { .. }) => {}
            Err(error) => failure = error,
        }
    }
    second_choice.ok_or(failure)
}

/// The endpoints in the order in which they are tried.
fn in_order<'a>(parameters: &'a Parameters, last: Option<&Address>) -> Vec<&'a Endpoint> {
    match parameters.load_balance_hosts {
        LoadBalanceHosts::Disable => {
            let endpoints = parameters.endpoints.iter();
            let (first, others): (Vec<_>, Vec<_>) = endpoints.partition(|endpoint| Some(&endpoint.address) == last);
            [first, others].concat()
        }
        LoadBalanceHosts::Random => {
            let mut endpoints: Vec<_> = parameters.endpoints.iter().collect();
            endpoints.sort_by_cached_key(|_| {
                let mut random = [0; 8];
                SystemRandom::new().fill(&mut random).ok();
                u64::from_ne_bytes(random)
            });
            endpoints
        }
    }
}

/// How long the next of `left` endpoints may take: a fair share of the time left, so that one that does not answer
/// leaves time for the others, and `connect_timeout` at most.
fn share(context: &Context, parameters: &Parameters, left: usize) -> Option<Duration> {
    let share = u32::try_from(left).ok().filter(|left| *left > 1).map(|left| context.time_left() / left);
    [share, parameters.connect_timeout].into_iter().flatten().min()
}

enum Fit {
    Yes,
    /// Only if no other fits.
    SecondChoice,
    No(&'static str),
}

async fn fits(wanted: TargetSessionAttrs, session: &Session) -> Result<Fit, CheckError> {
    if wanted == TargetSessionAttrs::Any {
        return Ok(Fit::Yes);
    }
    let state = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let response = session.query(state).await?;
    let row = response.row(0, "read the state of the server")?;
    Ok(judge(wanted, row.is_true(0), row.is_true(1)))
}

fn judge(wanted: TargetSessionAttrs, standby: bool, read_only: bool) -> Fit {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    match wanted {
        ReadWrite if read_only => Fit::No("it is read-only, and target_session_attrs is read-write"),
        ReadOnly if !read_only => Fit::No("it is not read-only, and target_session_attrs is read-only"),
        Primary if standby => Fit::No("it is a standby, and target_session_attrs is primary"),
        Standby if !standby => Fit::No("it is no standby, and target_session_attrs is standby"),
        PreferStandby if !standby => Fit::SecondChoice,
        Any | ReadWrite | ReadOnly | Primary | Standby | PreferStandby => Fit::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_session_attrs_select_by_recovery_and_read_only() {
        use TargetSessionAttrs::{PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
        // Primary, read-only primary, standby: `Some(true)` fits, `None` is the second choice.
        let cases = [
            (ReadWrite, [Some(true), Some(false), Some(false)]),
            (ReadOnly, [Some(false), Some(true), Some(true)]),
            (Primary, [Some(true), Some(true), Some(false)]),
            (Standby, [Some(false), Some(false), Some(true)]),
            (PreferStandby, [None, None, Some(true)]),
        ];
        for (wanted, expected) in cases {
            let found = [(false, false), (false, true), (true, true)].map(|(standby, read_only)| {
                match judge(wanted, standby, read_only) {
                    Fit::Yes => Some(true),
                    Fit::SecondChoice => None,
                    Fit::No(_) => Some(false),
                }
            });
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
