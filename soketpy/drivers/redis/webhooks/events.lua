-- Events for webhooks. The script that changes the roster also appends the event. This file is in front of roster.lua, and
-- of holder.lua and queue.lua. docs/design/webhooks.md explains the terms and the reasons.
--
-- PUBLISH, GRACE  the command that publishes, and the grace period in milliseconds; defined in front of this file
-- KEYS[1]  the prefix of the partition, with its hash tag: all other keys begin with it
-- ARGV[1]  the operation
-- ARGV[2]  a session id

local prefix, operation, session = KEYS[1], ARGV[1], ARGV[2]
local LEASES = prefix .. 'leases'
local EVENTS, PENDING, DROPPED = prefix .. 'events', prefix .. 'pending', prefix .. 'dropped'
local EVENT_BYTES = prefix .. 'event-bytes' -- the size of the stream
local RETURNING = prefix .. 'returning'
local MOST_EVENTS = 50000 -- events that wait for the holder; twice as many if they turn a state on or off
local MOST_EVENT_BYTES = 33554432
local KEEP = 604800000 -- milliseconds for which events wait for a holder
local COUNTED_AT_ONCE = 100 -- subscribers up to which each change of their number is an event
local COUNT_INTERVAL = 5000 -- milliseconds between two such events above that

-- The flags of a write: the events that the webhooks of its app want. QUIET: receivers already know what is turned on.
-- The number of a kind orders the events that are due in the same millisecond.
local MEMBER = {number = 1, flag = 2, on = 'member_added', off = 'member_removed'}
local CHANNEL = {number = 2, flag = 1, on = 'channel_occupied', off = 'channel_vacated'}
local USER = {number = 3, flag = 4, on = 'user_online', off = 'user_offline'}
local COUNT = {number = 4, flag = 8}
local QUIET = 16

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Run a command on a key. If another program has written a key of another type, remove that key first: the roster has
-- already changed, and the event must not be lost.
local function call(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if not string.find(answer.err, 'WRONGTYPE', 1, true) and not string.find(answer.err, 'not an integer', 1, true) then
      error(answer)
    end
    redis.call('DEL', key)
    answer = redis.call(command, key, ...)
  end
  return answer
end

-- Wake the holder of the partition.
local function wake()
  redis.call(PUBLISH, prefix .. 'wake', '')
end

local function pack_event(name, app, channel, user, number)
  return cmsgpack.pack({app, name, channel, user, '', '', '', number})
end

-- Append an event to the stream. If the stream is full, drop its oldest events, and count them.
local function append(packed)
  call('XADD', EVENTS, '*', 'e', packed)
  local length = redis.call('XLEN', EVENTS)
  if length == 1 then
    redis.call('PEXPIRE', EVENTS, KEEP)
    redis.call('SET', EVENT_BYTES, #packed, 'PX', KEEP)
    wake()
    return
  end
  call('INCRBY', EVENT_BYTES, #packed)
  if length > 2 * MOST_EVENTS then
    call('INCRBY', DROPPED, redis.call('XTRIM', EVENTS, 'MAXLEN', 2 * MOST_EVENTS))
  end
end

-- True if Redis has reached its maxmemory.
local redis_is_full = false

-- Let this script write although Redis has reached its maxmemory. Redis refuses only the first command of a script that
-- may take memory. PERSIST takes none, and changes nothing here.
local function write_anyway()
  redis.call('PERSIST', LEASES)
end

-- Append an event that is about no state, unless Redis or the stream is full: such events must not displace others.
local function append_other(packed)
  if redis_is_full then
    return call('INCRBY', DROPPED, 1)
  end
  local size = tonumber(call('GET', EVENT_BYTES) or '') or 0
  if call('XLEN', EVENTS) < MOST_EVENTS and size < MOST_EVENT_BYTES then
    append(packed)
  else
    call('INCRBY', DROPPED, 1)
  end
end

-- Make a state due after some milliseconds.
local function delay(state, pause)
  call('ZADD', PENDING, milliseconds() + pause, state)
  if redis.call('ZRANGE', PENDING, 0, 0)[1] == state then
    redis.call('PEXPIRE', PENDING, KEEP)
    wake()
  end
end

-- The grace period. It is longer for the clients of dead nodes after a time without any node.
local grace = GRACE

-- Note that a state was turned on (1) or off (-1), for the webhooks that want to know.
local function turn(kind, transition, flags, app, channel, user)
  if transition == 0 or bit.band(flags, kind.flag) == 0 then
    return
  end
  local state = cmsgpack.pack({kind.number, app, channel, user})
  if transition < 0 then
    delay(state, grace)
  elseif call('ZREM', PENDING, state) == 0 and bit.band(flags, QUIET) == 0 then
    append(pack_event(kind.on, app, channel, user, 0))
  end
end

-- Note the number of subscribers of a channel after a change.
local function note_count(flags, app, channel, total)
  if bit.band(flags, COUNT.flag) == 0 or bit.band(flags, QUIET) ~= 0 then
    return
  end
  local state = cmsgpack.pack({COUNT.number, app, channel, ''})
  if total <= COUNTED_AT_ONCE then
    call('ZREM', PENDING, state)
    append(pack_event('subscription_count', app, channel, '', total))
  elseif not call('ZSCORE', PENDING, state) then
    delay(state, COUNT_INTERVAL)
  end
end

