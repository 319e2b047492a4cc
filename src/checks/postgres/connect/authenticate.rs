//! The start-up of a session up to "authentication ok": which proofs the server requests, and which it gets.

use std::sync::Mutex;

use bytes::{Buf, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::parameters::{Endpoint, Parameters};
use super::password_file::Password;
use super::scram::{self, Binding, ClientFirst, Salt};
use crate::checks::postgres::protocol::Transport;
use crate::checks::postgres::{ChannelBinding, errors};
use crate::model::{CheckError, Secret};
use crate::runtime::blocking::single_flight;
use crate::runtime::{Context, lock};

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Why a login failed: by an error of the server, by its SQLSTATE, or by ours.
pub enum LoginError {
    Refused(String),
    Failed(CheckError),
}

impl From<CheckError> for LoginError {
    fn from(error: CheckError) -> Self {
        Self::Failed(error)
    }
}

/// The last key derived for a server: with many iterations it takes a second, and it is the same at each login.
#[derive(Default)]
pub struct DerivedKey(Mutex<Option<(Secret, Salt, [u8; 32])>>);

/// One login on an open connection.
pub struct Login<'a> {
    pub context: &'a Context,
    pub parameters: &'a Parameters,
    pub endpoint: &'a Endpoint,
    pub options: &'a str,
    pub key: &'a DerivedKey,
}

impl Login<'_> {
    /// Logs in. What follows on the connection is as if tokio-postgres had logged in without a password.
    pub async fn authenticate(&self, transport: &mut Transport) -> Result<(), LoginError> {
        let Parameters { user, dbname, application_name, .. } = self.parameters;
        let mut startup = vec![("client_encoding", "UTF8"), ("user", user), ("database", dbname)];
        startup.extend([("application_name", &**application_name), ("options", self.options)]);
        startup.retain(|(_, value)| !value.is_empty());
        self.send(transport, |buffer| frontend::startup_message(startup, buffer)).await?;
        let (method, body) = self.receive(transport).await?;
        if method != 10 && self.parameters.channel_binding == ChannelBinding::Require {
            return Err(self.unbound("its rules let this login in without SCRAM").into());
        }
        match method {
            0 => {}
            3 => {
                let password = self.password()?;
                self.send(transport, |buffer| frontend::password_message(password.expose().as_bytes(), buffer)).await?;
                self.expect_ok(transport).await?;
            }
            5 => {
                let salt = body.first_chunk::<4>().ok_or_else(|| self.stray())?;
                let hash = md5_hash(user.as_bytes(), self.password()?.expose().as_bytes(), *salt);
                self.send(transport, |buffer| frontend::password_message(hash.as_bytes(), buffer)).await?;
                self.expect_ok(transport).await?;
            }
            10 => self.scram(transport, &body).await?,
            _ => {
                let reason = "it requests a method that is not supported (GSSAPI, SSPI)";
                return Err(self.unauthenticated(reason).into());
            }
        }
        transport.replay_login();
        Ok(())
    }

    async fn scram(&self, transport: &mut Transport, mechanisms: &[u8]) -> Result<(), LoginError> {
        let offers = |name: &str| mechanisms.split(|byte| *byte == 0).any(|offered| offered == name.as_bytes());
        let password = self.password()?;
        let binding = self.parameters.channel_binding;
        let end_point = transport.end_point().filter(|_| binding != ChannelBinding::Disable);
        let (mechanism, bound) = match end_point {
            Some(hash) if offers(SCRAM_PLUS) => (SCRAM_PLUS, Binding::EndPoint(hash)),
            Some(_) => (SCRAM, Binding::NotOffered),
            None => (SCRAM, Binding::Unsupported),
        };
        if binding == ChannelBinding::Require && mechanism != SCRAM_PLUS {
            return Err(self
                .unbound(match (transport.is_encrypted(), offers(SCRAM_PLUS)) {
                    (false, _) => "the connection is not encrypted",
                    (true, false) => "the server does not offer it",
                    (true, true) => "the signature algorithm of its certificate has none",
                })
                .into());
        }
        if !offers(mechanism) {
            return Err(self.unauthenticated("it requests a SASL mechanism that is not supported").into());
        }
        let first = ClientFirst::new(bound).ok_or(CheckError::Panicked)?;
        let message = first.message();
        self.send(transport, |buffer| frontend::sasl_initial_response(mechanism, message.as_bytes(), buffer)).await?;
        let (method, body) = self.receive(transport).await?;
        let answer = (method == 11).then(|| first.receive(&body)).flatten().ok_or_else(|| self.stray())?;
        let key = self.derive(password, &answer.salt).await?;
        let (message, expected) = answer.answer(&key);
        self.send(transport, |buffer| frontend::sasl_response(message.as_bytes(), buffer)).await?;
        let (method, body) = self.receive(transport).await?;
        if method != 12 || !expected.is_met(&body) {
            return Err(self.unauthenticated("it cannot prove that it knows the password").into());
        }
        self.expect_ok(transport).await
    }

    /// The salted password, derived off the runtime's threads.
    async fn derive(&self, password: &Secret, salt: &Salt) -> Result<[u8; 32], CheckError> {
        if salt.iterations.get() > scram::ITERATION_LIMIT {
            return Err(errors::configuration(&format!(
                "the password of {} is stored with {} SCRAM iterations, and checks compute at most {}",
                self.parameters.user,
                salt.iterations,
                scram::ITERATION_LIMIT
            )));
        }
        let known = lock(&self.key.0).clone();
        if let Some((_, _, key)) = known.filter(|(secret, from, _)| secret == password && from == salt) {
            return Ok(key);
        }
        let (secret, from) = (password.clone(), salt.clone());
        let work = format!("SCRAM {} {salt:?}", password.expose());
        let key = single_flight(&self.context.process, &work, move || scram::derive(secret.expose(), &from)).await?;
        *lock(&self.key.0) = Some((password.clone(), salt.clone(), key));
        Ok(key)
    }

    fn password(&self) -> Result<&Secret, CheckError> {
        match &self.endpoint.password {
            Password::Found(password) => Ok(password),
            Password::Missing => Err(self.unauthenticated("it requests a password, and none is configured")),
            Password::Exposed => Err(exposed(&self.endpoint.address.target())),
        }
    }

    async fn send(
        &self,
        transport: &mut Transport,
        write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
    ) -> Result<(), CheckError> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).map_err(|_| errors::configuration("a parameter of the login contains a NUL character"))?;
        transport.write_all(&buffer).await.map_err(|_| self.lost(transport))?;
        transport.flush().await.map_err(|_| self.lost(transport))
    }

    /// The number of the next request for a proof, and what comes with it.
    async fn receive(&self, transport: &mut Transport) -> Result<(u32, BytesMut), LoginError> {
        loop {
            let mut header = [0; 5];
            transport.read_exact(&mut header).await.map_err(|_| self.lost(transport))?;
            let [kind, a, b, c, d] = header;
            // The transport has checked the length, which counts itself.
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or_default().saturating_sub(4);
            let mut body = BytesMut::zeroed(length);
            transport.read_exact(&mut body).await.map_err(|_| self.lost(transport))?;
            match kind {
                b'R' if body.len() >= 4 => {
                    let method = body.get_u32();
                    return Ok((method, body));
                }
                b'E' => return Err(LoginError::Refused(sqlstate(&body).ok_or_else(|| self.stray())?)),
                // Notices, and a protocol version lower than ours.
                b'N' | b'v' => {}
                _ => return Err(self.stray().into()),
            }
        }
    }

    async fn expect_ok(&self, transport: &mut Transport) -> Result<(), LoginError> {
        match self.receive(transport).await? {
            (0, _) => Ok(()),
            _ => Err(self.stray().into()),
        }
    }

    fn lost(&self, transport: &Transport) -> CheckError {
        transport.error().get().cloned().unwrap_or_else(|| self.stray())
    }

    fn stray(&self) -> CheckError {
        CheckError::Protocol { target: self.endpoint.address.target(), expected: "PostgreSQL".into() }
    }

    fn unauthenticated(&self, reason: &'static str) -> CheckError {
        CheckError::Authentication { target: self.endpoint.address.target(), reason: reason.into() }
    }

    fn unbound(&self, reason: &str) -> CheckError {
        errors::configuration(&format!(
            "channel_binding=require cannot be met by {}: {reason}",
            self.endpoint.address.target()
        ))
    }
}

/// A login refused for a password that was not read.
pub fn exposed(target: &str) -> CheckError {
    CheckError::Authentication {
        target: target.to_owned(),
        reason: "the password file is ignored, since others may read it: its mode must be 0600 or less".into(),
    }
}

/// The SQLSTATE of an error message, whose fields are a letter and a text each.
fn sqlstate(body: &[u8]) -> Option<String> {
    let field = |letter: u8| {
        let field = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(&[letter]))?;
        Some(String::from_utf8_lossy(field).into_owned())
    };
    Some(errors::of_login(&field(b'C')?, &field(b'M').unwrap_or_default()).to_owned())
}
