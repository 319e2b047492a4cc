//! The one connection that a process keeps to a Redis server: opened on first use, replaced when dead, closed when idle.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value, cmd};

use super::errors::refusal;
use super::protocol::{Gauge, Wire};
use super::{Credentials, RedisAddress, RedisServer};
use crate::model::Secret;
use crate::model::{CheckError, Phase};
use crate::net::{self, Driver, Kept, Stream, Tls};
use crate::runtime::Context;

/// A connection that no run used for so long is closed.
const IDLE: Duration = Duration::from_secs(300);

/// The address as it stands in messages.
pub fn target(address: &RedisAddress) -> String {
    match address {
        RedisAddress::Tcp { host, port } => net::target(host, *port),
        RedisAddress::Unix(path) => path.display().to_string(),
    }
}

/// The refusal of SELECT: that the server has no such database; an ACL that forbids the command is what it is.
pub fn unusable(error: CheckError, database: u32) -> CheckError {
    match error {
        CheckError::Rejected { target, reason } if reason.ends_with("failed") => {
            CheckError::Rejected { target, reason: format!("database {database} cannot be used").into() }
        }
        other => other,
    }
}

/// The kept session of one server, shared by all runs.
#[derive(Default)]
pub struct KeptSession(Kept<Arc<RedisSession>>);

impl KeptSession {
    /// The session of this server and these credentials (and this `role`, where the address is not what identifies it).
    pub fn of(context: &Context, server: &RedisServer, role: &str) -> Arc<Self> {
        let password = server.credentials.password.as_ref().map(Secret::expose);
        let tls = server.tls.as_ref().map(Tls::key);
        context.process.shared(&format!("{server:?} {password:?} {tls:?} {role}"))
    }

    /// Send `commands` and return the replies in their order. A kept connection that turns out dead is replaced once: a server
    /// that was restarted, or that closes idle clients, is no failure.
    pub async fn send(
        &self,
        context: &Context,
        server: &RedisServer,
        commands: &[Cmd],
    ) -> Result<Vec<Value>, CheckError> {
        let (session, fresh) = self.session(context, server).await?;
        if fresh {
            return self.send_on(context, session, commands).await;
        }
        let kept = self.send_on(context, session.clone(), commands);
        let lost = |error: &CheckError| {
            matches!(error, CheckError::Closed { .. } | CheckError::Unreachable { .. } | CheckError::Tls { .. })
        };
        net::hedged(context, kept, lost, self.send_anew(context, server, &session, commands)).await
    }

    /// Sends on another session than `lost`. The commands follow only once the server has replied to the new one's login,
    /// while `lost` is still silent: a server that is only slow gets them once.
    async fn send_anew(
        &self,
        context: &Context,
        server: &RedisServer,
        lost: &Arc<RedisSession>,
        commands: &[Cmd],
    ) -> Result<Vec<Value>, CheckError> {
        self.forget(lost);
        let (session, _) = self.session(context, server).await?;
        self.send_on(context, session, commands).await
    }

    /// The kept session, or else a new one (true).
    async fn session(&self, context: &Context, server: &RedisServer) -> Result<(Arc<RedisSession>, bool), CheckError> {
        context.enter(Phase::Connect);
        // Apart, since it is seldom: each exchange would be several times as large.
        let open = Box::pin(async { RedisSession::open(context, server).await.map(Arc::new) });
        self.0.get_or_open(|session| session.serves(&server.address), open).await
    }

    async fn send_on(
        &self,
        context: &Context,
        session: Arc<RedisSession>,
        commands: &[Cmd],
    ) -> Result<Vec<Value>, CheckError> {
        context.enter(Phase::Query);
        let unanswered = Unanswered { kept: self, session: &session };
        let replies = session.send(Phase::Query, commands).await?;
        std::mem::forget(unanswered);
        Ok(replies)
    }

    fn forget(&self, session: &Arc<RedisSession>) {
        self.0.forget(|kept| Arc::ptr_eq(kept, session));
    }
}

/// Forgets the session when a run fails or is cancelled: a connection that does not answer may be dead without our
/// knowing, so the next run must open another. Other runs that wait on it continue; the last of them closes it.
struct Unanswered<'a> {
    kept: &'a KeptSession,
    session: &'a Arc<RedisSession>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.kept.forget(self.session);
    }
}

/// An open connection, and the task that drives it.
struct RedisSession {
    address: RedisAddress,
    connection: MultiplexedConnection,
    driver: Driver,
    gauge: Arc<Gauge>,
}

impl RedisSession {
    async fn open(context: &Context, server: &RedisServer) -> Result<Self, CheckError> {
        let stream = match &server.address {
            RedisAddress::Tcp { host, port } => {
                let stream = net::connect(context, host, *port).await?;
                match &server.tls {
                    Some(tls) => Stream::Tls(Box::new(net::secure(context, stream, host, *port, tls).await?)),
                    None => Stream::Plain(stream),
                }
            }
            #[cfg(unix)]
            RedisAddress::Unix(path) => Stream::Unix(net::connect_unix(context, path).await?),
            #[cfg(not(unix))]
            RedisAddress::Unix(_) => {
                return Err(CheckError::Configuration("there are no Unix sockets on this system".into()));
            }
        };
        let gauge = Arc::new(Gauge::default());
        // Nothing is sent by this: the login follows below, so that its refusal can be judged here.
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        // The runner has a deadline.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&silent, Wire::new(stream, gauge.clone()), config)
                .await
                .map_err(|_| CheckError::Protocol { target: target(&server.address), expected: "Redis".into() })?;
        let driver = Driver::spawn(driver, IDLE);
        let session = Self { address: server.address.clone(), connection, driver, gauge };
        session.introduce(context, server).await?;
        Ok(session)
    }

    /// Authenticates, and sets the name that CLIENT LIST shows to the server's administrator.
    async fn introduce(&self, context: &Context, server: &RedisServer) -> Result<(), CheckError> {
        context.enter(Phase::Authenticate);
        let Credentials { username, password } = &server.credentials;
        if !server.credentials.is_empty() {
            let password = password.as_ref().map_or("", Secret::expose);
            self.send_alone("AUTH", cmd("AUTH").arg(username).arg(password)).await?;
        }
        match self.send_alone("CLIENT SETNAME", cmd("CLIENT").arg("SETNAME").arg("lifesigns")).await {
            // A user who may not set a name, or a server that knows no names.
            Err(CheckError::Rejected { .. }) => {}
            named => named?,
        }
        match server.database.filter(|number| *number != 0) {
            Some(number) => {
                let selected = self.send_alone("SELECT", cmd("SELECT").arg(number)).await;
                selected.map_err(|error| unusable(error, number))
            }
            None => Ok(()),
        }
    }

    /// One command alone: a server that is full answers the first one only.
    async fn send_alone(&self, name: &'static str, command: &Cmd) -> Result<(), CheckError> {
        match self.send(Phase::Authenticate, std::slice::from_ref(command)).await?.first() {
            Some(Value::ServerError(error)) => Err(refusal(&target(&self.address), name, error)),
            _ => Ok(()),
        }
    }

    /// Whether the connection may be used, as far as is known, and leads to `address`.
    fn serves(&self, address: &RedisAddress) -> bool {
        self.driver.serves() && !self.gauge.has_failed() && self.address == *address
    }

    /// Sends the commands at once, and waits for all answers. As commands, not as the library's pipeline: that one
    /// loses the reason when the connection breaks.
    async fn send(&self, phase: Phase, commands: &[Cmd]) -> Result<Vec<Value>, CheckError> {
        self.gauge.refill();
        let _in_use = self.driver.in_use();
        let answers = commands.iter().map(|command| {
            let mut connection = self.connection.clone();
            async move { connection.send_packed_command(command).await }
        });
        let answers = join_all(answers).await.into_iter().collect::<Result<_, RedisError>>();
        answers.map_err(|error| self.failure(phase, &error))
    }

    /// Why no answer came.
    fn failure(&self, phase: Phase, error: &RedisError) -> CheckError {
        let target = target(&self.address);
        if let Some(error) = self.gauge.take_failure() {
            net::io_error(&target, phase, &error)
        } else if error.is_io_error() {
            CheckError::Closed { target, phase }
        } else {
            CheckError::Protocol { target, expected: "Redis".into() }
        }
    }
}
