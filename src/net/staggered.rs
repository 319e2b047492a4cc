//! Attempts that are started in turn, the next one as soon as one fails or is silent; the first success wins.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// The first success among `attempts`. All failed: the failure that says most, where `says_more` compares a new one with
/// the one kept so far; `None` without an attempt. Attempts that are still running are dropped.
pub async fn first_success<T, E, F>(
    attempts: Vec<F>,
    stagger: Duration,
    says_more: impl Fn(&E, &E) -> bool,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = attempts.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(attempt) => running.push(attempt),
            None if running.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(outcome) = running.next() => match outcome {
                Ok(success) => return Ok(success),
                Err(error) if failure.as_ref().is_none_or(|known| says_more(&error, known)) => failure = Some(error),
                Err(_) => {}
            },
            () = sleep(stagger), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn after(seconds: u64, outcome: Result<&'static str, u8>) -> Result<&'static str, u8> {
        sleep(Duration::from_secs(seconds)).await;
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn first_success_within_the_stagger_of_each_silent_one() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let found = first_success(vec![after(60, Ok("a")), after(0, Err(1)), after(5, Ok("c"))], second, |_, _| false);
        assert_eq!(found.await, Ok("c"));
        assert_eq!(start.elapsed().as_secs(), 6, "the second started after one second, the third when it failed");
    }

    #[tokio::test(start_paused = true)]
    async fn first_success_of_failures_the_one_that_says_most() {
        let failures = |codes: [u8; 3]| codes.map(|code| after(0, Err(code))).into_iter().collect::<Vec<_>>();
        let second = Duration::from_secs(1);
        assert_eq!(first_success(failures([1, 3, 2]), second, |new, known| new > known).await, Err(Some(3)));
        assert_eq!(first_success(failures([1, 3, 2]), second, |_, _| false).await, Err(Some(1)));
        assert_eq!(
            first_success(Vec::<std::future::Ready<Result<(), ()>>>::new(), second, |(), ()| true).await,
            Err(None)
        );
    }
}
