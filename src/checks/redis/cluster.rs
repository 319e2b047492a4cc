//! Sends commands to the nodes of a Redis Cluster that hold their keys, as the nodes themselves say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use redis::{Arg, Cmd, Value};

use super::connect::{KeptSession, target};
use super::errors::is_unreachable;
use super::sentinel::{STAGGER, plain_address};
use super::{RedisAddress, RedisServer};
use crate::model::CheckError;
use crate::net::first_success;
use crate::runtime::{Context, lock};

/// How often a key may have moved before the cluster is given up.
const ROUNDS: usize = 4;
/// How many keys' nodes are remembered.
const CAPACITY: usize = 10_000;

/// The node that was last found to hold a key.
type Places = Mutex<HashMap<Vec<u8>, RedisAddress>>;

/// The nodes that are known by configuration, and where keys were found.
pub struct ClusterNodes {
    nodes: Vec<RedisServer>,
    places: Arc<Places>,
}

impl ClusterNodes {
    pub fn new(context: &Context, nodes: &[RedisServer]) -> Self {
        let places = context.process.shared(&format!("places {nodes:?}"));
        Self { nodes: nodes.to_vec(), places }
    }

    /// Send each command to the node that holds its key: one round trip where all were found before.
    pub async fn send(&self, context: &Context, commands: &[Cmd]) -> Result<Vec<Value>, CheckError> {
        let mut replies = vec![Value::Nil; commands.len()];
        let mut waiting: Vec<usize> = (0..commands.len()).collect();
        for _ in 0..ROUNDS {
            let groups = self.by_node(commands, &waiting);
            waiting.clear();
            let attempts = groups.iter().map(|(node, places)| {
                let group: Vec<Cmd> = places.iter().filter_map(|place| commands.get(*place).cloned()).collect();
                async move { self.send_to(context, node.as_ref(), &group).await }
            });
            for ((node, places), outcome) in groups.iter().zip(join_all(attempts).await) {
                let group = match outcome {
                    Ok(group) => group,
                    // A node that is gone: another has its keys, and any node knows which.
                    Err(error) if node.is_some() && is_unreachable(&error) => {
                        lock(&self.places).retain(|_, address| Some(&*address) != node.as_ref());
                        waiting.extend(places);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                for (place, reply) in places.iter().zip(group) {
                    match moved(&reply, node.as_ref().or(self.nodes.first().map(|node| &node.address))) {
                        Some(address) => {
                            self.remember(commands.get(*place), address);
                            waiting.push(*place);
                        }
                        None => replies.get_mut(*place).into_iter().for_each(|slot| *slot = reply.clone()),
                    }
                }
            }
            if waiting.is_empty() {
                return Ok(replies);
            }
        }
        let target = self.nodes.first().map(|node| target(&node.address)).unwrap_or_default();
        Err(CheckError::Unavailable { target, reason: "the cluster keeps moving its keys".into() })
    }

    /// Which commands go to which node; `None`: to any.
    fn by_node(&self, commands: &[Cmd], waiting: &[usize]) -> HashMap<Option<RedisAddress>, Vec<usize>> {
        let known = lock(&self.places);
        let mut groups: HashMap<_, Vec<_>> = HashMap::new();
        for place in waiting {
            let node = commands.get(*place).and_then(key).and_then(|key| known.get(key).cloned());
            groups.entry(node).or_default().push(*place);
        }
        groups
    }

    async fn send_to(
        &self,
        context: &Context,
        node: Option<&RedisAddress>,
        commands: &[Cmd],
    ) -> Result<Vec<Value>, CheckError> {
        let send = |server: RedisServer| async move {
            KeptSession::of(context, &server, "").send(context, &server, commands).await
        };
        let like = self.nodes.first().ok_or_else(|| CheckError::Configuration("no node is configured".into()))?;
        if let Some(address) = node {
            return send(RedisServer { address: address.clone(), ..like.clone() }).await;
        }
        let attempts = self.nodes.iter().cloned().map(send).collect();
        let found = first_success(attempts, STAGGER, |_, known: &CheckError| is_unreachable(known)).await;
        found.map_err(|failure| failure.unwrap_or(CheckError::Configuration("no node is configured".into())))
    }

    fn remember(&self, command: Option<&Cmd>, address: RedisAddress) {
        let mut places = lock(&self.places);
        if places.len() >= CAPACITY {
            places.clear();
        }
        if let Some(key) = command.and_then(key) {
            places.insert(key.to_vec(), address);
        }
    }
}

/// The key that a command reads: its first argument; of a script, the first of the keys behind it and their number.
fn key(command: &Cmd) -> Option<&[u8]> {
    let mut arguments = command.args_iter();
    let is_script = matches!(arguments.next(), Some(Arg::Simple(b"EVAL")));
    match arguments.nth(if is_script { 2 } else { 0 }) {
        Some(Arg::Simple(key)) => Some(key),
        _ => None,
    }
}

/// Where a reply says that the key is; an empty host is that of the node that said so.
fn moved(reply: &Value, node: Option<&RedisAddress>) -> Option<RedisAddress> {
    let Value::ServerError(error) = reply else { return None };
    let (_, address) = error.details().filter(|_| error.code() == "MOVED")?.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    match (host.trim_matches(['[', ']']), node) {
        ("" | "?", Some(RedisAddress::Tcp { host, .. })) => plain_address(host, port),
        (host, _) => plain_address(host, port),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn key_of_a_command_and_of_a_script() {
        assert_eq!(key(redis::cmd("GET").arg("a").arg("b")), Some(&b"a"[..]));
        assert_eq!(key(redis::cmd("EVAL").arg("return 1").arg(2).arg("a").arg("b").arg("c")), Some(&b"a"[..]));
        assert_eq!(key(&redis::cmd("TIME")), None);
    }

    #[test]
    fn moved_each_form() {
        let here = RedisAddress::Tcp { host: "a".to_owned(), port: 1 };
        let tcp = |host: &str, port| Some(RedisAddress::Tcp { host: host.to_owned(), port });
        for (line, expected) in [
            ("-MOVED 3999 10.0.0.2:6381", tcp("10.0.0.2", 6381)),
            ("-MOVED 3999 redis-1.redis:6381", tcp("redis-1.redis", 6381)),
            ("-MOVED 3999 [::1]:6381", tcp("::1", 6381)),
            ("-MOVED 3999 ::1:6381", tcp("::1", 6381)),
            ("-MOVED 3999 :6381", tcp("a", 6381)),
            ("-MOVED 3999 ?:6381", tcp("a", 6381)),
            ("-MOVED 3999 10.0.0.2:0", None),
            ("-MOVED 3999 a b:6381", None),
            ("-MOVED", None),
            ("-ASK 3999 10.0.0.2:6381", None),
            ("-ERR 3999 10.0.0.2:6381", None),
            (":1", None),
        ] {
            let reply = redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap();
            assert_eq!(moved(&reply, Some(&here)), expected, "{line}");
        }
    }
}
