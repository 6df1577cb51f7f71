-- The logs of channels with history. roster.lua is in front of this file. docs/design/history.md explains the terms.
--
-- A log has two keys: a hash with the epoch, the serial of the newest event and the bytes of all events, and a list of
-- the events, oldest first. So the serial of the first one is the newest serial, minus the length of the list, plus 1.
--
-- An event is a text: the Unix time in milliseconds with 13 digits, and a packed list of the name, the data, the
-- connection that is excluded and, for a client event, the user and whether the id of the user is a number.

local OVERHEAD = 64 -- bytes that an event takes besides its text, about
local BEGUN = 600000 -- milliseconds for which a log without any event keeps its epoch after it was last touched
local KEPT_EMPTY = 86400000 -- milliseconds after its last event for which an empty log keeps its epoch, at least
local READ_AT_ONCE = 50

local function keys_of(app, channel)
  local name = scoped(app, channel)
  return prefix .. 'log:' .. name, prefix .. 'logged:' .. name
end

local function time_of(event)
  return tonumber(string.sub(event, 1, 13)) or 0
end

-- Return the epoch, the newest serial and the bytes of a log. A log that is missing or damaged has none and 0.
local function read_log(key)
  local found = redis.call('HMGET', key, 'epoch', 'last', 'size')
  local last = integer(found[2] or '')
  if not found[1] or not last then
    return nil, 0, 0
  end
  return found[1], last, integer(found[3] or '0') or 0
end

-- Drop the oldest events while a log exceeds a limit. Return the bytes that are left.
local function trim(list, size, events, bytes, oldest)
  local length, first = redis.call('LLEN', list), redis.call('LINDEX', list, 0)
  while first and (length > events or size > bytes or time_of(first) <= oldest) do
    redis.call('LPOP', list)
    size, length = size - #first - OVERHEAD, length - 1
    first = redis.call('LINDEX', list, 0)
  end
  return first and size or 0
end

-- Note the bytes of a log. Return the bytes of all logs of the app in this partition.
local function set_size(app, channel, size)
  local sizes = prefix .. 'logsizes:' .. app
  local before = integer(call('HGET', sizes, channel) or '0') or 0
  if size > 0 then
    redis.call('HSET', sizes, channel, size)
  else
    redis.call('HDEL', sizes, channel)
    redis.call('ZREM', prefix .. 'logs:' .. app, channel)
  end
  local total = redis.call('HINCRBY', sizes, '', size - before)
  if total <= 0 then
    redis.call('DEL', sizes)
  end
  return total
end

-- Drop the logs without a new event for the longest time, until an app does not exceed its limit. Forget the size of
-- logs that Redis has removed since.
local function drop_above_limit(app, total, most)
  local logs = prefix .. 'logs:' .. app
  local looked = 0
  while looked < 2 or total > most do
    looked = looked + 1
    local oldest = redis.call('ZRANGE', logs, 0, 0)[1]
    if not oldest then
      return
    end
    local key, list = keys_of(app, oldest)
    if total > most then
      redis.call('DEL', key, list)
    end
    if redis.call('EXISTS', list) == 1 then
      return
    end
    total = set_size(app, oldest, 0)
  end
end

-- Append an event to a log. `limits` are events, bytes, milliseconds, and the bytes of all logs of the app. `epoch` is that
-- of a new log. Return the epoch and the serial.
local function store(app, channel, event, limits, epoch)
  local key, list = keys_of(app, channel)
  local found, last, size = read_log(key)
  local length, now = redis.call('LLEN', list), milliseconds()
  if not found then
    redis.call('DEL', list)
    last, size = 0, 0
  elseif length == 0 then
    size = 0
  end
  epoch = found or epoch
  local serial, text = last + 1, string.format('%013d', now) .. cmsgpack.pack(event)
  redis.call('RPUSH', list, text)
  size = trim(list, size + #text + OVERHEAD, limits[1], limits[2], now - limits[3])
  redis.call('HSET', key, 'epoch', epoch, 'last', string.format('%.0f', serial), 'size', string.format('%.0f', size))
  redis.call('PEXPIRE', key, math.max(limits[3], KEPT_EMPTY))
  redis.call('PEXPIRE', list, limits[3])
  call('ZADD', prefix .. 'logs:' .. app, now, channel)
  drop_above_limit(app, set_size(app, channel, size), limits[4])
  return epoch, serial
end

-- Publish an event. `event` is the list of its texts. With `limits`, append it to the log of its channel too. `cache` is
-- nil, or the milliseconds for which a cache channel remembers the event. `once` is nil, or an idempotency key, the
-- milliseconds for which it is remembered, and the digest of the event: the event is published unless one with this key was
-- published on the channel. Return 'reused' if that was another event.
-- Return 'full', and do nothing, if Redis is full.
function commands.publish_stored(_, app, channel, event, limits, epoch, cache, once)
  if redis_is_full then
    return 'full'
  end
  local used = once and prefix .. 'once:' .. scoped(app, channel) .. ':' .. once[1]
  local former = once and redis.call('GET', used)
  if former then
    return former == once[3] or 'reused'
  end
  local serial
  if limits then
    epoch, serial = store(app, channel, event, limits, epoch)
  end
  if once then
    redis.call('SET', used, once[3], 'PX', once[2])
  end
  if cache then
    remember(app, channel, event[1], event[2], cache)
  end
  if limits then
    publish('t:', app, channel, 'stored', epoch, serial, unpack(event))
  else
    publish('t:', app, channel, 'event', unpack(event))
  end
  return true
end

-- Return the answer to a call with an idempotency key, or false.
function commands.find_answer(_, app, key)
  return redis.call('GET', prefix .. 'answer:' .. scoped(app, key))
end

-- Remember the answer to a call with an idempotency key.
function commands.put_answer(_, app, key, answer, ttl)
  if not redis_is_full then
    redis.call('SET', prefix .. 'answer:' .. scoped(app, key), answer, 'PX', ttl)
  end
  return true
end

-- Return a part of a log: its epoch, the serials of its oldest and its newest event, the serial of the first event that
-- is returned, and the events. The query has `limit`, `bytes`, `backwards`, `age` and perhaps `seconds` (milliseconds), and
-- perhaps `after` and `before` (pairs of an epoch and a serial). `epoch` is that of a log to begin if there is none, or nil.
function commands.read_log(_, app, channel, query, epoch)
  local key, list = keys_of(app, channel)
  local found, last, size = read_log(key)
  local now = milliseconds()
  if not found then
    if epoch and not redis_is_full then
      redis.call('HSET', key, 'epoch', epoch, 'last', 0)
      redis.call('PEXPIRE', key, BEGUN)
    end
    return {epoch or '', 1, 0, 1, {}}
  end
  if last == 0 then
    redis.call('PEXPIRE', key, BEGUN)
  end
  local left = trim(list, size, math.huge, math.huge, now - query.age)
  if left ~= size then
    redis.call('HSET', key, 'size', string.format('%.0f', left))
    set_size(app, channel, left)
  end
  local first = last - redis.call('LLEN', list) + 1
  local from, to = first, last
  if query.after and query.after[1] == found then
    from = math.max(from, query.after[2] + 1)
  end
  if query.before and query.before[1] == found then
    to = math.min(to, query.before[2] - 1)
  end
  local events, bytes = {}, 0
  local oldest = query.seconds and now - query.seconds or -1
  local step = query.backwards and -1 or 1
  local next = query.backwards and to or from
  local full = false
  while not full and #events < query.limit and next >= from and next <= to do
    local stop = next + step * (math.min(READ_AT_ONCE, query.limit - #events) - 1)
    local low, high = math.max(from, math.min(next, stop)), math.min(to, math.max(next, stop))
    local some = redis.call('LRANGE', list, low - first, high - first)
    for index = 1, #some do
      local event = query.backwards and some[#some + 1 - index] or some[index]
      if time_of(event) <= oldest then
        full = query.backwards
        if full then
          break
        end
        from = low + index
      else
        bytes = bytes + #event
        if #events > 0 and bytes > query.bytes then
          full = true
          break
        end
        table.insert(events, event)
      end
    end
    next = query.backwards and low - 1 or high + 1
  end
  if query.backwards then
    local forwards = {}
    for index = #events, 1, -1 do
      table.insert(forwards, events[index])
    end
    events, from = forwards, to - #events + 1
  end
  return {found, first, last, from, events}
end

-- Keep the epoch of a log whose channel has subscribers.
function commands.touch_log(_, app, channel)
  local key = keys_of(app, channel)
  local _, last = read_log(key)
  local kept = last == 0 and BEGUN or KEPT_EMPTY
  local left = redis.call('PTTL', key)
  if left > 0 and left < kept then
    redis.call('PEXPIRE', key, kept)
  end
  return true
end

-- Return the state of a tab that has connected again, or false. The state is empty if an earlier connection has claimed
-- the tab, and none has saved a state. Only `socket` may save the state from now on.
function commands.claim_tab(_, app, tab, socket, ttl)
  local key = prefix .. 'tab:' .. scoped(app, tab)
  local state = redis.call('HGET', key, 'state') or redis.call('HGET', key, 'owner') and ''
  if not redis_is_full then
    redis.call('HSET', key, 'owner', socket)
    redis.call('EXPIRE', key, ttl)
  end
  return state
end

-- Save the state of a tab, unless another connection has claimed it. If Redis has lost its data, nobody has: the state
-- with the old epochs then tells the tab that it may have missed events.
function commands.save_tab(_, app, tab, socket, state, ttl)
  local key = prefix .. 'tab:' .. scoped(app, tab)
  local owner = redis.call('HGET', key, 'owner')
  if redis_is_full or (owner and owner ~= socket) then
    return false
  end
  redis.call('HSET', key, 'owner', socket, 'state', state)
  redis.call('EXPIRE', key, ttl)
  return true
end
