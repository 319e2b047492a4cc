//! Tells systemd that the process is ready and alive: READY=1, WATCHDOG=1 and STOPPING=1 to `$NOTIFY_SOCKET`.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::sleep;

use crate::monitor::{self, Requires};
use crate::runtime::process;
use crate::state::Scope;

/// How often to look where no watchdog is waiting to be told.
const LOOK: Duration = Duration::from_secs(1);

/// The way to systemd.
pub struct Systemd {
    socket: UnixDatagram,
    /// How often it wants to be told that the process is alive, if it does.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says; none if systemd did not start this process, or does not want to be told.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else { return Ok(None) };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(&path)?)?;
        // It is systemd that would be slow, and the next message that tells it.
        socket.set_nonblocking(true)?;
        let variable = |name: &str| env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
        Ok(Some(Self { socket, watchdog }))
    }

    /// Says that the process is ready once it is alive, and goes on to say that it is alive while it is.
    pub async fn tell(self, share: Scope, wedged_after: Duration, requires: Requires) {
        // Twice as often as it must be, as systemd's manual wants it.
        let every = self.watchdog.map_or(LOOK, |watchdog| watchdog / 2);
        let (mut ready, mut stopping) = (false, false);
        loop {
            let is_alive = monitor::wedged(&monitor::lags(&share), wedged_after, requires).is_none();
            if is_alive && !ready {
                ready = self.say("READY=1");
            }
            if is_alive && self.watchdog.is_some() {
                self.say("WATCHDOG=1");
            }
            if process::draining() && !stopping {
                stopping = self.say("STOPPING=1");
            }
            sleep(every).await;
        }
    }

    fn say(&self, what: &str) -> bool {
        self.socket.send(what.as_bytes()).is_ok()
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

/// How often systemd wants to hear of the process with the number `own`.
fn watchdog(microseconds: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 0 && is_meant)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_told_by_the_process_that_it_watches() {
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
