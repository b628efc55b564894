#!lua
-- Asks for one token for each mail of a batch from all its buckets: of the fleet's hour and minute, of its user's hour
-- and minute, and, where its mail host is limited, of the host's rates, together with one of the host's connections. All
-- or none; a refusal skips that mail and not those behind it; no token is ever given back. First it takes back the
-- connections that were closed. The model, and why no rolling window passes its limit, is src/domain/caps.rs.
--
-- KEYS  1, 2         the buckets of the fleet's hour and minute
--       2u+1, 2u+2   the buckets of the hour and minute of the u-th distinct user of the batch, u = 1, 2, ... U
--       then four for the h-th distinct limited host, h = 1, 2, ... H: the buckets of its minute, hour and day, and its
--                    connections. Those that it has no limit for are not touched.
--       the last     the generation of this server's clock
--       All in one slot, by one hash tag.
-- ARGV  1            now, microseconds since the epoch; or "" for this server's own TIME
--       2            how long a bucket is kept after its last use, milliseconds. One that is gone is cold, so any
--                    time is safe; a short one makes a rare sender wait.
--       3, 4         what a full bucket of the fleet's hour holds, and what one token is worth, microseconds of filling
--       5, 6 / 7, 8 / 9, 10    the same of the fleet's minute, a user's hour, a user's minute
--       11, 12       U, H
--       13           how long a connection may be open that nobody gives back, microseconds
--       14           C, how many connections are given back
--       15           how far in the future of one caller another may have stored something, microseconds. What lies
--                    further was stored by a clock that has been set back since: it is cold.
--       16, 17, 18   the time that the caller expects this server to show, microseconds, the generation that it knows, and
--                    by how much the time may differ; "", "" and any when it expects none. If it differs by more and the
--                    generation is the latest, the clock was set: a new generation begins, in which all that was stored
--                    before is cold.
--       then seven for each host: what a full bucket of its minute holds and what a token is worth, the same of its hour
--                    and its day, and how many connections it has; 0, 0 or 0 where there is no limit
--       then two for each connection that is given back: its host h, and its name
--       then three for each mail, in the order of urgency: its user u, its host h or 0 when that has no limit, and the
--                    name that its connection has when it is granted: one that was never used, without blanks
-- Returns two integers a mail, in that order: 0, 0 when it is granted; otherwise in how many milliseconds (rounded up)
--       the slowest of its short buckets has a token, or a connection is free, and which that is: 1 and 2 the fleet's
--       hour and minute, 3 and 4 its user's, 5, 6 and 7 its host's minute, hour and day, 8 its host's connections. Then
--       two more: the time that this server took for now, microseconds, and the generation.
-- Stores in each bucket's key "level at writer": what the bucket holds at the instant `at`, microseconds, and which run of
--       which server wrote it, in which generation: the run_id alone in generation 0, as older workers write it. In a
--       connections key "writer from", and " name end" for each that may be open: when it ends by itself; before `from`
--       others may be open, of which nothing is known. In the last key "run_id generation". Every number stays an integer
--       below 2^53: the caller checks the sizes.
-- Fails, having changed nothing, when this server does not tell its run_id: without it, a bucket that came back with an
--       older copy of the data could not be told from a live one, and its tokens would be granted again.

local now, kept_ms = tonumber(ARGV[1]), ARGV[2]
local users, hosts, lasts, closed = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
-- How many arguments stand before the first host, the first connection that is given back, and the first mail.
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

-- Of a server that started anew nothing stored counts, so its generations begin anew too.
local by, generation = string.match(redis.call('GET', KEYS[#KEYS]) or '', '^(%x+) (%d+)$')
generation = by == run_id and tonumber(generation) or 0
if expected and known == generation and math.abs(now - expected) > deviation then
  generation = generation + 1
end
local writer = generation == 0 and run_id or run_id .. string.format('%08x', generation)

-- How many keys stand before the first of the h-th host.
local function before_keys(host)
  return 2 + 2 * users + 4 * (host - 1)
end

-- A bucket that is not there, that another run or generation wrote, or that is far in the future holds exactly 0. A little
-- time that goes back adds nothing.
local function filled(key, capacity, token)
  local level, at, by = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%x+)$')
  if by ~= writer or tonumber(at) - now > future then
    return { level = 0, at = now, token = token }
  end
  level, at = tonumber(level), tonumber(at)
  level = math.min(capacity, level + math.max(0, now - at))
  return { level = level, at = math.max(at, now), token = token }
end

-- A bucket that is filled up to a later instant grants nothing before it: its tokens are not of this time.
local function wait_for(bucket)
  return bucket.at - now + math.max(0, bucket.token - bucket.level)
end

-- The connections of a host that may be open. Of what is not there, or what another run wrote, nothing is known: all may
-- be open, until the last of them has ended by itself.
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

-- The bucket of the n-th key, whose size and token are the arguments from `arg` on. Only what a mail needs is touched.
local function bucket(n, arg)
  if not buckets[n] then
    buckets[n] = filled(KEYS[n], tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]))
  end
  return buckets[n]
end

-- The buckets that a mail needs a token of, by kind; nil where its host has no such limit.
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

-- Also after a refusal: a bucket that was not there must begin to fill. (%.0f, because Lua writes large numbers as 1e+15.)
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
