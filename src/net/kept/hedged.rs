//! A second attempt on a new connection, after one on a kept connection that is dead, or beside one that is silent.

use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::time::timeout;

use crate::model::CheckError;
use crate::runtime::Context;

/// Return the answer of `kept`, a request on a kept connection. Where that connection is dead (by the errors that `lost`
/// matches), run `anew`, the request on a new one. Where it is silent for half of the time that is left, run `anew` in
/// parallel; the first answer wins.
///
/// A firewall that has dropped an idle connection sends nothing, so silence may mean a dead connection or a slow server:
/// giving up the first attempt would fail the slow one, waiting for it alone the other.
pub async fn hedged<T>(
    context: &Context,
    kept: impl Future<Output = Result<T, CheckError>>,
    lost: impl Fn(&CheckError) -> bool,
    anew: impl Future<Output = Result<T, CheckError>>,
) -> Result<T, CheckError> {
    let mut kept = pin!(kept);
    match timeout(context.time_left() / 2, &mut kept).await {
        Ok(Err(error)) if lost(&error) => return anew.await,
        Ok(answer) => return answer,
        Err(_silent) => {}
    }
    match select(kept, pin!(anew)).await {
        Either::Left((Err(_), anew)) => anew.await,
        Either::Right((Err(_), kept)) => kept.await,
        Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::runtime::Process;

    fn error() -> Result<&'static str, CheckError> {
        Err(CheckError::Refused { target: "x".to_owned() })
    }

    async fn after(seconds: u64, answer: &'static str) -> Result<&'static str, CheckError> {
        sleep(Duration::from_secs(seconds)).await;
        Ok(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn hedged_first_answer_wins() {
        let context = || Context::new(Process::current().unwrap(), Duration::from_secs(10));
        let lost = |_: &CheckError| true;
        let never = async { unreachable!("the kept connection answers in time") };
        assert_eq!(hedged(&context(), after(4, "kept"), lost, never).await, Ok("kept"));
        assert_eq!(hedged(&context(), ready(error()), lost, ready(Ok("anew"))).await, Ok("anew"));
        assert_eq!(hedged(&context(), ready(error()), |_| false, ready(Ok("anew"))).await, error());
        assert_eq!(hedged(&context(), pending(), lost, after(1, "anew")).await, Ok("anew"));
        assert_eq!(hedged(&context(), after(7, "kept"), lost, after(9, "anew")).await, Ok("kept"));
        assert_eq!(hedged(&context(), after(7, "kept"), lost, ready(error())).await, Ok("kept"));
    }
}
