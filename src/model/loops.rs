//! How often a test tries random cases: in `make test` a few times, in `make soak` as often as it takes.

/// How often to try in this run.
pub(crate) fn times(few: u32, whole: u32) -> u32 {
    if std::env::var("LIFESIGNS_LOOPS").is_ok_and(|loops| loops == "whole") { whole } else { few }
}
