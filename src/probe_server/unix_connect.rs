//! Connects to Unix sockets within a time limit.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

/// Connects within `timeout`. `UnixStream::connect` waits without limit while the listener's queue is full.
pub fn connect_within(address: &SocketAddrUnix, timeout: Duration) -> io::Result<UnixStream> {
    #[cfg(target_os = "linux")]
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, rustix::net::SocketFlags::CLOEXEC, None)?;
    #[cfg(not(target_os = "linux"))]
    let socket = {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        socket
    };
    set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    match rustix::net::connect(&socket, address) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// As [`connect_within`], to the socket at a path.
pub fn connect_path_within(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    connect_within(&SocketAddrUnix::new(path)?, timeout)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    #[test]
    fn connect_to_full_queue_times_out() {
        let path = std::env::temp_dir().join(format!("lifesigns-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let started = Instant::now();
        let timeout = Duration::from_millis(100);
        let connections: Vec<_> = (0..3).map(|_| connect_path_within(&path, timeout)).collect();
        std::fs::remove_file(&path).unwrap();
        assert!(connections.first().unwrap().is_ok());
        let last = connections.last().unwrap().as_ref();
        assert_eq!(last.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
