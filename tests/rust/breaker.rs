//! The circuit breaker: its rules one by one, then random histories against a naive model.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use lifesigns::model::BreakerOptions;
use lifesigns::model::{CircuitMode, CircuitState, Transition};
use lifesigns::policy::breaker::{Breaker, CallResult, Permit, Refused};
use tokio::time::Instant;

use CallResult::{Failure, Ignored, Success};

mod model;

const LEASE: Duration = Duration::from_secs(10);
const QUICK: Duration = Duration::from_millis(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A breaker on a clock that only the test moves.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(spec: BreakerOptions) -> Self {
        Self { breaker: Breaker::new(spec, LEASE, 42), now: Instant::now() }
    }

    fn acquire(&mut self) -> Result<Permit, Refused> {
        self.breaker.acquire(self.now)
    }

    fn record(&mut self, permit: Permit, call_result: CallResult) -> Option<Transition> {
        self.breaker.record(permit, call_result, QUICK, self.now)
    }

    fn call(&mut self, call_result: CallResult) -> Option<Transition> {
        self.call_taking(call_result, QUICK)
    }

    fn call_taking(&mut self, call_result: CallResult, took: Duration) -> Option<Transition> {
        let permit = self.acquire().unwrap();
        self.breaker.record(permit, call_result, took, self.now)
    }

    fn state(&self) -> CircuitState {
        self.breaker.state(self.now)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.breaker.retry_after(self.now)
    }

    /// Three failures, as the default specification wants them.
    fn open(&mut self) {
        for _ in 0..3 {
            self.call(Failure);
        }
    }

    /// Opens it and lets the wait pass.
    fn half_open(spec: BreakerOptions) -> Self {
        let mut bench = Self::new(spec);
        bench.open();
        bench.now += bench.retry_after().unwrap();
        assert_eq!(bench.state(), CircuitState::HalfOpen);
        bench
    }
}

#[test]
fn opens_by_its_rules() {
    let off = || BreakerOptions { failures: None, ..BreakerOptions::default() };
    let failures = || BreakerOptions { failures: Some(3), ..off() };
    let rate = || BreakerOptions { failure_rate: Some(0.5), minimum_calls: 4, window_calls: 6, ..off() };
    let slow = || BreakerOptions { slow_call_rate: Some(1.0), minimum_calls: 2, window_calls: 2, ..off() };
    // f/s/i: quick failure, success, ignored; F/S/I: the same, slower than `slow_call`; number: seconds that pass.
    let table = [
        ("three in a row", failures(), "fff", true),
        ("two in a row", failures(), "ff", false),
        ("a success between", failures(), "ffsff", false),
        ("ignored ones neither count nor interrupt", failures(), "ffif", true),
        ("failures in a row do not age", failures(), "f 9000 f 9000 f", true),
        ("half of four", rate(), "fsfs", true),
        ("half, but too few", rate(), "fsf", false),
        ("less than half", rate(), "sssfsssf", false),
        ("old successes fall out of the window", rate(), "ssssss fff", true),
        ("old calls age out", rate(), "fff 601 s", false),
        ("ignored calls are no calls", rate(), "fffii", false),
        ("all slow", slow(), "SS", true),
        ("slow failures are slow too", slow(), "FS", true),
        ("one of two slow", slow(), "Ss", false),
        ("ignored slow ones do not count", slow(), "SIs", false),
        ("slow calls without the rule", failures(), "SSSSSS", false),
    ];
    for (name, spec, history, opens) in table {
        let mut bench = Bench::new(spec);
        let mut opened = None;
        for word in history.split(' ') {
            if let Ok(seconds) = word.parse() {
                bench.now += secs(seconds);
                continue;
            }
            for letter in word.chars() {
                let took = if letter.is_uppercase() { secs(2) } else { QUICK };
                let call_result = match letter.to_ascii_lowercase() {
                    'f' => Failure,
                    's' => Success,
                    _ => Ignored,
                };
                opened = bench.call_taking(call_result, took);
            }
        }
        let expected = opens.then_some(Transition { from: CircuitState::Closed, to: CircuitState::Open });
        assert_eq!(opened, expected, "{name}");
        assert_eq!(bench.state() == CircuitState::Open, opens, "{name}");
    }
}

#[test]
fn open_refuses_until_the_wait_is_over() {
    let mut bench = Bench::new(BreakerOptions::default());
    bench.open();
    assert_eq!(bench.acquire().unwrap_err(), Refused { state: CircuitState::Open, retry_after: Some(secs(30)) });
    bench.now += secs(29);
    assert_eq!(bench.acquire().unwrap_err(), Refused { state: CircuitState::Open, retry_after: Some(secs(1)) });
    bench.now += secs(1);
    assert_eq!((bench.state(), bench.retry_after()), (CircuitState::HalfOpen, None));
    let trial = bench.acquire().unwrap();
    assert!(trial.is_trial);
    assert_eq!(trial.transition, Some(Transition { from: CircuitState::Open, to: CircuitState::HalfOpen }));
}

#[test]
fn half_open_admits_one_trial_at_a_time() {
    let mut bench = Bench::half_open(BreakerOptions::default());
    let trial = bench.acquire().unwrap();
    assert_eq!(bench.acquire().unwrap_err(), Refused { state: CircuitState::HalfOpen, retry_after: Some(LEASE) });
    assert_eq!(bench.record(trial, Ignored), None);
    assert_eq!((bench.state(), bench.retry_after()), (CircuitState::HalfOpen, None));
    let next = bench.acquire().unwrap();
    assert!(next.is_trial && next.transition.is_none());
    assert_eq!(
        bench.record(next, Success),
        Some(Transition { from: CircuitState::HalfOpen, to: CircuitState::Closed })
    );
    assert_eq!(bench.state(), CircuitState::Closed);
}

#[test]
fn lost_trial_is_written_off_after_its_lease() {
    let mut bench = Bench::half_open(BreakerOptions::default());
    let lost = bench.acquire().unwrap();
    bench.now += LEASE;
    let next = bench.acquire().unwrap();
    assert!(next.is_trial);
    assert_eq!(bench.record(lost, Success), None, "its result is not counted any more");
    assert_eq!(bench.state(), CircuitState::HalfOpen);
    assert!(bench.acquire().is_err(), "the second trial is under way");
    bench.record(next, Success);
    assert_eq!(bench.state(), CircuitState::Closed);
}

#[test]
fn failed_trials_double_the_wait_up_to_its_cap() {
    let spec = BreakerOptions { wait: secs(30), max_wait: secs(200), ..BreakerOptions::default() };
    let mut bench = Bench::half_open(spec);
    for nominal in [60.0, 120.0, 200.0, 200.0] {
        assert_eq!(bench.call(Failure), Some(Transition { from: CircuitState::HalfOpen, to: CircuitState::Open }));
        let wait = bench.retry_after().unwrap();
        let bounds = nominal * 0.9..=f64::min(nominal * 1.1, 200.0);
        assert!(bounds.contains(&wait.as_secs_f64()), "{wait:?} is not in {bounds:?}");
        bench.now += wait;
    }
    bench.call(Success);
    bench.open();
    assert_eq!(bench.retry_after(), Some(secs(30)), "a success resets the wait");
}

#[test]
fn jitter_differs_by_seed_and_is_repeatable() {
    let wait = |seed| {
        let mut bench = Bench::half_open(BreakerOptions::default());
        bench.breaker = Breaker::new(BreakerOptions::default(), LEASE, seed);
        bench.open();
        bench.now += bench.retry_after().unwrap();
        bench.call(Failure);
        bench.retry_after().unwrap()
    };
    assert_eq!(wait(1), wait(1));
    let different: std::collections::HashSet<_> = (0..50).map(wait).collect();
    assert_eq!(different.len(), 50);
}

#[test]
fn slow_trial_fails_where_slowness_counts() {
    let spec = BreakerOptions { slow_call_rate: Some(0.5), ..BreakerOptions::default() };
    let mut bench = Bench::half_open(spec);
    assert_eq!(bench.call_taking(Success, secs(2)).unwrap().to, CircuitState::Open);
    let mut bench = Bench::half_open(BreakerOptions::default());
    assert_eq!(bench.call_taking(Success, secs(2)).unwrap().to, CircuitState::Closed);
}

#[test]
fn results_from_before_a_change_are_not_counted() {
    let mut bench = Bench::new(BreakerOptions::default());
    let early: Vec<_> = (0..8).map(|_| bench.acquire().unwrap()).collect();
    bench.open();
    bench.now += secs(30);
    let trial = bench.acquire().unwrap();
    let mut early = early.into_iter();
    assert_eq!(bench.record(early.next().unwrap(), Success), None);
    assert_eq!(bench.state(), CircuitState::HalfOpen, "a late success does not close it");
    bench.record(trial, Success);
    for permit in early {
        assert_eq!(bench.record(permit, Failure), None);
    }
    assert_eq!(bench.state(), CircuitState::Closed, "late failures do not open it");
}

#[test]
fn operator_overrules_the_results_until_reset() {
    let mut bench = Bench::new(BreakerOptions::default());
    let before = bench.acquire().unwrap();
    assert_eq!(bench.breaker.force_open(), Some(Transition { from: CircuitState::Closed, to: CircuitState::Open }));
    assert_eq!(bench.breaker.force_open(), None);
    bench.now += secs(100_000);
    assert_eq!(bench.acquire().unwrap_err(), Refused { state: CircuitState::Open, retry_after: None });
    assert_eq!(bench.record(before, Success), None);
    assert_eq!(bench.breaker.reset(), Some(Transition { from: CircuitState::Open, to: CircuitState::Closed }));

    for (mode, force) in [
        (CircuitMode::ForcedClosed, Breaker::force_closed as fn(&mut Breaker) -> Option<Transition>),
        (CircuitMode::Disabled, Breaker::disable),
    ] {
        let mut bench = Bench::half_open(BreakerOptions::default());
        assert_eq!(force(&mut bench.breaker), Some(Transition { from: CircuitState::Open, to: CircuitState::Closed }));
        (0..20).for_each(|_| assert_eq!(bench.call(Failure), None));
        assert_eq!((bench.state(), bench.breaker.mode()), (CircuitState::Closed, mode));
        assert_eq!(bench.breaker.reset(), None);
        assert_eq!(bench.breaker.mode(), CircuitMode::Automatic);
        bench.open();
        assert_eq!((bench.state(), bench.retry_after()), (CircuitState::Open, Some(secs(30))));
    }
}

#[test]
fn earlier_time_than_before_is_no_fault() {
    let mut bench = Bench::new(BreakerOptions::default());
    bench.now += secs(5);
    bench.open();
    bench.now -= secs(5);
    assert_eq!((bench.state(), bench.retry_after()), (CircuitState::Open, Some(secs(30))));
}

#[test]
fn states_are_named_as_in_the_result() {
    for (state, name) in
        [(CircuitState::Closed, "closed"), (CircuitState::Open, "open"), (CircuitState::HalfOpen, "half-open")]
    {
        assert_eq!(state.as_str(), name);
        assert_eq!(serde_json::to_value(state).unwrap(), name);
    }
}
