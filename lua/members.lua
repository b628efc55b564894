#!lua flags=no-writes
-- Lists the living members, and changes nothing.
--
-- KEYS  1   the members, as in heartbeat.lua
--       2   their statuses. Both keys lie in one slot, by one hash tag.
-- ARGV      none
-- Returns all members, each as its run, the end of its membership, milliseconds since the epoch, and its status.

local members, statuses = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local living = redis.call('ZRANGE', members, string.format('(%.0f', now_ms), '+inf', 'BYSCORE', 'WITHSCORES')
local answers = {}
for n = 1, #living, 2 do
  answers[#answers + 1] = living[n]
  answers[#answers + 1] = living[n + 1]
  answers[#answers + 1] = redis.call('HGET', statuses, living[n]) or ''
end
return answers
