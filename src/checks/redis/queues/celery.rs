//! Celery's queues, as kombu lays them out: a list for each priority step, and what workers have taken in one hash.

use super::batch::{Batch, seconds};
use super::depths::Depths;
use super::discovery::Discovery;
use super::{Queues, age, now};
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// The sets of the queues that are bound to an exchange.
const BINDINGS: &str = "_kombu.binding.";

/// The keys of one application's transport.
pub struct CeleryKeys<'a> {
    pub priority_steps: &'a [u32],
    /// Between a queue and its step.
    pub separator: &'a str,
    pub unacked: &'a str,
    pub unacked_index: &'a str,
}

/// Ready messages are `LLEN` of the queue and of its priority steps. Those that workers have taken and not acknowledged,
/// among them those that are to run later, are in one hash for all queues of the database.
pub async fn pending(
    keys: &CeleryKeys<'_>,
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let names = discovery.names(queues);
    let mut batch = Batch::default();
    let lists = add_lists(&mut batch, keys, queues, &names);
    let taken = batch.add("HLEN", &[&format!("{}{}", queues.prefix, keys.unacked)]);
    let index = format!("{}{}", queues.prefix, keys.unacked_index);
    let oldest = batch.add("ZRANGE", &[&index, "0", "0", "WITHSCORES"]);
    let bindings = discovery.read_sets(&mut batch);
    let scan = discovery.scan(&mut batch, &format!("{}{BINDINGS}", queues.prefix), "");

    let replies = batch.send(link).await?;
    depths.add(&replies, &lists)?;
    if replies.is_known(taken, &mut depths.forbidden)? && replies.is_known(oldest, &mut depths.forbidden)? {
        let count = replies.count(taken)?;
        let since = replies.list(oldest)?.get(1).and_then(seconds).filter(|_| count > 0);
        depths.taken = Some(count);
        depths.oldest_taken = since.map(|since| age(now(), since));
    }
    let found = discovery.scanned(&replies, scan, &mut depths.forbidden)?;
    let mut members = discovery.members(&replies, bindings, &mut depths.forbidden)?;
    if !found.is_empty() {
        discovery.add_sets(found.into_iter().filter(|key| is_of_tasks(key)));
        let mut batch = Batch::default();
        let bindings = discovery.read_sets(&mut batch);
        let replies = batch.send(link).await?;
        members.extend(discovery.members(&replies, bindings, &mut depths.forbidden)?);
    }
    let bound = members.iter().filter_map(|member| bound_queue(member, keys.separator));
    let new = discovery.add(bound.map(str::to_owned), &names);
    if !new.is_empty() {
        let mut batch = Batch::default();
        let lists = add_lists(&mut batch, keys, queues, &new);
        depths.add(&batch.send(link).await?, &lists)?;
    }
    depths.note(discovery);
    Ok(depths)
}

type Lists = Vec<(String, Vec<super::batch::Sent>)>;

fn add_lists(batch: &mut Batch, keys: &CeleryKeys<'_>, queues: &Queues<'_>, names: &[String]) -> Lists {
    let lists = |name: &String| lists(queues.prefix, name, keys.separator, keys.priority_steps);
    let sent = |batch: &mut Batch, name| lists(name).iter().map(|key| batch.add("LLEN", &[key])).collect();
    names.iter().map(|name| (name.clone(), sent(batch, name))).collect()
}

/// The lists of a queue: the plain one, and one for each priority step but 0.
fn lists(prefix: &str, name: &str, separator: &str, steps: &[u32]) -> Vec<String> {
    let of_step = |step: &u32| format!("{prefix}{name}{separator}{step}");
    let plain = format!("{prefix}{name}");
    std::iter::once(plain).chain(steps.iter().filter(|step| **step != 0).map(of_step)).collect()
}

/// Whether an exchange is one of tasks: workers have others for events and for remote control.
fn is_of_tasks(key: &str) -> bool {
    let exchange = key.rsplit_once(BINDINGS).map_or("", |(_, exchange)| exchange);
    exchange != "celeryev" && !exchange.ends_with("pidbox")
}

/// The queue of a binding: `routing key, separator, pattern, separator, queue`.
fn bound_queue<'a>(member: &'a str, separator: &str) -> Option<&'a str> {
    let name = member.rsplit_once(separator)?.1;
    (!name.is_empty() && !name.starts_with("celeryev.") && !name.ends_with(".pidbox")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_each_step() {
        assert_eq!(lists("", "celery", "\x06\x16", &[0, 3, 6]), ["celery", "celery\x06\x163", "celery\x06\x166"]);
        assert_eq!(lists("shop:", "mail", ":", &[1]), ["shop:mail", "shop:mail:1"]);
        assert_eq!(lists("", "mail", ":", &[]), ["mail"]);
    }

    #[test]
    fn bound_queue_each_member() {
        for (member, name) in [
            ("mail\x06\x16\x06\x16mail", Some("mail")),
            ("\x06\x16\x06\x16celery@host.celery.pidbox", None),
            ("#\x06\x16.*\x06\x16celeryev.0a1b", None),
            ("mail\x06\x16\x06\x16", None),
            ("mail", None),
        ] {
            assert_eq!(bound_queue(member, "\x06\x16"), name, "{member:?}");
        }
    }

    #[test]
    fn exchanges_of_tasks_only() {
        for (key, expected) in [
            ("_kombu.binding.celery", true),
            ("shop:_kombu.binding.mail", true),
            ("_kombu.binding.celeryev", false),
            ("_kombu.binding.celery.pidbox", false),
            ("_kombu.binding.reply.celery.pidbox", false),
        ] {
            assert_eq!(is_of_tasks(key), expected, "{key}");
        }
    }
}
