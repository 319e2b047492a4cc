//! The scripts that Redis runs, each as a whole. Times are in milliseconds, and a fence is at least the
//! server's time in microseconds: a double holds both exactly.

/// Result, lease, fence, operations; token, lease in ms, known fence, accepted age in ms, accepted after (or -1), ms for
/// which a result that is not healthy is accepted at most, check.
pub const ACQUIRE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'fence', 'at', 'well', 'value')
local fence, age, value = stored[1] or '0', -1, false
if stored[2] then age = math.max(now - stored[2], 0) end
if stored[4] and fence ~= ARGV[3] then value = stored[4] end
local operation = redis.call('HGET', KEYS[4], ARGV[7])
local accepted = tonumber(ARGV[4])
if stored[3] == '0' then accepted = math.min(accepted, tonumber(ARGV[6])) end
local after = tonumber(ARGV[5])
if age >= 0 and (age < accepted or (after >= 0 and tonumber(fence) > after)) then
  return {'found', fence, age, value, operation, false}
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  return {'held', fence, age, value, operation, false}
end
if not holder then
  redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
  local least = time[1] * 1000000 + time[2]
  if redis.call('INCR', KEYS[3]) < least then
    redis.call('SET', KEYS[3], string.format('%.0f', least))
  end
  redis.call('PEXPIRE', KEYS[3], 604800000)
end
return {'leader', fence, age, value, operation, redis.call('GET', KEYS[3])}
";

/// Result, lease, fence; token, fence, whether it is well, value, its age in ms, ms for which it is kept. Nothing if it
/// was stored, else what is there.
pub const STORE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = tonumber(ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'fence', 'at', 'value')
if mine < tonumber(redis.call('GET', KEYS[3]) or '0') or mine < tonumber(stored[1] or '0') then
  local age = -1
  if stored[2] then age = math.max(now - stored[2], 0) end
  return {stored[1] or '0', age, stored[3]}
end
redis.call('HSET', KEYS[1], 'fence', ARGV[2], 'at', string.format('%.0f', now - ARGV[5]), 'well', ARGV[3], 'value', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return {}
";

/// Lease; token, ms.
pub const RENEW: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
";

/// Lease; token.
pub const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";

/// Result, lease, fence; whether it is well, value, its age in ms, ms for which it is kept. Nothing while a host runs the
/// check; the fence under which it was stored; what is there instead, if that is later and well.
pub const HAND_OVER: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[2]) == 1 then return {} end
local stored = redis.call('HMGET', KEYS[1], 'fence', 'at', 'well', 'value')
if stored[3] == '1' and tonumber(stored[2]) > now - ARGV[3] then
  return {stored[1], math.max(now - stored[2], 0), stored[4]}
end
local least = time[1] * 1000000 + time[2]
if redis.call('INCR', KEYS[3]) < least then
  redis.call('SET', KEYS[3], string.format('%.0f', least))
end
redis.call('PEXPIRE', KEYS[3], 604800000)
local fence = redis.call('GET', KEYS[3])
redis.call('HSET', KEYS[1], 'fence', fence, 'at', string.format('%.0f', now - ARGV[3]), 'well', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {fence}
";

/// Operations; check, word, its age in ms, the number that the operator knew of. What stands: it has a higher number than
/// that, and at least the time; made just now, it has the highest of all.
pub const OPERATE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stands = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local last = tonumber(string.match(stands, '^%d+') or '0')
local number = math.max(now - ARGV[3], ARGV[4] + 1)
if ARGV[3] == '0' then number = math.max(number, last + 1) end
if number <= last then return stands end
stands = string.format('%.0f ', number) .. ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], stands)
return stands
";

/// Operations; check, word, number.
pub const GIVE_BACK: &str = r"
local last = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^%d+') or '0'
if tonumber(last) < tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. ARGV[2]) end
return 1
";

/// The sets of each state, in the order of `STATES`, then instances, names, outage; id, state's number, instance, settings'
/// hash, names, ms after which one is missed, ms after which one is forgotten. The number in each state, and those missed.
pub const ANNOUNCE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local missed, forgotten = now - ARGV[6], now - ARGV[7]
local last, known = 0, 0
for set = 1, 3 do
  local newest = redis.call('ZREVRANGE', KEYS[set], 0, 0, 'WITHSCORES')
  if newest[2] then last = math.max(last, tonumber(newest[2])) end
end
if last > 0 and last < missed then redis.call('SET', KEYS[6], '1', 'PX', ARGV[6]) end
for set = 1, 3 do
  if set == tonumber(ARGV[2]) then
    redis.call('ZADD', KEYS[set], string.format('%.0f', now), ARGV[1])
  else
    redis.call('ZREM', KEYS[set], ARGV[1])
  end
end
redis.call('HSET', KEYS[4], ARGV[1], ARGV[3])
if redis.call('HLEN', KEYS[5]) > 100 then redis.call('DEL', KEYS[5]) end
redis.call('HSETNX', KEYS[5], ARGV[4], ARGV[5])
local counts = {0, 0, 0, 0}
local outage = redis.call('EXISTS', KEYS[6]) == 1
for set = 1, 3 do
  local limit = set == 3 and missed or forgotten
  if not outage then
    local gone = redis.call('ZRANGEBYSCORE', KEYS[set], '-inf', string.format('(%.0f', limit))
    for _, id in ipairs(gone) do
      redis.call('ZREM', KEYS[set], id)
      redis.call('HDEL', KEYS[4], id)
    end
  end
  local all = redis.call('ZCARD', KEYS[set])
  local present = all
  if not outage then present = redis.call('ZCOUNT', KEYS[set], string.format('%.0f', missed), '+inf') end
  counts[set] = present
  counts[4] = counts[4] + all - present
end
return counts
";

/// Document, its lease, its fence, and optionally a hash; token, lease in ms, whether it may be acquired, and what is set in the
/// hash, by its field, after the time in ms. The fence if it is the token's, else 0;
/// the ms for which it is another's; fence and revision of what is stored.
pub const HOLD: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if KEYS[4] then
  redis.call('HSET', KEYS[4], ARGV[4], string.format('%.0f ', now) .. ARGV[5])
  redis.call('PEXPIRE', KEYS[4], 1209600000)
end
local stored = redis.call('HMGET', KEYS[1], 'fence', 'revision')
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  return {0, math.max(redis.call('PTTL', KEYS[2]), 1), stored[1], stored[2]}
end
if holder and redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
elseif ARGV[3] == '0' then
  return {0, 0, stored[1], stored[2]}
else
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  local least = time[1] * 1000000 + time[2]
  if redis.call('INCR', KEYS[3]) < least then
    redis.call('SET', KEYS[3], string.format('%.0f', least))
  end
end
redis.call('PEXPIRE', KEYS[3], 1209600000)
return {redis.call('GET', KEYS[3]), 0, stored[1], stored[2]}
";

/// Document. Its fence, revision, age in ms and value.
pub const LOAD: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'fence', 'revision', 'at', 'value')
return {stored[1], stored[2], math.max(now - (stored[3] or now), 0), stored[4]}
";

/// Document, its fence; fence, value, ms for which it is kept, the last revision that the holder has stored. Its revision; 0 if a
/// higher fence was given out. A server that has lost the latest counts on from what the holder knows.
pub const STORE_DOCUMENT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = tonumber(ARGV[1])
local stored = redis.call('HMGET', KEYS[1], 'fence', 'revision')
local last = tonumber(stored[1] or '0')
if mine < tonumber(redis.call('GET', KEYS[2]) or '0') or mine < last then return 0 end
local revision = ARGV[4] + 1
if mine == last then revision = math.max(revision, stored[2] + 1) end
local at = string.format('%.0f', now)
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'revision', revision, 'at', at, 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return revision
";

/// Alarms, requests; ms after which an instance is forgotten. For each instance its id, the ms since it said so, and what it
/// said; then the requests.
pub const WATCH: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local said = redis.call('HGETALL', KEYS[1])
local found = {}
for place = 1, #said, 2 do
  local at, what = string.match(said[place + 1], '^(%d+) (.*)$')
  local age = math.max(now - (at or 0), 0)
  if age > tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], said[place])
  else
    found[#found + 1] = said[place]
    found[#found + 1] = age
    found[#found + 1] = what
  end
end
return {found, redis.call('HGETALL', KEYS[2])}
";

/// Who acts; instance, how many may at once, for how many ms. Whether it may, and how many others act.
pub const ACQUIRE_SLOT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local others = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then others = others - 1 end
if others >= tonumber(ARGV[2]) then return {0, others} end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], math.max(last[2] - now, 1))
return {1, others}
";
