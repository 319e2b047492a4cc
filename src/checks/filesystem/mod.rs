//! The checks of file systems: space and inodes left, and directories that must be writable or readable.

mod directories;
mod disk;
mod disk_usage;
mod write_test;

use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::timeout;

use crate::model::{CheckError, Status};
use crate::runtime::Context;
use crate::runtime::blocking::short_single_flight;

pub use directories::DirectoriesCheck;
pub use disk::DiskCheck;

/// Orders statuses by how bad they are.
fn severity(status: Status) -> u8 {
    match status {
        Status::Healthy | Status::Skipped => 0,
        Status::Degraded => 1,
        Status::Error => 2,
    }
}

/// The results of work on several paths, of which none waits for another that blocks. `None` where one has not returned
/// shortly before the check's deadline: a mount that hangs hides none of the others. `seconds` is the check's timeout.
struct PathResults<R> {
    results: Vec<(String, Option<R>)>,
    seconds: Duration,
}

async fn each_path<R, W>(context: &Context, work: Vec<(String, W)>) -> Result<PathResults<R>, CheckError>
where
    R: Clone + Send + Sync + 'static,
    W: FnOnce() -> R + Send + 'static,
{
    let left = context.time_left();
    // Early enough to be the one that reports it, and late enough to be at the timeout.
    let wait = left - (left / 20).min(Duration::from_millis(50));
    let results = join_all(work.into_iter().map(|(key, work)| async move {
        let result = timeout(wait, short_single_flight(&context.process, &key, work)).await;
        Ok((key, result.ok().transpose()?))
    }));
    let results = results.await.into_iter().collect::<Result<_, CheckError>>()?;
    Ok(PathResults { results, seconds: context.timeout() })
}

/// The error of a check of which some paths have not answered.
fn hung(paths: &[String], after: Duration) -> CheckError {
    CheckError::PathTimeout { after, paths: paths.join(", ") }
}
