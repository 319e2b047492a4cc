//! A login: opens a connection to one of the endpoints, in the ways that its `sslmode` allows.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, SslNegotiation};

use super::address::Address;
use super::passfile::Password;
use super::server::{self, Endpoint, Login, Surroundings};
use super::session::{IDLE, Session};
use super::sqlstate;
use super::tls::Encryption;
use super::transport::{Lent, Secured, Transport};
use crate::checks::postgres::PostgresServer;
use crate::model::{CheckError, Phase};
use crate::net::Tls;
use crate::net::{self, Stream};
use crate::runtime::Context;
use crate::runtime::Process;

/// The protocol's request for TLS, which is answered by one byte.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// How long a request to cancel may take.
const CANCEL: Duration = Duration::from_secs(1);

/// Logs in to the first server that lets us. `plain` remembers that one refused our own start-up parameter.
pub async fn connect(context: &Context, server: &PostgresServer, plain: &mut bool) -> Result<Arc<Session>, CheckError> {
    let spec = server.clone();
    let login = tokio::task::spawn_blocking(move || server::resolve(&spec, &Surroundings::real()))
        .await
        .unwrap_or(Err(CheckError::Panicked))?;
    let mut failure = CheckError::Configuration("PostgreSQL: there is no server to connect to".to_owned());
    for endpoint in &login.endpoints {
        let attempt = reach(context, &login, endpoint, plain);
        let outcome = match login.connect_timeout {
            None => attempt.await,
            Some(after) => tokio::time::timeout(after, attempt)
                .await
                .unwrap_or_else(|_| Err(CheckError::Timeout { after, phase: context.phase() })),
        };
        failure = match outcome {
            Ok(session) => return Ok(session),
            // The other servers would say the same.
            Err(error @ (CheckError::Authentication { .. } | CheckError::Rejected { .. })) => return Err(error),
            Err(error) => error,
        };
    }
    Err(failure)
}

/// Why an attempt failed, and what may do better.
struct Failure {
    error: CheckError,
    another: Another,
}

#[derive(Clone, Copy, PartialEq)]
enum Another {
    Nothing,
    /// With TLS instead of without, or the reverse.
    Encryption,
    /// Without our own start-up parameter.
    Plain,
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let another = match error {
            CheckError::Tls { .. } => Another::Encryption,
            _ => Another::Nothing,
        };
        Self { error, another }
    }
}

/// Connects to one endpoint, in the ways that its `sslmode` allows.
async fn reach(
    context: &Context,
    login: &Login,
    endpoint: &Endpoint,
    plain: &mut bool,
) -> Result<Arc<Session>, CheckError> {
    let mut first: Option<CheckError> = None;
    for way in &endpoint.ways {
        let mut outcome = log_in(context, login, endpoint, way, *plain).await;
        if !*plain && outcome.as_ref().is_err_and(|failure| failure.another == Another::Plain) {
            *plain = true;
            outcome = log_in(context, login, endpoint, way, true).await;
        }
        let Failure { error, another } = match outcome {
            Ok(session) => return Ok(session),
            Err(failure) => failure,
        };
        // Of two refusals the first says more, unless it was about TLS and the second is about the login.
        first = match (first, error) {
            (Some(CheckError::Tls { .. }) | None, error) => Some(error),
            (earlier, _) => earlier,
        };
        if another != Another::Encryption {
            break;
        }
    }
    Err(first.unwrap_or_else(|| CheckError::Configuration("PostgreSQL: there is no way to connect".to_owned())))
}

async fn log_in(
    context: &Context,
    login: &Login,
    endpoint: &Endpoint,
    way: &Encryption,
    plain: bool,
) -> Result<Arc<Session>, Failure> {
    let transport = open(context, &endpoint.address, way).await?;
    context.enter(Phase::Authenticate);
    let target = endpoint.address.target();
    let fault = transport.fault();
    let config = config(login, endpoint, transport.is_encrypted(), plain);
    let (client, connection) = config.connect_raw(transport, Secured).await.map_err(|error| {
        let code = error.as_db_error().map(sqlstate::of_login);
        let another = match code {
            Some(sqlstate::NO_LOGIN_RULE) => Another::Encryption,
            Some(code) if sqlstate::refuses_parameter(code) => Another::Plain,
            _ => Another::Nothing,
        };
        let error = match (code, fault.get()) {
            (Some("28P01"), _) if endpoint.password == Password::Exposed => exposed(&target),
            (Some(code), _) => sqlstate::error(&target, code, Duration::ZERO),
            (None, Some(fault)) => fault.clone(),
            (None, None) => refused(&target, &error.to_string(), &endpoint.password),
        };
        Failure { error, another }
    })?;
    let token = client.cancel_token();
    let (process, address, way) = (Arc::downgrade(&context.process), endpoint.address.clone(), way.clone());
    let cancel = async move {
        // Behind a pooler the statement's own timeout must do: PgBouncer 1.18 dies of a cancel request that is given up.
        let Some(process) = Weak::<Process>::upgrade(&process).filter(|_| !plain) else { return };
        let Ok(mut transport) = open(&Context::new(process, Instant::now() + CANCEL), &address, &way).await else {
            return;
        };
        if token.cancel_query_raw(Lent(&mut transport), Secured).await.is_ok() {
            // The server closes once it has passed the request on, as libpq waits for it to do.
            transport.read_u8().await.ok();
        }
    };
    Ok(Session::start(target, client, connection, fault, cancel))
}

fn config(login: &Login, endpoint: &Endpoint, encrypted: bool, plain: bool) -> Config {
    let mut config = Config::new();
    config.user(&login.user).dbname(&login.dbname).application_name(&login.application_name);
    if let Password::Found(password) = &endpoint.password {
        config.password(password.expose());
    }
    // Of a process that vanished with its host, the server would keep the session for hours. Nothing that runs is hurt:
    // we close an idle session long before.
    let ours = format!("-c idle_session_timeout={}", 2 * IDLE.as_millis());
    let options = if plain { login.options.clone() } else { format!("{ours} {}", login.options) };
    if !options.is_empty() {
        config.options(options);
    }
    // The TLS handshake, if any, is behind us: "direct" means that it is not asked for again.
    match encrypted {
        true => config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct),
        false => config.ssl_mode(SslMode::Disable),
    };
    config
}

/// A login that ended on our side: tokio-postgres tells the reasons apart by its texts only.
fn refused(target: &str, text: &str, password: &Password) -> CheckError {
    let target = target.to_owned();
    match text {
        "invalid configuration" if *password == Password::Exposed => exposed(&target),
        "invalid configuration" => {
            CheckError::Authentication { target, reason: "it asks for a password, and none is configured".into() }
        }
        "authentication error" => CheckError::Authentication {
            target,
            reason: "it asks for a method that is not supported (GSSAPI, SSPI), or cannot prove that it knows the \
                     password"
                .into(),
        },
        _ => CheckError::Protocol { target, expected: "PostgreSQL".into() },
    }
}

fn exposed(target: &str) -> CheckError {
    CheckError::Authentication {
        target: target.to_owned(),
        reason: "the password file is ignored, since others may read it: its mode must be 0600 or less".into(),
    }
}

/// Opens a connection and secures it as far as `way` and the server want.
async fn open(context: &Context, address: &Address, way: &Encryption) -> Result<Transport, CheckError> {
    let target = address.target();
    let stream = match address {
        #[cfg(unix)]
        Address::Unix(path) => Stream::Unix(net::connect_unix(context, path).await?),
        Address::Tcp { host, address, port } => {
            let stream = net::connect(context, address, *port).await?;
            match way {
                Encryption::Off => Stream::Plain(stream),
                Encryption::Offered(tls) => secure(context, stream, host, *port, tls, false).await?,
                Encryption::Required(tls) => secure(context, stream, host, *port, tls, true).await?,
            }
        }
    };
    Ok(Transport::new(stream, target))
}

async fn secure(
    context: &Context,
    mut stream: TcpStream,
    host: &str,
    port: u16,
    tls: &Tls,
    required: bool,
) -> Result<Stream, CheckError> {
    context.enter(Phase::Tls);
    let target = net::target(host, port);
    let failed = |error| net::io_error(&target, Phase::Tls, &error);
    stream.write_all(&TLS_REQUEST).await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        b'S' => Ok(Stream::Tls(Box::new(net::secure(context, stream, host, port, tls).await?))),
        b'N' if required => Err(CheckError::Tls { target, reason: "the server does not offer it".into() }),
        b'N' => Ok(Stream::Plain(stream)),
        // An error message of a server that cannot even refuse politely.
        b'E' => Err(CheckError::Tls { target, reason: "the server refuses to talk about it".into() }),
        _ => Err(CheckError::Protocol { target, expected: "PostgreSQL".into() }),
    }
}
