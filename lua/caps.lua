#!lua
-- Asks for one token for each mail of a batch from its four buckets: of the fleet's hour and minute, and of its user's
-- hour and minute. All four or none; a refusal skips that mail and not those behind it; nothing is ever given back.
-- The model, and why no rolling window passes its limit, is src/domain/caps.rs.
--
-- KEYS  1, 2         the buckets of the fleet's hour and minute
--       2u+1, 2u+2   the buckets of the hour and minute of the u-th distinct user of the batch, u = 1, 2, ...
--       All in one slot, by one hash tag.
-- ARGV  1            now, microseconds since the epoch; or "" for this server's own TIME
--       2            how long a bucket is kept after its last use, milliseconds. One that is gone is cold, so any
--                    time is safe; a short one makes a rare sender wait.
--       3, 4         what a full bucket of the fleet's hour holds, and what one token is worth, microseconds of filling
--       5, 6 / 7, 8 / 9, 10    the same of the fleet's minute, a user's hour, a user's minute
--       11, 12, ...  for each mail, in the order of urgency, its user: u as in KEYS
-- Returns two integers a mail, in that order: 0, 0 when it is granted; otherwise in how many milliseconds (rounded up)
--       the slowest of its short buckets has a token, and which that is: 1 and 2 the fleet's hour and minute, 3 and 4
--       its user's.
-- Stores in each key "level at run_id": what the bucket holds at the instant `at`, microseconds, and which run of which
--       server wrote it. Every number stays an integer below 2^53: the caller checks the sizes.
-- Fails, having changed nothing, when this server does not tell its run_id: without it, a bucket that came back with an
--       older copy of the data could not be told from a live one, and its tokens would be granted again.

local now, kept_ms, first_mail = tonumber(ARGV[1]), ARGV[2], 11
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not run_id then
  return redis.error_reply('NORUNID this server hides its run_id in INFO: allow INFO, or use another Redis')
end

-- 1 to 4: of the n-th key, the kind of its bucket.
local function kind_of(n)
  local minute = 1 - n % 2
  if n <= 2 then return 1 + minute end
  return 3 + minute
end

-- A bucket that is not there, or that another run wrote, holds exactly 0. Time that goes back adds nothing.
local function filled(key, kind)
  local capacity, token = tonumber(ARGV[1 + 2 * kind]), tonumber(ARGV[2 + 2 * kind])
  local level, at, writer = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%x+)$')
  if writer ~= run_id then
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

local buckets = {}
for n, key in ipairs(KEYS) do
  buckets[n] = filled(key, kind_of(n))
end

local answers = {}
for mail = first_mail, #ARGV do
  local user = tonumber(ARGV[mail])
  local four = { buckets[1], buckets[2], buckets[2 * user + 1], buckets[2 * user + 2] }
  local wait, cap = 0, 0
  for kind, bucket in ipairs(four) do
    local short = wait_for(bucket)
    if short > wait then
      wait, cap = short, kind
    end
  end
  if wait == 0 then
    for _, bucket in ipairs(four) do
      bucket.level = bucket.level - bucket.token
    end
  end
  answers[#answers + 1] = math.ceil(wait / 1000)
  answers[#answers + 1] = cap
end

-- Also after a refusal: a bucket that was not there must begin to fill. (%.0f, because Lua writes large numbers as 1e+15.)
for n, key in ipairs(KEYS) do
  local bucket = buckets[n]
  redis.call('SET', key, string.format('%.0f %.0f %s', bucket.level, bucket.at, run_id), 'PX', kept_ms)
end
return answers
