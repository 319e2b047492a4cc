//! The process of a command: started in a group of its own, read, ended with all that it started.
//!
//! All of it is on one thread for blocking work, which lives as long as the process. It keeps the deadline itself: the
//! run that waits for it is dropped at the deadline, and the thread then ends the group by SIGTERM, and by SIGKILL
//! [`GRACE`] later. A check that runs again meanwhile waits for that end, and then starts its own process.

use std::fs;
use std::future::pending;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::show::show;
use super::{CommandCheck, Exit, groups};
use crate::checks::fields::printable;
use crate::model::{CheckError, Phase, Secret};
use crate::net::os_error_text;
use crate::runtime::Context;
use crate::runtime::blocking::single_flight;
use crate::runtime::close_on_fork::NotInherited;

/// How much a command may write, in bytes, before it is ended.
const MAX_WRITTEN: usize = 1 << 20;
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at a process that writes nothing. One that ends closes its output, which is noticed at once.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What one process came to.
#[derive(Clone)]
enum Ended {
    ByItself(Exit),
    AtDeadline,
    Failed(CheckError),
}

/// Runs the command, or waits for the one with the same words that is running.
pub async fn run(check: &CommandCheck, context: &Context) -> Result<Exit, CheckError> {
    context.enter(Phase::Query);
    let key = key(check, context.timeout());
    loop {
        let left = context.time_left();
        if left.is_zero() {
            // The runner ends this run.
            pending::<()>().await;
        }
        let (check, deadline) = (check.clone(), Instant::now() + left);
        match single_flight(&context.process, &key, move || execute(&check, deadline)).await? {
            Ended::ByItself(exit) => return Ok(exit),
            Ended::Failed(error) => return Err(error),
            // Of an earlier run.
            Ended::AtDeadline => {}
        }
    }
}

/// What distinguishes a command, and what is kept of its output, from others: one with another timeout would be ended at
/// the wrong time. It holds secrets, and is never shown.
fn key(check: &CommandCheck, timeout: Duration) -> String {
    let argv: Vec<_> = check.argv.iter().map(Secret::expose).collect();
    let environment: Vec<_> = check.environment.iter().map(|(name, value)| (name, value.expose())).collect();
    format!("{argv:?} {environment:?} {:?} {:?} {} {timeout:?}", check.cwd, check.text, check.show_output)
}

fn execute(check: &CommandCheck, deadline: Instant) -> Ended {
    let program = check.program();
    let (mut child, mut output) = match start(check) {
        Ok(started) => started,
        Err(error) => {
            let text = unusable_directory(check)
                .unwrap_or_else(|| format!("{program} cannot be started: {}", os_error_text(&error)));
            return Ended::Failed(CheckError::Configuration(text));
        }
    };
    let group = Pid::from_child(&child);
    let watched = output.watch(group, deadline);
    if !matches!(watched, CommandEnd::Exited) {
        kill_process_group(group, Signal::TERM).ok();
        output.discard_until_exit(group, Instant::now() + GRACE);
    }
    // The process itself, or what it has left behind: its number is not given away before `wait`.
    kill_process_group(group, Signal::KILL).ok();
    groups::remove(group);
    let status = child.wait();
    match (watched, status) {
        (CommandEnd::AtDeadline, _) => Ended::AtDeadline,
        (CommandEnd::TooLarge, _) => {
            Ended::Failed(CheckError::TooLarge { target: program.to_owned(), limit: MAX_WRITTEN })
        }
        (CommandEnd::Exited, Ok(status)) => {
            let has_text = |text: &str| String::from_utf8_lossy(&output.kept).contains(text);
            Ended::ByItself(Exit {
                code: status.code(),
                signal: status.signal(),
                has_text: check.text.as_deref().is_none_or(has_text),
                shown: check.show_output.then(|| show(check, &output.kept)),
            })
        }
        (CommandEnd::Exited, Err(_)) => Ended::Failed(CheckError::Configuration(format!(
            "the exit code of {program} is lost: this process ignores SIGCHLD, or waits for children that are not its own"
        ))),
    }
}

/// Why the command cannot be run in its directory: the error of the start does not tell this from a missing program.
fn unusable_directory(check: &CommandCheck) -> Option<String> {
    let directory = check.cwd.as_deref()?;
    let reason = match fs::metadata(directory) {
        Err(error) => os_error_text(&error),
        Ok(found) if !found.is_dir() => "it is no directory".to_owned(),
        Ok(_) => os_error_text(&access(directory, Access::EXEC_OK).err()?.into()),
    };
    Some(format!("cwd {} cannot be used: {reason}", printable(&directory.to_string_lossy())))
}

/// Starts it with nothing but its own output open: neither sockets nor files of this process.
fn start(check: &CommandCheck) -> io::Result<(Child, Output)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    let mut command = Command::new(check.program());
    command.args(check.argv.iter().skip(1).map(Secret::expose));
    command.envs(check.environment.iter().map(|(name, value)| (name, value.expose())));
    if let Some(directory) = &check.cwd {
        command.current_dir(directory);
    }
    // A group of its own: Ctrl-C in the terminal is for this process, and the deadline for all that the command starts.
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    // SAFETY: between fork and exec it makes system calls only, which are async-signal-safe.
    #[allow(
        unsafe_code,
        reason = "descriptors that are not marked close-on-exec, as a server's listeners, stay open else"
    )]
    unsafe {
        command.pre_exec(before_exec);
    }
    let child = command.spawn()?;
    groups::add(Pid::from_child(&child));
    Ok((child, Output { reader: NotInherited::new(reader), is_open: true, kept: Vec::new(), written: 0 }))
}

/// In the child: have all descriptors but the standard ones closed by `exec`, and the process end with this one.
fn before_exec() -> io::Result<()> {
    const FIRST: libc::c_int = 3;
    // Not every C library's headers have it.
    #[cfg(target_os = "linux")]
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    #[allow(unsafe_code, reason = "std has no call for it")]
    // SAFETY: system calls with numbers for arguments.
    unsafe {
        #[cfg(target_os = "linux")]
        {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(libc::SIGKILL.unsigned_abs()));
            if libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) == 0 {
                return Ok(());
            }
        }
        // Before Linux 5.11, and elsewhere.
        let limit = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 65_536);
        for descriptor in FIRST..libc::c_int::try_from(limit).unwrap_or(256) {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// How watching a process ended.
enum CommandEnd {
    Exited,
    AtDeadline,
    TooLarge,
}

/// What a command writes, to its standard output and its standard error.
struct Output {
    reader: NotInherited<PipeReader>,
    is_open: bool,
    kept: Vec<u8>,
    written: usize,
}

impl Output {
    /// Reads until the process exits, the deadline passes, or too much was written.
    fn watch(&mut self, group: Pid, deadline: Instant) -> CommandEnd {
        let mut pause = FIRST_PAUSE;
        loop {
            let exited = has_exited(group);
            // Once more after its end: the last words. A process that it left behind may hold the output open.
            let read = self.read();
            if self.written > MAX_WRITTEN {
                return CommandEnd::TooLarge;
            }
            if exited {
                return CommandEnd::Exited;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return CommandEnd::AtDeadline;
            }
            pause = if read { FIRST_PAUSE } else { (2 * pause).min(LONGEST_PAUSE) };
            self.wait(pause.min(left));
        }
    }

    fn discard_until_exit(&mut self, group: Pid, deadline: Instant) {
        self.written = 0;
        while let CommandEnd::TooLarge = self.watch(group, deadline) {
            self.written = 0;
        }
    }

    /// Reads what there is, up to a limit; whether there was anything.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let before = self.written;
        while self.is_open && self.written <= MAX_WRITTEN {
            match self.reader.read(&mut chunk) {
                Ok(0) => self.is_open = false,
                Ok(length) => {
                    let room = MAX_WRITTEN.saturating_sub(self.kept.len()).min(length);
                    self.kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
                    self.written += length;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.is_open = false,
            }
        }
        self.written > before
    }

    /// Until there is something to read, at most for so long.
    fn wait(&self, at_most: Duration) {
        if !self.is_open {
            sleep(at_most);
            return;
        }
        let timeout = Timespec::try_from(at_most).ok();
        // A signal that interrupts it only makes it look sooner.
        poll(&mut [PollFd::new(&*self.reader, PollFlags::IN)], timeout.as_ref()).ok();
    }
}

/// Whether the process has ended; it is not reaped yet, so that its number stays its own.
fn has_exited(process: Pid) -> bool {
    let looked = waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
    // An error: another part of this process has reaped it.
    !matches!(looked, Ok(None))
}
