//! Signals a process that is wedged: a signal handler in C needs no interpreter.

use std::time::Duration;

use super::own_present_lag;

/// How often it looks at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sends this process `signal` each time that it gets wedged. The handler of the signal must not need the interpreter.
pub async fn signal_when_wedged(signal: i32, after: Duration) {
    let mut was_wedged = false;
    loop {
        // It cannot be wedged before it has lagged for so long, however long it has by now.
        let lag = own_present_lag().map_or(Duration::ZERO, |lag| lag.worst());
        tokio::time::sleep(after.saturating_sub(lag).max(LOOK_EVERY)).await;
        let is_wedged = own_present_lag().is_some_and(|lag| lag.worst() >= after);
        if is_wedged && !was_wedged {
            raise_if_handled(signal);
        }
        was_wedged = is_wedged;
    }
}

/// Sends the calling thread a signal; its handler has returned then.
pub fn raise_if_handled(signal: i32) {
    if is_handled(signal) {
        // SAFETY: raises a signal that has a handler.
        #[allow(unsafe_code, reason = "there is no safe way to send a signal to oneself")]
        unsafe {
            libc::raise(signal);
        }
    }
}

/// Whether the signal has a handler: without one it would end the process.
fn is_handled(signal: i32) -> bool {
    // SAFETY: reads the present handler and changes nothing; zeroed is a valid value of this plain C struct.
    #[allow(unsafe_code, reason = "there is no safe way to read a signal's handler")]
    let (code, action) = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let code = libc::sigaction(signal, std::ptr::null(), &raw mut action);
        (code, action)
    };
    code == 0 && action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}
