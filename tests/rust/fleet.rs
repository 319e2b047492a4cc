//! What hosts share through a real Redis: a document that one of them at a time writes.

#![cfg(any(target_os = "linux", target_os = "macos"))]
#![allow(clippy::panic, clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lifesigns::checks::FleetServer;
use lifesigns::runtime::Process;
use lifesigns::state::backend::fleet::FleetStore;
use lifesigns::state::backend::fleet::document::{
    DOCUMENT_CAPACITY, DOCUMENT_LEASE, DocumentKey, DocumentMark, DocumentStored, DocumentTurn,
};
use lifesigns::state::backend::fleet::document_lease::DocumentLease;

/// A server without any data, which ends with this value.
struct Redis {
    server: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < Duration::from_secs(60), "redis-server does not start");
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()];
            let server = Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn().unwrap();
            let mut redis = Self { server, port };
            // Another process may take a port that was free: then this server ends.
            while redis.server.try_wait().unwrap().is_none() {
                if redis.answers() {
                    return redis;
                }
                sleep(Duration::from_millis(20));
            }
        }
    }

    /// Whether this server is the one that answers at its port.
    fn answers(&self) -> bool {
        let own = format!("process_id:{}\r\n", self.server.id());
        self.command("INFO server").is_ok_and(|reply| reply.contains(&own))
    }

    fn store(&self) -> FleetStore {
        let options = format!(r#"{{"url": "redis://127.0.0.1:{}"}}"#, self.port);
        FleetStore::new("shop".to_owned(), Arc::new(serde_json::from_str::<FleetServer>(&options).unwrap()))
    }

    /// The start of the reply to one command, which is sent as plain text.
    fn command(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(stream, "{command}\r\n")?;
        let mut reply = [0; 4096];
        let length = stream.read(&mut reply)?;
        Ok(String::from_utf8_lossy(reply.get(..length).unwrap_or_default()).into_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// The store as hosts use it, one call after the other.
struct Hosts {
    redis: Redis,
    store: FleetStore,
    process: Arc<Process>,
    key: DocumentKey,
}

impl Hosts {
    fn start() -> Self {
        let redis = Redis::start();
        let store = redis.store();
        let key = store.document("incidents");
        Self { redis, store, process: Process::current().unwrap(), key }
    }

    fn hold(&self, token: &str, may_acquire: bool) -> DocumentTurn {
        let held = self.store.hold(&self.process, &self.key, token, may_acquire);
        self.process.runtime.block_on(held).unwrap().turn
    }

    fn fence(&self, token: &str) -> u64 {
        match self.hold(token, true) {
            DocumentTurn::Holder(fence) => fence,
            DocumentTurn::Other(left) => panic!("held by another host for {left:?}"),
        }
    }

    fn write(&self, fence: u64, value: &[u8]) -> DocumentStored {
        self.write_after(DocumentMark::default(), fence, value)
    }

    fn write_after(&self, last: DocumentMark, fence: u64, value: &[u8]) -> DocumentStored {
        let stored = self.store.store_document(&self.process, &self.key, fence, last, value);
        self.process.runtime.block_on(stored).unwrap()
    }

    fn read(&self) -> Option<(DocumentMark, Vec<u8>)> {
        let found = self.process.runtime.block_on(self.store.load(&self.process, &self.key)).unwrap()?;
        assert!(found.age < Duration::from_secs(60));
        Some((found.mark, found.value))
    }

    fn release(&self, token: &str) {
        self.process.runtime.block_on(self.store.release_document(&self.process, &self.key, token)).unwrap();
    }
}

#[test]
fn document_is_written_by_one_host_and_a_late_writer_is_refused() {
    let hosts = Hosts::start();
    assert_eq!(hosts.hold("a", false), DocumentTurn::Other(Duration::ZERO), "nobody's, and not requested");
    assert_eq!(hosts.read(), None);
    let first = hosts.fence("a");
    assert_eq!(hosts.fence("a"), first, "renewed");
    assert!(
        matches!(hosts.hold("b", true), DocumentTurn::Other(left) if !left.is_zero() && left <= DOCUMENT_LEASE * 2)
    );
    let mark = |fence, revision| DocumentMark { fence, revision };
    assert_eq!(hosts.write(first, b"one"), DocumentStored::Yes(mark(first, 1)));
    assert_eq!(hosts.write(first, b"two"), DocumentStored::Yes(mark(first, 2)));
    assert_eq!(hosts.read(), Some((mark(first, 2), b"two".to_vec())));
    hosts.release("b");
    assert_eq!(hosts.fence("a"), first, "only its holder gives it back");
    hosts.release("a");
    let second = hosts.fence("b");
    assert!(second > first);
    // Also before the new holder has stored anything.
    assert_eq!(hosts.write(first, b"late"), DocumentStored::Late);
    assert_eq!(hosts.write(second, b"three"), DocumentStored::Yes(mark(second, 1)));
    assert_eq!(hosts.write(first, b"late"), DocumentStored::Late);
    assert_eq!(hosts.read(), Some((mark(second, 1), b"three".to_vec())));
    let lost = hosts.write_after(mark(second, 8), second, b"three");
    assert_eq!(lost, DocumentStored::Yes(mark(second, 9)), "the server has lost what followed");
    assert_eq!(hosts.write(second, &vec![0; DOCUMENT_CAPACITY + 1]), DocumentStored::TooLarge);
    assert!(mark(second, 1) > mark(first, 2));
}

#[test]
fn holder_of_an_emptied_server_has_a_higher_fence_and_the_lease_says_when_to_ask() {
    let hosts = Hosts::start();
    let first = hosts.fence("a");
    assert!(matches!(hosts.write(first, b"one"), DocumentStored::Yes(_)));
    assert_eq!(hosts.redis.command("FLUSHALL").unwrap(), "+OK\r\n");
    let mut lease = DocumentLease::new(&hosts.store, "incidents", "a".to_owned());
    assert!(lease.is_due() && lease.fence().is_none());
    let state = hosts.process.runtime.block_on(lease.hold(&hosts.store, &hosts.process, true)).unwrap();
    assert_eq!((state.mark, lease.is_due()), (None, false));
    assert!(lease.fence().unwrap() > first);
    let mut other = DocumentLease::new(&hosts.store, "incidents", "b".to_owned());
    hosts.process.runtime.block_on(other.hold(&hosts.store, &hosts.process, true)).unwrap();
    assert_eq!((other.fence(), other.is_due()), (None, false), "it waits until the other lease has run out");
    let holder = hosts.store.document_holder(&hosts.process, lease.key());
    assert_eq!(hosts.process.runtime.block_on(holder).unwrap().map(|(token, _)| token), Some("a".to_owned()));
    lease.forget();
    assert!(lease.is_due() && lease.fence().is_none());
}
