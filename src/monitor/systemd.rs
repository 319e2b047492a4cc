//! Notifies systemd that the process is ready and alive: READY=1, WATCHDOG=1 and STOPPING=1 to `$NOTIFY_SOCKET`.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::sleep;

use crate::monitor::{self, Requires};
use crate::runtime::process;
use crate::state::Scope;

/// How often readiness is checked where systemd expects no watchdog messages.
const READY_INTERVAL: Duration = Duration::from_secs(1);

/// The socket to systemd.
pub struct Systemd {
    socket: UnixDatagram,
    /// How often it expects a watchdog message, if it does.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says; none if systemd did not start this process, or expects no notifications.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else { return Ok(None) };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(&path)?)?;
        // Where systemd is slow to read, a message is dropped; the next one replaces it.
        socket.set_nonblocking(true)?;
        let variable = |name: &str| env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
        Ok(Some(Self { socket, watchdog }))
    }

    /// Sends READY=1 once the service is alive, and WATCHDOG=1 for as long as it is.
    pub async fn notify(self, scope: Scope, wedged_after: Duration, requires: Requires) {
        monitor::acquire_to_notice(wedged_after);
        // Twice as often as it must be, as systemd's manual advises.
        let every = self.watchdog.map_or(READY_INTERVAL, |watchdog| watchdog / 2);
        let (mut ready, mut stopping) = (false, false);
        loop {
            let is_alive = monitor::wedged(&monitor::lags(&scope), wedged_after, requires).is_none();
            if is_alive && !ready {
                ready = self.send("READY=1");
            }
            if is_alive && self.watchdog.is_some() {
                self.send("WATCHDOG=1");
            }
            if process::draining() && !stopping {
                stopping = self.send("STOPPING=1");
            }
            sleep(every).await;
        }
    }

    fn send(&self, message: &str) -> bool {
        self.socket.send(message.as_bytes()).is_ok()
    }
}

fn address(path: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}

/// How often systemd expects a watchdog message of the process with the id `own`.
fn watchdog(microseconds: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 0 && is_meant)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchdog_for_this_process_has_an_interval() {
        let second = Some(Duration::from_secs(1));
        let table = [
            (Some("1000000"), None, second),
            (Some("1000000"), Some("7"), second),
            (Some("1000000"), Some("8"), None),
            (Some("1000000"), Some(""), None),
            (Some("0"), Some("7"), None),
            (Some("soon"), None, None),
            (Some("-1"), None, None),
            (None, Some("7"), None),
        ];
        for (microseconds, pid, expected) in table {
            let found = watchdog(microseconds.map(str::to_owned), pid.map(str::to_owned), 7);
            assert_eq!(found, expected, "{microseconds:?} {pid:?}");
        }
    }
}
