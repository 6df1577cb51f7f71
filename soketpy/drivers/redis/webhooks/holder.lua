-- The position of the holder, and its reading of events. docs/design/webhooks.md explains the terms and the reasons.
-- events.lua is in front of this file, and queue.lua behind it: the three are one script.
--
-- ARGV[1]  the operation
-- ARGV[2]  the session of the node, or "" for a program that is no node
-- ARGV[3]  the time in milliseconds, or "" for the time of Redis

local HOLDER, SEED = prefix .. 'holder', prefix .. 'seed'
local DUE, TAKEN = prefix .. 'due', prefix .. 'taken'
local SLICE, SLICE_BYTES = 500, 1048576 -- of states or deliveries, and of bytes, in one answer
local MOST_FORMED = 100 -- events in one answer by default: Redis serves nobody else while it stores their deliveries
local KINDS = {[MEMBER.number] = MEMBER, [CHANNEL.number] = CHANNEL, [USER.number] = USER}
local now = tonumber(ARGV[3]) or milliseconds()

local function is_holder()
  return redis.call('GET', HOLDER) == session and session ~= ''
end

-- Make the lanes due whose deliveries were taken.
local function give_back()
  for _, lane in ipairs(redis.call('SMEMBERS', TAKEN)) do
    redis.call('ZADD', DUE, now, lane)
  end
  redis.call('DEL', TAKEN)
end

-- ARGV[4]: a random text. Become the holder if there is none, or if the session of the holder has ended. Return whether
-- this node is the holder, and the text that is part of the ids of all deliveries.
if operation == 'hold' then
  if not redis.call('ZSCORE', LEASES, session) then
    return {0, ''}
  end
  local holder = call('GET', HOLDER)
  if holder ~= session then
    local lease = holder and redis.call('ZSCORE', LEASES, holder)
    if lease and tonumber(lease) > milliseconds() then
      return {0, ''}
    end
    redis.call('SET', HOLDER, session)
  end
  give_back() -- also what this node has taken: it asks when it may have lost the answer
  redis.call('SETNX', SEED, ARGV[4])
  return {1, redis.call('GET', SEED)}
end

-- Cease to be the holder.
if operation == 'release' then
  if is_holder() then
    redis.call('DEL', HOLDER)
    give_back()
    redis.call(PUBLISH, prefix .. 'free', '')
  end
  return 1
end

write_anyway() -- to send the queue frees memory
local FENCED = {read = true, move = true, remove = true, take = true, retry = true, postpone = true}
if FENCED[operation] and not is_holder() then
  return redis.error_reply('NOTHOLDER this node is not the holder of the partition')
end

-- Append the event that turns a state off, or the number of subscribers that a channel has now.
local function finish_state(state)
  local kind, app, channel, user = unpack(cmsgpack.unpack(state))
  if kind == COUNT.number then
    local total = tonumber(redis.call('HGET', prefix .. 'channels:' .. app, channel) or '0')
    append(pack_event('subscription_count', app, channel, '', total))
  else
    append(pack_event(KINDS[kind].off, app, channel, user, 0))
  end
end

-- Finish the states that are due. Return the milliseconds until the next one is due, or -1. If no node was alive for a
-- time, clients may still return: the states that became pending before that time wait for RETURN_TIMEOUT.
local function finish_states()
  local earliest, pause = '-inf', -1
  local returning = tonumber(call('GET', RETURNING) or '')
  if returning then
    earliest = '(' .. string.format('%.0f', returning + GRACE)
    pause = redis.call('PTTL', RETURNING)
  end
  for _, state in ipairs(call('ZRANGEBYSCORE', PENDING, earliest, now, 'LIMIT', 0, SLICE)) do
    redis.call('ZREM', PENDING, state)
    pcall(finish_state, state) -- a state that another program has written is only removed
  end
  local next_one = redis.call('ZRANGEBYSCORE', PENDING, earliest, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if next_one[2] then
    local left = math.max(0, tonumber(next_one[2]) - now)
    pause = pause < 0 and left or math.min(pause, left)
  end
  return pause
end

-- ARGV[4]: the number of events, if it is not MOST_FORMED. Return the milliseconds until the next state is due (or -1),
-- the number of events that were dropped since the last call, and the oldest events: pairs of an id and an event.
if operation == 'read' then
  local most = ARGV[4] and tonumber(ARGV[4]) or MOST_FORMED
  local pause = finish_states()
  local dropped = tonumber(call('GET', DROPPED) or '') or 0
  redis.call('DEL', DROPPED)
  for _, key in ipairs({EVENTS, EVENT_BYTES, PENDING}) do
    redis.call('PEXPIRE', key, KEEP)
  end
  local found, size, start = {}, 0, '-'
  repeat
    local page = call('XRANGE', EVENTS, start, '+', 'COUNT', 50)
    for _, entry in ipairs(page) do
      local event = entry[2][2]
      table.insert(found, entry[1])
      table.insert(found, event)
      size, start = size + #event, '(' .. entry[1]
    end
  until #page < 50 or #found >= 2 * most or size >= SLICE_BYTES
  return {pause, dropped, found}
end

-- Remove events, whose ids are from ARGV[first] on. Return their number.
local function remove_events(first)
  local size = 0
  for index = first, #ARGV do
    local entry = redis.call('XRANGE', EVENTS, ARGV[index], ARGV[index])[1]
    size = size + (entry and #entry[2][2] or 0)
  end
  call('INCRBY', EVENT_BYTES, -size)
  return redis.call('XDEL', EVENTS, unpack(ARGV, first))
end
