//! Ends a worker whose interpreter is held, so that its server starts another; and has gunicorn replace all of them.
//!
//! Neither needs the interpreter.

use std::io::Write;
use std::time::Duration;

use rustix::process::{Signal, getppid, kill_process};

use super::server::{handles_hangup, server_name};
use crate::engine::Engine;
use crate::monitor::{Lag, own_present_lag, raise_if_handled, siblings};
use crate::policy::action::{ActionResult, Situation};

/// With what a worker ends: an error of the software, by `sysexits.h`. gunicorn takes 3 and 4 for a failed start.
const EXIT_CODE: i32 = 70;

/// Whether this process is to be ended: its interpreter is held, and others serve.
pub fn judge(engine: &Engine, after: Duration, situation: &mut Situation) {
    let is_wedged = |lag: &Lag| lag.worst() >= after;
    situation.can_act = own_present_lag().is_some_and(|lag| is_wedged(&lag));
    if !situation.can_act {
        return;
    }
    let siblings = siblings(engine.scope());
    let wedged = siblings.iter().filter(|status| is_wedged(&status.lag)).count();
    let serving = siblings.iter().filter(|status| !status.draining && !is_wedged(&status.lag)).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (situation.failing, situation.total) = (count(wedged + 1), count(siblings.len() + 1));
    situation.forbidden = match server_name() {
        None => Some("no server is known that would start another worker".to_owned()),
        Some(_) if serving == 0 => Some("it is the last worker that serves".to_owned()),
        Some(_) => None,
    };
}

/// Writes the stacks of all threads to standard error, and ends this process, unless its interpreter runs again.
pub fn end_process(after: Duration, signal: Option<i32>) -> ActionResult {
    let Some(lag) = own_present_lag().filter(|lag| lag.worst() >= after) else { return ActionResult::GivenBack };
    let (pid, seconds) = (std::process::id(), lag.worst().as_secs());
    let server = server_name().unwrap_or("its server");
    // Not by the log, which needs the interpreter. Nothing is left to do where it cannot be written.
    let _ = writeln!(
        std::io::stderr(),
        "lifesigns: the interpreter of worker {pid} has not run for {seconds} s; it ends, so that {server} starts \
         another. The stacks of its threads:"
    );
    if let Some(signal) = signal {
        raise_if_handled(signal);
    }
    // SAFETY: ends the process at once: no handler runs that would wait for the interpreter.
    #[allow(unsafe_code, reason = "std's exit runs the handlers of the process, which wait for the interpreter")]
    unsafe {
        libc::_exit(EXIT_CODE)
    }
}

/// Whether the parent of this process is gunicorn's master: not a worker that has forked it, nor a shell.
pub fn is_under_gunicorn() -> bool {
    server_name() == Some("gunicorn") && handles_hangup()
}

/// Has gunicorn start new workers and end the present ones, each once it has served its requests.
pub fn reload_master() -> ActionResult {
    match getppid().filter(|_| is_under_gunicorn()) {
        None => ActionResult::Failed("the parent of this process is not gunicorn's master".to_owned()),
        Some(master) => match kill_process(master, Signal::HUP) {
            Ok(()) => ActionResult::Done(format!("gunicorn's master {} reloads its workers", master.as_raw_pid())),
            Err(error) => ActionResult::Failed(format!("gunicorn's master cannot be signalled ({})", error.kind())),
        },
    }
}
