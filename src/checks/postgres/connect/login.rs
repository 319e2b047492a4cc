//! A session on one endpoint, by the attempts that its `sslmode` allows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, SslNegotiation};

use super::address::Address;
use super::authenticate::{DerivedKey, Login, LoginError, exposed};
use super::encryption::Encryption;
use super::parameters::{Endpoint, Parameters};
use super::password_file::Password;
use crate::checks::postgres::errors;
use crate::checks::postgres::protocol::{IDLE, Lent, Secured, Session, SessionGroup, Transport};
use crate::model::{CheckError, Phase};
use crate::net::{self, OwnTcp, Stream, Tls};
use crate::runtime::{Context, Process};

/// The protocol's request for TLS, which is answered by one byte.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// How long a request to cancel may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// What earlier logins to a server found out.
#[derive(Default)]
pub struct LoginHints {
    /// The server, a pooler, refused our own start-up parameters.
    pub plain: AtomicBool,
    pub key: DerivedKey,
}

/// Why an attempt failed, and which other attempt may succeed.
struct Failure {
    error: CheckError,
    fallback: Fallback,
}

#[derive(Clone, Copy, PartialEq)]
enum Fallback {
    None,
    /// With TLS instead of without, or the reverse.
    Encryption,
    /// Without our own start-up parameters.
    Plain,
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let fallback = match error {
            CheckError::Tls { .. } => Fallback::Encryption,
            _ => Fallback::None,
        };
        Self { error, fallback }
    }
}

/// Connects to one endpoint and logs in.
pub async fn log_in(
    context: &Context,
    parameters: &Parameters,
    endpoint: &Endpoint,
    hints: &LoginHints,
    group: &Arc<SessionGroup>,
) -> Result<Arc<Session>, CheckError> {
    let mut first: Option<CheckError> = None;
    for encryption in &endpoint.attempts {
        let plain = hints.plain.load(Ordering::Relaxed);
        let mut outcome = attempt(context, parameters, endpoint, encryption, hints, group, plain).await;
        if !plain && outcome.as_ref().is_err_and(|failure| failure.fallback == Fallback::Plain) {
            hints.plain.store(true, Ordering::Relaxed);
            outcome = attempt(context, parameters, endpoint, encryption, hints, group, true).await;
        }
        let Failure { error, fallback } = match outcome {
            Ok(session) => return Ok(session),
            Err(failure) => failure,
        };
        // Of two refusals the first says more, unless it was about TLS and the second is about the login.
        first = match (first, error) {
            (Some(CheckError::Tls { .. }) | None, error) => Some(error),
            (earlier, _) => earlier,
        };
        if fallback != Fallback::Encryption {
            break;
        }
    }
    Err(first.unwrap_or_else(|| errors::configuration("there is no way to connect")))
}

async fn attempt(
    context: &Context,
    parameters: &Parameters,
    endpoint: &Endpoint,
    encryption: &Encryption,
    hints: &LoginHints,
    group: &Arc<SessionGroup>,
    plain: bool,
) -> Result<Arc<Session>, Failure> {
    let started = Instant::now();
    let mut transport = open(context, &endpoint.address, encryption).await?;
    context.enter(Phase::Authenticate);
    let target = endpoint.address.target();
    let error = transport.error();
    let options = startup_options(parameters, plain);
    let login = Login { context, parameters, endpoint, options: &options, key: &hints.key };
    let refused = |code: &str, routine: Option<&str>| Failure {
        error: match code {
            "28P01" if endpoint.password == Password::Exposed => exposed(&target),
            errors::FULL => errors::full(&target, &parameters.user, &parameters.dbname, routine),
            _ => errors::error(&target, code, Duration::ZERO),
        },
        fallback: match code {
            errors::NO_LOGIN_RULE => Fallback::Encryption,
            _ if errors::refuses_parameter(code) => Fallback::Plain,
            _ => Fallback::None,
        },
    };
    login.authenticate(&mut transport).await.map_err(|failure| match failure {
        LoginError::Refused(code) => refused(&code, None),
        LoginError::Failed(error) => error.into(),
    })?;
    let config = config(parameters, transport.is_encrypted());
    let (client, connection) =
        config.connect_raw(transport, Secured).await.map_err(|failure| match (failure.as_db_error(), error.get()) {
            (Some(error), _) => refused(errors::of_login(error.code().code(), error.message()), error.routine()),
            (None, Some(error)) => error.clone().into(),
            (None, None) => CheckError::Protocol { target: target.clone(), expected: "PostgreSQL".into() }.into(),
        })?;
    let token = client.cancel_token();
    let (process, address, encryption) =
        (Arc::downgrade(&context.process), endpoint.address.clone(), encryption.clone());
    let cancel = async move {
        // Behind a pooler the statement's own timeout must do: PgBouncer 1.18 dies of a cancel request that is given up.
        let Some(process) = Weak::<Process>::upgrade(&process).filter(|_| !plain) else { return };
        let Ok(mut transport) = open(&Context::new(process, CANCEL_TIMEOUT), &address, &encryption).await else {
            return;
        };
        if token.cancel_query_raw(Lent(&mut transport), Secured).await.is_ok() {
            // The server closes once it has passed the request on, as libpq waits for it to do.
            transport.read_u8().await.ok();
        }
    };
    Ok(Session::start(target, client, connection, error, (group.clone(), started.elapsed()), cancel))
}

/// The session's options: ours first, so that the configured ones override them.
fn startup_options(parameters: &Parameters, plain: bool) -> String {
    if plain {
        return parameters.options.clone();
    }
    // Of a process that vanished with its host, the server would keep the session for hours. Nothing that runs is hurt:
    // we close an idle session long before. In UTC, a literal without a zone in a configured statement means the same
    // for us as for Django.
    let ours = format!("-c idle_session_timeout={} -c TimeZone=UTC", 2 * IDLE.as_millis());
    format!("{ours} {}", parameters.options).trim_end().to_owned()
}

/// The configuration of a connection on which the login is done.
fn config(parameters: &Parameters, encrypted: bool) -> Config {
    let mut config = Config::new();
    config.user(&parameters.user);
    // The TLS handshake, if any, is done: "direct" means that it is not requested again.
    match encrypted {
        true => config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct),
        false => config.ssl_mode(SslMode::Disable),
    };
    config
}

/// Opens a connection and secures it as far as `encryption` and the server allow.
async fn open(context: &Context, address: &Address, encryption: &Encryption) -> Result<Transport, CheckError> {
    let target = address.target();
    let stream = match address {
        #[cfg(unix)]
        Address::Unix(path) => Stream::Unix(net::connect_unix(context, path).await?),
        Address::Tcp { host, address, port } => {
            let stream = net::connect(context, address, *port).await?;
            match encryption {
                Encryption::Off => Stream::Plain(stream),
                Encryption::Offered(tls) => secure(context, stream, host, *port, tls, false).await?,
                Encryption::Required(tls) => secure(context, stream, host, *port, tls, true).await?,
                Encryption::Direct(tls) => {
                    let secured = net::secure_alpn(context, stream, host, *port, tls, &[b"postgresql"]).await;
                    Stream::Tls(Box::new(secured.map_err(without_direct_tls)?))
                }
            }
        }
    };
    Ok(Transport::new(stream, target))
}

/// A server that knows no direct TLS takes a handshake for a malformed start-up message, and closes the connection.
fn without_direct_tls(error: CheckError) -> CheckError {
    match error {
        CheckError::Closed { target, phase: Phase::Tls } => CheckError::Tls {
            target,
            reason: "the server closed the connection; sslnegotiation=direct takes PostgreSQL 17 or later".into(),
        },
        error => error,
    }
}

async fn secure(
    context: &Context,
    mut stream: OwnTcp,
    host: &str,
    port: u16,
    tls: &Tls,
    required: bool,
) -> Result<Stream, CheckError> {
    // Its first words: a server that is stopped is silent here, whether it has TLS or not.
    context.enter(Phase::Greeting);
    let target = net::target(host, port);
    let failed = |error| net::io_error(&target, Phase::Tls, &error);
    stream.write_all(&TLS_REQUEST).await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        b'S' => Ok(Stream::Tls(Box::new(net::secure(context, stream, host, port, tls).await?))),
        b'N' if required => Err(CheckError::Tls { target, reason: "the server does not offer it".into() }),
        b'N' => Ok(Stream::Plain(stream)),
        // An error message of a server that knows no such request.
        b'E' => Err(CheckError::Tls { target, reason: "the server refuses the request for it".into() }),
        _ => Err(CheckError::Protocol { target, expected: "PostgreSQL".into() }),
    }
}
