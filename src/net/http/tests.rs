//! What servers may answer, and which connection a request goes over.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::runtime::Process;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a server says to each connection in turn: one answer to each request, then it closes the connection.
type Script = Vec<Vec<&'static [u8]>>;

/// How many connections and requests a server had.
type Seen = (usize, usize);

/// Runs `check` against a server that follows `script`.
fn against<F: Future>(script: Script, check: impl FnOnce(Context, Url) -> F) -> (F::Output, Seen) {
    let process = Process::current().unwrap();
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let [connections, requests] = &*counts;
    let found = process.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/private?key=secret", listener.local_addr().unwrap())).unwrap();
        let counts = counts.clone();
        let server = process.runtime.spawn(async move {
            for answers in script {
                let (mut stream, _) = listener.accept().await.unwrap();
                counts[0].fetch_add(1, Ordering::Relaxed);
                let counts = counts.clone();
                tokio::spawn(async move {
                    for answer in answers {
                        request(&mut stream).await?;
                        counts[1].fetch_add(1, Ordering::Relaxed);
                        stream.write_all(answer).await?;
                    }
                    io::Result::Ok(())
                });
            }
        });
        let found = check(Context::new(process.clone(), Duration::from_secs(5)), url).await;
        server.abort();
        found
    });
    (found, (connections.load(Ordering::Relaxed), requests.load(Ordering::Relaxed)))
}

async fn request(stream: &mut TcpStream) -> io::Result<()> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await?);
    }
    Ok(())
}

/// The status and the length of the body, or the code of the error.
async fn outcome(context: &Context, url: &Url) -> String {
    let found = async {
        let response = get(context, url.clone(), HeaderMap::new(), &Tls::default()).await?;
        let status = response.status;
        Ok::<_, CheckError>(format!("{status} {}", response.body().await?.len()))
    };
    found.await.unwrap_or_else(|error| {
        assert!(!error.to_string().contains("secret"), "{error}");
        error.code().to_owned()
    })
}

/// The outcomes of so many runs in turn.
fn outcomes(runs: usize, script: Script) -> (Vec<String>, Seen) {
    against(script, async move |context, url| {
        let mut outcomes = Vec::new();
        for _ in 0..runs {
            outcomes.push(outcome(&context, &url).await);
        }
        outcomes
    })
}

fn code(answer: &'static [u8]) -> String {
    outcomes(1, vec![vec![answer]]).0.concat()
}

#[test]
fn what_servers_answer() {
    for (answer, found) in [
        (OK, "200 2"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "302 0"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204 0"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "200 13"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n1\r\n!\r\n0\r\nt: u\r\n\r\n", "200 3"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n", "204 0"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok", "ConnectionResetError"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", "ProtocolError"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "ConnectionResetError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n", "ConnectionResetError"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ProtocolError"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "ProtocolError"),
        (b"HTTP/1.1 200", "ConnectionResetError"),
        (b"", "ConnectionResetError"),
    ] {
        assert_eq!(code(answer), found, "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn connection_of_a_complete_answer_is_kept() {
    assert_eq!(outcomes(3, vec![vec![OK, OK, OK]]), (vec!["200 2".to_owned(); 3], (1, 3)));
}

#[test]
fn connection_that_the_server_closes_is_not_kept() {
    let close: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(outcomes(2, vec![vec![close, OK], vec![OK]]).0, ["200 2", "200 2"]);
    assert_eq!(outcomes(3, vec![vec![OK], vec![OK], vec![OK]]), (vec!["200 2".to_owned(); 3], (3, 3)));
}

#[test]
fn kept_connection_closed_without_an_answer_is_replaced_once() {
    let (found, seen) = outcomes(2, vec![vec![OK, b""], vec![OK]]);
    assert_eq!((found.join(", ").as_str(), seen), ("200 2, 200 2", (2, 3)));
    let (found, seen) = outcomes(2, vec![vec![OK, b""], vec![b""], vec![OK]]);
    assert_eq!((found.join(", ").as_str(), seen), ("200 2, ConnectionResetError", (2, 3)));
}

#[test]
fn kept_connection_closed_within_an_answer_is_not_replaced() {
    for answer in
        [&b"HTTP/1.1 2"[..], b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"]
    {
        let (found, seen) = outcomes(2, vec![vec![OK, answer], vec![OK]]);
        assert_eq!((found.join(", ").as_str(), seen), ("200 2, ConnectionResetError", (1, 2)));
    }
}

#[test]
fn concurrent_requests_have_a_connection_each_and_one_is_kept() {
    let (found, seen) = against(vec![vec![OK, OK], vec![OK, OK], vec![OK]], async |context, url| {
        // Both are sent before either answer is read to its end.
        let send = async || get(&context, url.clone(), HeaderMap::new(), &Tls::default()).await.unwrap();
        let (first, second) = tokio::join!(send(), send());
        first.body().await.unwrap();
        second.body().await.unwrap();
        let (third, fourth) = tokio::join!(send(), send());
        (third.body().await.unwrap(), fourth.body().await.unwrap())
    });
    assert_eq!((found, seen), ((b"ok".to_vec(), b"ok".to_vec()), (3, 4)));
}

#[test]
fn what_is_read_in_all_is_bounded() {
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MAX_READ / 28 + 1).leak();
    assert_eq!(code(interim), "ResponseTooLargeError");
    let header = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'x'; 2 * MAX_HEAD]].concat().leak();
    assert_eq!(code(header), "ResponseTooLargeError");
    let headers = [&b"HTTP/1.1 200 OK\r\n"[..], &b"x: y\r\n".repeat(MAX_FIELDS + 1), b"\r\n"].concat().leak();
    assert_eq!(code(headers), "ResponseTooLargeError");
}

/// What a server says when its idle time-out ends a connection.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[test]
fn kept_connection_whose_idle_timeout_crosses_the_request_is_replaced_once() {
    let (found, seen) = outcomes(2, vec![vec![OK, TIMED_OUT], vec![OK]]);
    assert_eq!((found.join(", ").as_str(), seen), ("200 2, 200 2", (2, 3)));
    let (found, seen) = outcomes(2, vec![vec![OK, TIMED_OUT], vec![TIMED_OUT], vec![OK]]);
    assert_eq!((found.join(", ").as_str(), seen), ("200 2, 408 0", (2, 3)));
    assert_eq!(outcomes(1, vec![vec![TIMED_OUT], vec![OK]]), (vec!["408 0".to_owned()], (1, 1)));
}

#[test]
fn kept_connection_that_timed_out_before_the_request_is_replaced() {
    let both: &'static [u8] = [OK, TIMED_OUT].concat().leak();
    for _ in 0..20 {
        assert_eq!(outcomes(2, vec![vec![both], vec![OK]]), (vec!["200 2".to_owned(); 2], (2, 2)));
    }
}

#[test]
fn answer_of_a_server_that_reads_no_request_is_judged() {
    let process = Process::current().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/?key=secret", listener.local_addr().unwrap())).unwrap();
    let full = b"HTTP/1.1 503 Full\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    let server = std::thread::spawn(move || {
        for _ in 0..50 {
            let (mut stream, _) = listener.accept().unwrap();
            io::Write::write_all(&mut stream, full).unwrap();
        }
    });
    for _ in 0..50 {
        let context = Context::new(process.clone(), Duration::from_secs(5));
        assert_eq!(process.runtime.block_on(outcome(&context, &url)), "503 2");
    }
    server.join().unwrap();
}

#[test]
fn the_length_of_a_body_is_bounded() {
    let long: &'static [u8] =
        [&b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n"[..], &vec![b'x'; MAX_BODY + 1]].concat().leak();
    assert_eq!(code(long), "ResponseTooLargeError");
}

#[test]
fn names_that_do_not_resolve_and_ports_that_refuse() {
    let process = Process::current().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, found) in [
        ("http://unknown.invalid/".to_owned(), "NameResolutionError"),
        (format!("http://127.0.0.1:{port}/"), "ConnectionRefusedError"),
        (format!("http://localhost:{port}/"), "ConnectionRefusedError"),
    ] {
        let context = Context::new(process.clone(), Duration::from_secs(5));
        let url = Url::parse(&url).unwrap();
        let failed = process.runtime.block_on(get(&context, url, HeaderMap::new(), &Tls::default()));
        assert_eq!(failed.err().unwrap().code(), found);
    }
}
