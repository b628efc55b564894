#!lua
-- Grants or refuses one token per mail of a batch, from every bucket that limits the mail. Those buckets are the hour
-- and minute of the fleet and of the user. For a limited mail host they include its minute, hour and day. A mail to a
-- limited host also takes one of the host's connections. A mail takes all its tokens or none. A refusal skips only that
-- mail; the later mails of the batch go on. No token is ever returned. The script first releases the closed
-- connections. src/domain/caps.rs describes the model and shows why no rolling window exceeds its limit.
--
-- KEYS  1, 2         the buckets of the fleet's hour and minute
--       2u+1, 2u+2   the buckets of the hour and minute of the u-th distinct user of the batch, u = 1, 2, ... U
--       then four for the h-th distinct limited host, h = 1, 2, ... H: the buckets of its minute, hour and day, and its
--                    connections. The script does not touch a bucket without a limit.
--       the last     the generation of this server's clock
--       All keys lie in one slot, by one hash tag.
-- ARGV  1            now, microseconds since the epoch; or "" for this server's own TIME
--       2            the time to live of a bucket after its last use, milliseconds. An expired bucket is cold, so any
--                    value is safe; a short value makes a rare sender wait.
--       3, 4         the capacity of the fleet's hour bucket, and the cost of one token, microseconds of filling
--       5, 6 / 7, 8 / 9, 10    capacity and cost of the fleet's minute, a user's hour, a user's minute
--       11, 12       U, H
--       13           the time after which an unreleased connection counts as closed, microseconds
--       14           C, the number of released connections
--       15           the largest clock difference between two callers, microseconds. A stored time further in the
--                    future comes from a clock that has been set back since: the bucket is cold.
--       16, 17, 18   the server time that the caller expects, microseconds; the generation that the caller knows; and
--                    the allowed deviation, microseconds. "", "" and any value if the caller expects no time. If the
--                    deviation is larger and the generation is the latest, the clock was set: a new generation begins,
--                    and everything stored before is cold.
--       then seven for each host: capacity and token cost of its minute, of its hour and of its day, and the number of
--                    its connections; 0, 0 or 0 means no limit
--       then two for each released connection: its host h, and its name
--       then three for each mail, in the order of urgency: its user u, its host h (0 if that host has no limit), and
--                    the name of the connection if the mail is granted: a name without blanks that was never used
-- Returns two integers per mail, in the order of the mails: 0, 0 for a grant. A refusal returns the milliseconds
--       (rounded up) until the slowest exhausted bucket has a token or a connection is free, and the kind of that
--       limit: 1 and 2 the fleet's hour and minute, 3 and 4 the user's, 5, 6 and 7 the host's minute, hour and day, 8
--       the host's connections. Two more integers follow: the time that this server used as now, microseconds, and the
--       generation.
-- Stores in each bucket's key "level at writer": `level` is the content at the instant `at`, microseconds; `writer` is
--       the server's run_id and the generation, or the run_id alone in generation 0, as older workers write it. A
--       connections key stores "writer from", then " name end" for each connection that may be open, with its own end.
--       Before `from` other, unknown connections may be open. The last key stores "run_id generation". Every number
--       stays an integer below 2^53; the caller checks the sizes.
-- Fails without a change if this server does not report its run_id. Without the run_id the script could not tell a live
--       bucket from one in a restored older copy, and would grant its tokens again.

local now, kept_ms = tonumber(ARGV[1]), ARGV[2]
local users, hosts, lasts, closed = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
-- The number of arguments before the first host, the first released connection, and the first mail.
local before_hosts = 18
local future, deviation = tonumber(ARGV[15]), tonumber(ARGV[18])
local expected, known = tonumber(ARGV[16]), tonumber(ARGV[17])
local before_closed = before_hosts + 7 * hosts
local before_mails = before_closed + 2 * closed

if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run_id then
  return redis.error_reply('NORUNID this server hides its run_id in INFO: allow INFO, or use another Redis')
end

-- A restarted server has a new run_id: nothing stored counts, so its generations begin at 0 again.
local by, generation = string.match(redis.call('GET', KEYS[#KEYS]) or '', '^(%x+) (%d+)$')
generation = by == run_id and tonumber(generation) or 0
if expected and known == generation and math.abs(now - expected) > deviation then
  generation = generation + 1
end
local writer = generation == 0 and run_id or run_id .. string.format('%08x', generation)

-- Returns the number of keys before the first key of the h-th host.
local function before_keys(host)
  return 2 + 2 * users + 4 * (host - 1)
end

-- Returns the bucket at now. A missing bucket, one of another run or generation, and one far in the future hold
-- exactly 0. If time moved back a little, nothing is added.
local function filled(key, capacity, token)
  local level, at, by = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%x+)$')
  if by ~= writer or tonumber(at) - now > future then
    return { level = 0, at = now, token = token }
  end
  level, at = tonumber(level), tonumber(at)
  level = math.min(capacity, level + math.max(0, now - at))
  return { level = level, at = math.max(at, now), token = token }
end

-- Returns the wait for one token, microseconds. A bucket filled to a later instant grants nothing before that instant.
local function wait_for(bucket)
  return bucket.at - now + math.max(0, bucket.token - bucket.level)
end

-- Returns the connections of a host that may be open. If the key is missing or another run wrote it, the open
-- connections are unknown. All may then be open, until the last of them has ended by itself.
local function opened(key, most)
  local by, from, list = string.match(redis.call('GET', key) or '', '^(%x+) (%d+)(.*)$')
  local open = { most = most, from = tonumber(from), slots = {} }
  local function is_ahead(ends)
    return ends - now > lasts + future
  end
  if by ~= writer or is_ahead(open.from) then
    return { most = most, from = now + lasts, slots = {} }
  end
  for name, ends in string.gmatch(list, ' (%S+) (%d+)') do
    if is_ahead(tonumber(ends)) then
      return { most = most, from = now + lasts, slots = {} }
    end
    if tonumber(ends) > now then
      table.insert(open.slots, { name = name, ends = tonumber(ends) })
    end
  end
  return open
end

local function wait_to_open(open)
  local wait = math.max(0, open.from - now)
  if #open.slots >= open.most then
    local next_end = open.slots[1].ends
    for _, slot in ipairs(open.slots) do
      next_end = math.min(next_end, slot.ends)
    end
    wait = math.max(wait, next_end - now)
  end
  return wait
end

local function close(open, name)
  for place, slot in ipairs(open.slots) do
    if slot.name == name then
      table.remove(open.slots, place)
      return
    end
  end
end

local buckets, connections = {}, {}
for host = 1, hosts do
  local most = tonumber(ARGV[before_hosts + 7 * host])
  if most > 0 then
    connections[host] = opened(KEYS[before_keys(host) + 4], most)
  end
end

-- Returns the bucket of the n-th key; its capacity and token cost begin at `arg`. Reads only buckets that a mail needs.
local function bucket(n, arg)
  if not buckets[n] then
    buckets[n] = filled(KEYS[n], tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]))
  end
  return buckets[n]
end

-- Returns the buckets that limit a mail, by kind; nil where its host has no such limit.
local function needed(user, host)
  local all = { bucket(1, 3), bucket(2, 5), bucket(2 * user + 1, 7), bucket(2 * user + 2, 9) }
  for period = 1, host > 0 and 3 or 0 do
    local arg = before_hosts + 7 * (host - 1) + 2 * period - 1
    if tonumber(ARGV[arg + 1]) > 0 then
      all[4 + period] = bucket(before_keys(host) + period, arg)
    end
  end
  return all
end

for arg = before_closed + 1, before_mails, 2 do
  local open = connections[tonumber(ARGV[arg])]
  if open then
    close(open, ARGV[arg + 1])
  end
end

local answers = {}
for arg = before_mails + 1, #ARGV, 3 do
  local user, host, name = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), ARGV[arg + 2]
  local all, open = needed(user, host), connections[host]
  local wait, cap = 0, 0
  for kind = 1, 7 do
    local short = all[kind] and wait_for(all[kind]) or 0
    if short > wait then
      wait, cap = short, kind
    end
  end
  local full = open and wait_to_open(open) or 0
  if full > wait then
    wait, cap = full, 8
  end
  if wait == 0 then
    for kind = 1, 7 do
      if all[kind] then all[kind].level = all[kind].level - all[kind].token end
    end
    if open then
      table.insert(open.slots, { name = name, ends = now + lasts })
    end
  end
  answers[#answers + 1] = math.ceil(wait / 1000)
  answers[#answers + 1] = cap
end

-- Runs also after a refusal: a missing bucket must begin to fill. (%.0f, because Lua writes large numbers as 1e+15.)
for n, key in ipairs(KEYS) do
  local bucket = buckets[n]
  if bucket then
    redis.call('SET', key, string.format('%.0f %.0f %s', bucket.level, bucket.at, writer), 'PX', kept_ms)
  end
end
for host = 1, hosts do
  local open = connections[host]
  if open then
    local parts = { string.format('%s %.0f', writer, open.from) }
    for _, slot in ipairs(open.slots) do
      table.insert(parts, string.format('%s %.0f', slot.name, slot.ends))
    end
    redis.call('SET', KEYS[before_keys(host) + 4], table.concat(parts, ' '), 'PX', kept_ms)
  end
end
if generation > 0 then
  redis.call('SET', KEYS[#KEYS], string.format('%s %.0f', run_id, generation), 'PX', kept_ms)
end
answers[#answers + 1] = now
answers[#answers + 1] = generation
return answers
