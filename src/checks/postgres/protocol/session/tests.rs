//! Sessions with a server that says nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::super::transport::Secured;
use super::*;
use crate::net::Stream;
use crate::runtime::close_on_fork::NotInherited;

const LOGGED_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// A session with a server that lets anyone in and then says nothing, and the server's end.
async fn session() -> (Arc<Session>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let mut server = accepted.unwrap().0;
    let transport = Transport::new(Stream::Plain(NotInherited::new(stream.unwrap())), "db:5432".to_owned());
    let error = transport.error();
    let mut config = Config::new();
    config.user("me").ssl_mode(SslMode::Disable);
    server.write_all(LOGGED_IN).await.unwrap();
    let (client, connection) = config.connect_raw(transport, Secured).await.unwrap();
    let mut startup = vec![0; 1000];
    assert!(server.read(&mut startup).await.unwrap() > 8);
    let measured = (Arc::default(), Duration::ZERO);
    (Session::start("db:5432".to_owned(), client, connection, error, measured, async {}), server)
}

#[tokio::test(start_paused = true)]
async fn idle_session_is_closed_by_message() {
    let (session, mut server) = session().await;
    let opened = Instant::now();
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, TERMINATE);
    assert!(opened.elapsed() >= IDLE - Duration::from_secs(1));
    assert!(!session.is_open());
}

#[tokio::test]
async fn session_with_abandoned_message_takes_no_more() {
    let (session, mut server) = session().await;
    assert!(timeout(Duration::from_millis(20), session.query("SELECT 1")).await.is_err());
    assert!(!session.is_open());
    let mut rest = Vec::new();
    timeout(2 * CLOSE_TIMEOUT, server.read_to_end(&mut rest)).await.unwrap().ok();
    assert!(rest.starts_with(b"Q"));
    assert_eq!(session.query("SELECT 1").await.unwrap_err().code(), "ConnectionResetError");
}

/// Checks in several threads send at once, and none of their messages is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn server_gets_messages_in_the_order_of_their_tickets() {
    const SENDERS: usize = 4;
    const EACH: usize = 5_000;
    let (session, server) = session().await;
    let mut server = BufReader::new(server);
    let together = Arc::new(tokio::sync::Barrier::new(SENDERS));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (session, together) = (session.clone(), together.clone());
            tokio::spawn(async move {
                let statements = (0..EACH).map(|number| format!("SELECT {sender}.{number:04}"));
                together.wait().await;
                let sent: Vec<_> = statements
                    .map(|text| (session.send(StatementId::of([&text]), &text), format!("{} {text}", session.tag)))
                    .collect();
                together.wait().await;
                sent.into_iter().map(|((ticket, _), text)| (ticket.number, text)).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut received = Vec::new();
    for _ in 0..SENDERS * EACH {
        let mut head = [0; 5];
        server.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes(*head.last_chunk().unwrap()) as usize;
        let mut text = vec![0; length - 4];
        server.read_exact(&mut text).await.unwrap();
        text.pop();
        received.push(String::from_utf8(text).unwrap());
    }
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await.unwrap());
    }
    sent.sort();
    assert_eq!(received, sent.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
}
