//! One open session: asked by many checks at once, driven by one task, and left clean or not at all.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Client, Connection, Error, SimpleQueryMessage};

use super::answer::{Answer, Row};
use super::questions::Questions;
use super::sqlstate;
use super::transport::{Fault, Transport};
use crate::model::{CheckError, Phase};
use crate::runtime::lock;

/// A session that nobody has used for so long is closed.
pub const IDLE: Duration = Duration::from_secs(300);
/// How long an abandoned session may take to be cancelled and to answer what others asked.
const FAREWELL: Duration = Duration::from_secs(1);
/// More rows than any statement of ours returns.
const ROW_LIMIT: usize = 10_000;

pub struct Session {
    target: String,
    /// Taken out when the session is to take no more questions; it closes once all are answered.
    client: Mutex<Option<Arc<Client>>>,
    fault: Fault,
    used: Mutex<Instant>,
    answered: Mutex<Option<Instant>>,
    questions: Mutex<Questions>,
    /// The server may be stuck with a question that nobody waits for any more.
    abandoned: AtomicBool,
    wake: Notify,
    ended: Notify,
}

impl Session {
    /// Starts to drive `connection`. `cancel` asks the server to stop what it is doing for this session.
    pub fn start(
        target: String,
        client: Client,
        connection: Connection<Transport, Transport>,
        fault: Fault,
        cancel: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let session = Arc::new(Self {
            target,
            client: Mutex::new(Some(Arc::new(client))),
            fault,
            used: Mutex::new(Instant::now()),
            answered: Mutex::new(None),
            questions: Mutex::default(),
            abandoned: AtomicBool::new(false),
            wake: Notify::new(),
            ended: Notify::new(),
        });
        tokio::spawn(drive(session.clone(), connection, cancel));
        session
    }

    pub fn is_open(&self) -> bool {
        lock(&self.client).as_ref().is_some_and(|client| !client.is_closed())
    }

    pub fn has_answered_since(&self, instant: Instant) -> bool {
        lock(&self.answered).is_some_and(|at| at >= instant)
    }

    /// Returns once the session is over, or takes no more questions.
    pub async fn ended(&self) {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        if self.is_open() {
            ended.await;
        }
    }

    /// Takes no more questions; those on their way are still answered.
    pub fn close(&self) {
        lock(&self.client).take();
    }

    /// Sends `statements` in one message. An error means that the session is lost, and another one may do better.
    pub async fn ask(&self, statements: &str) -> Result<Answer, CheckError> {
        let client = lock(&self.client).clone().ok_or_else(|| self.lost())?;
        let started = Instant::now();
        *lock(&self.used) = started;
        let question = Question { session: self, number: lock(&self.questions).ask(), answered: false };
        let mut answer = Answer { target: self.target.clone(), ..Answer::default() };
        let outcome = receive(&client, statements, &mut answer).await;
        question.answered();
        let ended = Instant::now();
        *lock(&self.used) = ended;
        answer.after = ended - started;
        if !answer.sets.is_empty() {
            *lock(&self.answered) = Some(ended);
        }
        let code = match outcome {
            Ok(()) => return Ok(answer),
            Err(Received::TooMuch) => {
                self.close();
                return Err(CheckError::TooLarge { target: self.target.clone(), limit: ROW_LIMIT });
            }
            Err(Received::Failed(error)) => match error.code() {
                Some(code) => code.code().to_owned(),
                None => return Err(self.lost()),
            },
        };
        // A cancel request meant for another check may have hit this one.
        let hit = code == sqlstate::CANCELLED && self.abandoned.load(Ordering::Relaxed);
        if hit || sqlstate::ends_session(&code) {
            self.close();
            return Err(sqlstate::error(&self.target, &code, answer.after));
        }
        answer.failed = Some(code);
        Ok(answer)
    }

    fn lost(&self) -> CheckError {
        let closed = || CheckError::Closed { target: self.target.clone(), phase: Phase::Query };
        self.fault.get().cloned().unwrap_or_else(closed)
    }
}

/// A question on its way. Dropped without its answer, it ends the session, since later ones would wait behind it.
struct Question<'a> {
    session: &'a Session,
    number: u64,
    answered: bool,
}

impl Question<'_> {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.session.close();
        }
        if lock(&self.session.questions).end(self.number, self.answered) {
            self.session.abandoned.store(true, Ordering::Relaxed);
            self.session.wake.notify_one();
        }
    }
}

enum Received {
    Failed(Error),
    TooMuch,
}

async fn receive(client: &Client, statements: &str, answer: &mut Answer) -> Result<(), Received> {
    let mut messages = pin!(client.simple_query_raw(statements).await.map_err(Received::Failed)?);
    let mut rows = Vec::new();
    let mut count = 0;
    while let Some(message) = messages.next().await {
        count += 1;
        if count > ROW_LIMIT {
            return Err(Received::TooMuch);
        }
        match message.map_err(Received::Failed)? {
            SimpleQueryMessage::Row(row) => {
                let value = |column| row.try_get(column).map(|value| value.map(str::to_owned));
                rows.push(Row((0..row.len()).map(value).collect::<Result<_, _>>().map_err(Received::Failed)?));
            }
            SimpleQueryMessage::CommandComplete(_) => answer.sets.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    Ok(())
}

/// Moves the session's bytes until it ends: by itself, when idle, or abandoned.
async fn drive(
    session: Arc<Session>,
    connection: Connection<Transport, Transport>,
    cancel: impl Future<Output = ()> + Send,
) {
    let mut connection = pin!(connection);
    loop {
        let idle_at = *lock(&session.used) + IDLE;
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    session.fault.set(fault(&session.target, &error)).ok();
                }
                break;
            }
            () = session.wake.notified() => {
                // What others asked may still be answered once the server is free; a server that hangs is left alone.
                timeout(FAREWELL, async { tokio::join!(cancel, connection) }).await.ok();
                break;
            }
            () = sleep_until(idle_at) => {
                if *lock(&session.used) + IDLE <= Instant::now() {
                    session.close();
                    timeout(FAREWELL, connection).await.ok();
                    break;
                }
            }
        }
    }
    session.close();
    session.ended.notify_waiters();
}

/// Why the session ended, where its bytes were those of PostgreSQL.
fn fault(target: &str, error: &Error) -> CheckError {
    match error.code() {
        Some(code) => sqlstate::error(target, code.code(), Duration::ZERO),
        None => CheckError::Protocol { target: target.to_owned(), expected: "PostgreSQL".into() },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_postgres::Config;
    use tokio_postgres::config::SslMode;

    use super::*;
    use crate::checks::postgres::transport::Secured;
    use crate::net::Stream;

    const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const TERMINATE: &[u8] = b"X\0\0\0\x04";

    /// A session with a server that lets anyone in and then says nothing, and the server's end.
    async fn session() -> (Arc<Session>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut server = accepted.unwrap().0;
        let transport = Transport::new(Stream::Plain(stream.unwrap()), "db:5432".to_owned());
        let fault = transport.fault();
        let mut config = Config::new();
        config.user("me").ssl_mode(SslMode::Disable);
        server.write_all(LET_IN).await.unwrap();
        let (client, connection) = config.connect_raw(transport, Secured).await.unwrap();
        let mut startup = vec![0; 1000];
        assert!(server.read(&mut startup).await.unwrap() > 8);
        (Session::start("db:5432".to_owned(), client, connection, fault, async {}), server)
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_session_is_closed_the_polite_way() {
        let (session, mut server) = session().await;
        let opened = Instant::now();
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, TERMINATE);
        assert!(opened.elapsed() >= IDLE - Duration::from_secs(1));
        assert!(!session.is_open());
    }

    #[tokio::test]
    async fn a_session_whose_check_went_away_takes_no_more_questions() {
        let (session, mut server) = session().await;
        assert!(timeout(Duration::from_millis(20), session.ask("SELECT 1")).await.is_err());
        assert!(!session.is_open());
        let mut rest = Vec::new();
        timeout(2 * FAREWELL, server.read_to_end(&mut rest)).await.unwrap().ok();
        assert!(rest.starts_with(b"Q"));
        assert_eq!(session.ask("SELECT 1").await.unwrap_err().code(), "ConnectionResetError");
    }
}
