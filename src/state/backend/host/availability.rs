//! Whether a store can be used now: opened by a thread of its own, left alone for a while after a failure.
//!
//! ```text
//!   closed ──first use──► opening ──► open ──lost (removed, replaced, damaged)──► opening
//!                            │ ▲
//!                            ▼ └─after RETRY── failed
//!                         not responding: the thread still waits for the file system; open or failed once it returns
//! ```
//!
//! A path can be on something that blocks for ever, so no caller opens a file or looks up a path: a thread does, at most
//! one for each store, and callers wait for it until [`OPEN_TIMEOUT`] after its start. It is not one of the runtime's
//! blocking threads: those may all be occupied by checks, and callers without a runtime use stores, too. Every problem is
//! one diagnostic, until nothing has failed for [`RETRY`].

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::errors::Unusable;
use super::file::StoreFile;
use super::location;
use super::stale_files;
use crate::runtime::{diagnostics, lock};

/// How long callers wait for a store that is being opened.
pub const OPEN_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a store that failed is left alone.
pub const RETRY: Duration = Duration::from_secs(30);
/// Different problems that are reported before it works again.
const MAX_PROBLEMS: usize = 100;
/// How often to look whether the open file is still the one at the path: a little less often than the heartbeats do.
const VERIFY_EVERY: Duration = Duration::from_millis(2_400);

/// The store at one path, as far as this process can use it.
pub struct Availability {
    path: PathBuf,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    file: Option<Arc<StoreFile>>,
    /// Since when a thread opens or verifies the file.
    busy_since: Option<Instant>,
    verified: Option<Instant>,
    retry_at: Option<Instant>,
    /// What was reported, and when it last happened.
    problems: BTreeMap<String, Instant>,
}

impl Availability {
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, inner: Mutex::default(), changed: Condvar::new() })
    }

    fn publish(&self, is_warning: bool, text: &str) {
        diagnostics::publish(is_warning, format!("host store {}: {text}", self.path.display()));
    }

    /// The file, if it is open already.
    pub fn opened(&self) -> Option<Arc<StoreFile>> {
        self.inner.try_lock().ok()?.file.clone().filter(|file| !file.is_lost())
    }

    /// The file, if it can be used now; the first caller has it opened. Blocks for [`OPEN_TIMEOUT`] at most.
    pub fn file(self: &Arc<Self>) -> Option<Arc<StoreFile>> {
        let mut inner = lock(&self.inner);
        let mut started = false;
        loop {
            if inner.retry_at.is_some_and(|at| Instant::now() < at) {
                return None;
            }
            inner.retry_at = None;
            if let Some(file) = inner.file.as_ref().filter(|file| !file.is_lost()) {
                return Some(file.clone());
            }
            // A thread that verifies the file opens nothing: one is started after it.
            let Some(since) = inner.busy_since else {
                if started {
                    return None;
                }
                started = true;
                if !self.start(&mut inner, Self::open) {
                    self.fail_with(&mut inner, Unusable("no thread can be started".to_owned()));
                }
                continue;
            };
            let Some(rest) = OPEN_TIMEOUT.checked_sub(since.elapsed()).filter(|rest| !rest.is_zero()) else {
                self.report(&mut inner, "it does not respond".to_owned());
                return None;
            };
            inner = self.changed.wait_timeout(inner, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has a thread look whether the file is still the one at the path, unless that was done a moment ago. Does not block:
    /// the file is marked as lost when the result is there.
    pub fn verify_soon(self: &Arc<Self>, file: &StoreFile) {
        let mut inner = lock(&self.inner);
        let is_due = inner.verified.is_none_or(|at| at.elapsed() >= VERIFY_EVERY);
        if is_due && inner.busy_since.is_none() && !file.is_lost() {
            self.start(&mut inner, Self::verify);
        }
    }

    /// The same on the calling thread, which may block: no thread is started for it while some caller does this often.
    pub fn verify_here(&self) {
        let mut inner = lock(&self.inner);
        if inner.busy_since.is_some() || inner.file.as_ref().is_none_or(|file| file.is_lost()) {
            return;
        }
        inner.verified = Some(Instant::now());
        inner.busy_since = inner.verified;
        drop(inner);
        self.verify();
    }

    #[cfg(test)]
    pub fn verify_at_once(self: &Arc<Self>) {
        let mut inner = lock(&self.inner);
        if inner.busy_since.is_none() {
            self.start(&mut inner, Self::verify);
        }
    }

    fn start(self: &Arc<Self>, inner: &mut Inner, work: fn(&Self)) -> bool {
        let this = self.clone();
        let started = thread::Builder::new().name("lifesigns-store".to_owned()).spawn(move || work(&this)).is_ok();
        inner.verified = Some(Instant::now());
        inner.busy_since = inner.verified.filter(|_| started);
        started
    }

    fn verify(&self) {
        let file = lock(&self.inner).file.clone();
        if let Some(file) = file.filter(|file| !file.is_at(&self.path)) {
            file.mark_lost();
        }
        self.done(|_| {});
    }

    fn open(&self) {
        let known = lock(&self.inner).file.clone();
        let opened = match known.filter(|file| file.is_at(&self.path)) {
            // Not opened again: with POSIX locks, closing either descriptor would release all locks of this process.
            Some(file) => file.put_in_order().and_then(|replaced| {
                file.register()?;
                Ok((file, replaced))
            }),
            None => StoreFile::open(&self.path).map(|(file, replaced)| (Arc::new(file), replaced)),
        };
        let is_open = opened.is_ok();
        self.done(|inner| match opened {
            Ok((file, replaced)) => {
                if let Some(why) = replaced {
                    self.publish(true, &format!("{why}, and is replaced by an empty one"));
                }
                inner.file = Some(file);
            }
            Err(why) => self.fail_with(inner, why),
        });
        // Callers do not wait for this.
        if let Some(directory) = self.path.parent().filter(|path| is_open && *path == location::default_directory()) {
            stale_files::remove(directory, &[&self.path], SystemTime::now());
        }
    }

    fn done(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = lock(&self.inner);
        change(&mut inner);
        inner.busy_since = None;
        drop(inner);
        self.changed.notify_all();
    }

    /// Leaves the store alone for a while.
    pub fn fail(&self, why: impl Into<Unusable>) {
        self.fail_with(&mut lock(&self.inner), why.into());
    }

    fn fail_with(&self, inner: &mut Inner, Unusable(why): Unusable) {
        inner.retry_at = Some(Instant::now() + RETRY);
        self.report(inner, why);
    }

    /// Publishes one diagnostic for each problem.
    fn report(&self, inner: &mut Inner, why: String) {
        let is_new = !inner.problems.contains_key(&why);
        if is_new && inner.problems.len() < MAX_PROBLEMS {
            self.publish(true, &format!("cannot be used ({why}); each process checks for itself meanwhile"));
        }
        if !is_new || inner.problems.len() < MAX_PROBLEMS {
            inner.problems.insert(why, Instant::now());
        }
    }

    /// Reports a single operation that failed.
    pub fn report_failure(&self, error: io::Error) {
        self.report(&mut lock(&self.inner), Unusable::from(error).0);
    }

    pub fn report_full(&self) {
        let what = "it is full: some results are not shared".to_owned();
        self.report(&mut lock(&self.inner), what);
    }

    pub fn report_too_large(&self, check: &str) {
        let what = format!("the record of {check} is too large");
        self.report(&mut lock(&self.inner), what);
    }

    pub fn report_stuck(&self) {
        let what = "another process holds a record: is it stopped?".to_owned();
        self.report(&mut lock(&self.inner), what);
    }

    pub fn report_damage(&self) {
        self.publish(true, "a record was damaged, and is replaced");
    }

    /// Reports that the store works again, once nothing has failed for a while: on a full disk some records can still be
    /// written.
    pub fn report_success(&self) {
        let mut inner = lock(&self.inner);
        if !inner.problems.is_empty() && inner.problems.values().all(|at| at.elapsed() > RETRY) {
            inner.problems.clear();
            self.publish(false, "is used again");
        }
    }
}
