-- The operations of a session: it begins, renews its lease, writes, and is cleared. docs/design/roster.md has the words.
--
-- events.lua, roster.lua and history.lua are in front of this file. ARGV[1] is "begin", "discard", "dead", "renew", "write"
-- or "clear".

local DYING, AGREED = prefix .. 'dying', prefix .. 'agreed'
local UNVERSIONED = prefix .. 'partitions'
local SLICE = 500 -- entries that are cleared at a time
local RETURN_TIMEOUT = 30000 -- milliseconds in which clients may return after a time without any node

-- Run a function. Return its answer or, if it raises an error, the text of the error to log.
local function try(run, ...)
  local done, answer = pcall(run, ...)
  if done and answer ~= nil then
    return answer
  end
  return nil, type(answer) == 'table' and answer.err or tostring(answer)
end

-- Remove a key that all nodes need if it has another type: otherwise no node could begin.
local function mend(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
  end
end

local function anybody_alive()
  return redis.call('ZCOUNT', LEASES, '(' .. milliseconds(), '+inf') > 0
end

-- Return the format and the number of partitions that the nodes agreed on; nothing if there is none, or if it is damaged.
-- Versions before the format only set the key UNVERSIONED, to their number of partitions. Later versions set it to 0.
local function read_agreed()
  local partitions = integer(redis.call('GET', UNVERSIONED) or '0') or 0
  if partitions > 0 then
    return 0, partitions
  end
  local format = integer(redis.call('HGET', AGREED, 'format') or '')
  partitions = integer(redis.call('HGET', AGREED, 'partitions') or '')
  if format and partitions then
    return format, partitions
  end
end

if operation ~= 'write' and operation ~= 'begin' then -- a node does not begin on a full Redis
  write_anyway()
end

if operation == 'begin' or operation == 'renew' or operation == 'discard' then
  mend(LEASES, 'zset')
  mend(DYING, 'zset')
  mend(AGREED, 'hash')
  mend(UNVERSIONED, 'string')
end

-- ARGV[3]: the length of the lease in milliseconds; ARGV[4]: the format of the node; ARGV[5]: its number of partitions;
-- ARGV[6]: "1" if what was written in another format is discarded. Return the format and the number of partitions of the
-- nodes, and whether any node was alive before. The session begins if both are those of the node.
if operation == 'begin' then
  local own_format, own_partitions = tonumber(ARGV[4]), tonumber(ARGV[5])
  local format, partitions = read_agreed()
  local alive = anybody_alive()
  if not format or (not alive and (format == own_format or ARGV[6] == '1')) then
    format, partitions = own_format, own_partitions
    redis.call('HSET', AGREED, 'format', format, 'partitions', partitions)
    redis.call('SET', UNVERSIONED, 0) -- makes versions before the format refuse to join
  end
  if format == own_format and partitions == own_partitions then
    if not alive and redis.call('EXISTS', PENDING, LEASES, DYING) > 0 then
      redis.call('SET', RETURNING, milliseconds(), 'PX', RETURN_TIMEOUT)
    end
    redis.call('ZADD', LEASES, milliseconds() + ARGV[3], session)
  end
  return {format, partitions, alive and 1 or 0}
end

-- ARGV[3]: the format of the node; from ARGV[4] on: keys of the partition. Remove these if no node is alive, and those
-- before had another format. Return whether that is so.
if operation == 'discard' then
  local format = read_agreed()
  if anybody_alive() or not format or format == tonumber(ARGV[3]) then
    return 0
  end
  for index = 4, #ARGV do
    if ARGV[index] ~= AGREED and ARGV[index] ~= UNVERSIONED then
      redis.call('UNLINK', ARGV[index])
    end
  end
  return 1
end

-- Return whether a session was declared dead, and not only forgotten.
if operation == 'dead' then
  return redis.call('EXISTS', prefix .. 'cleared:' .. session) + (redis.call('ZSCORE', DYING, session) and 1 or 0)
end

-- ARGV[3]: the length of the lease. Return the sessions that are to be cleared. ARGV[4] and ARGV[5], after a
-- disconnection: the numbers of the last batch, and of the last one that was answered.
if operation == 'renew' then
  if not redis.call('ZSCORE', LEASES, session) then
    return redis.error_reply('NOSESSION the lease has ended')
  end
  if ARGV[4] then
    local done = redis.call('HGET', prefix .. 'batch:' .. session, 'number') or '0'
    if done ~= ARGV[4] and done ~= ARGV[5] then
      return redis.error_reply('NOSESSION batch ' .. done .. ' was the last')
    end
  end
  local now = milliseconds()
  redis.call('ZADD', LEASES, now + ARGV[3], session)
  local dead = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 10)
  for _, dying in ipairs(redis.call('ZRANGE', DYING, 0, 9)) do
    table.insert(dead, dying)
  end
  return dead
end

-- ARGV[3]: the number of the batch; ARGV[4]: its writes. Return their answers.
if operation == 'write' then
  local batch, number = prefix .. 'batch:' .. session, tonumber(ARGV[3])
  if not redis.call('ZSCORE', LEASES, session) then
    return redis.error_reply('NOSESSION the lease has ended')
  end
  local last = redis.call('HMGET', batch, 'number', 'answer')
  local done = tonumber(last[1] or 0)
  if number == done then
    return last[2]
  elseif number ~= done + 1 then
    return redis.error_reply('NOSESSION batch ' .. number .. ' does not follow ' .. done)
  end
  redis_is_full = type(redis.pcall('HSET', batch, 'number', done)) == 'table'
  if redis_is_full then
    write_anyway() -- the roster is small, and must not end because of other data
  end
  redis.call('HLEN', prefix .. 'node:' .. session) -- fails for a ledger of another type: the node begins a new session
  local answers = {}
  for index, write in ipairs(cmsgpack.unpack(ARGV[4])) do -- a write that fails has changed nothing, and fails alone
    local answer, fault = try(commands[write[1]], session, unpack(write, 2))
    answers[index] = fault and {err = fault} or answer
  end
  local answer = cmsgpack.pack(answers)
  redis.call('HSET', batch, 'number', number, 'answer', answer)
  return answer
end

-- Remove as much as possible of the entry of a member that cannot be set to 0 as a whole. Return the answer of
-- commands.member.
local function salvage(app, channel, user, count, flags)
  local name = scoped(app, channel)
  local _, _, of_channel = pcall(add, prefix .. 'channels:' .. app, channel, -count)
  local counted, _, of_member = pcall(add, prefix .. 'connections:' .. name, user, -count)
  if not counted or of_member == -1 then
    pcall(redis.call, 'HDEL', prefix .. 'members:' .. name, user)
    publish('t:', app, channel, 'removed', user)
    of_member = -1
  end
  of_channel = tonumber(of_channel) or 0
  turn(CHANNEL, of_channel, flags, app, channel, '')
  turn(MEMBER, of_member, flags, app, channel, user)
  return {true, of_channel, of_member}
end

-- Set an entry to 0. Return the answer of its command.
local function end_entry(kind, app, name, user, flags)
  if kind == 'member' then
    return commands.member(session, app, name, user, 0, '', 0, false, flags)
  elseif kind == 'user' then
    return commands.user(session, app, name, user, 0, {}, flags)
  end
  return commands[kind](session, app, name, user, 0, flags)
end

local ENTRIES = {subscriptions = true, member = true, user = true, connections = true}

-- Return the entry that is written in a field of a ledger; nothing if that is none.
local function read_entry(field)
  local read, entry = pcall(cmsgpack.unpack, field)
  if not read or type(entry) ~= 'table' or #entry ~= 4 or not ENTRIES[entry[1]] or cmsgpack.pack(entry) ~= field then
    return nil -- the last condition: the same entry in other bytes, of which a command would remove another field
  end
  for _, part in ipairs(entry) do
    if type(part) ~= 'string' then
      return nil
    end
  end
  return entry
end

-- ARGV[3]: "1" for the node's own session, which need not have ended. Return the number of entries that are removed, the
-- transitions, and the faults: pairs of an entry that could not be cleared as it should be, and the reason. Such an
-- entry is removed from the ledger all the same.
if operation == 'clear' then
  local lease = redis.call('ZSCORE', LEASES, session)
  if lease then
    if ARGV[3] ~= '1' and tonumber(lease) > milliseconds() then
      return {0, cmsgpack.pack({}), {}}
    end
    redis.call('ZREM', LEASES, session)
    redis.call('ZADD', DYING, lease, session)
  end
  if ARGV[3] ~= '1' then
    grace = math.max(grace, redis.call('PTTL', RETURNING))
  end
  local ledger, transitions, faults, cleared = prefix .. 'node:' .. session, {}, {}, 0
  local cursor, fields = '0', {}
  local kind = redis.call('TYPE', ledger).ok
  if kind == 'hash' then
    repeat -- a page may be empty, though more follow
      cursor, fields = unpack(redis.call('HSCAN', ledger, cursor, 'COUNT', SLICE))
    until #fields > 0 or cursor == '0'
  elseif kind ~= 'none' then
    redis.call('DEL', ledger)
    faults = {ledger, 'the ledger was a ' .. kind}
  end
  for index = 1, #fields, 2 do
    local field, entry = fields[index], read_entry(fields[index])
    local count, flags = read_value(fields[index + 1])
    local answer, fault
    cleared = cleared + 1
    if entry and count then
      answer, fault = try(end_entry, entry[1], entry[2], entry[3], entry[4], flags)
      if fault and entry[1] == 'member' then
        answer = salvage(entry[2], entry[3], entry[4], count, flags)
      end
    else
      fault = 'this was not one of soketpy, or not one of this version'
    end
    if fault then
      redis.call('HDEL', ledger, field)
      table.insert(faults, field)
      table.insert(faults, fault)
    end
    if answer then
      local app, name, user = unpack(entry, 2)
      if entry[1] == 'subscriptions' and answer[2] == -1 then
        table.insert(transitions, {'channel_vacated', app, name, ''})
      elseif entry[1] == 'subscriptions' and answer[1] > 0 then
        publish('t:', app, name, 'count', answer[1])
      elseif entry[1] == 'member' then
        if answer[3] == -1 then
          table.insert(transitions, {'member_removed', app, name, user})
        end
        if answer[2] == -1 then
          table.insert(transitions, {'channel_vacated', app, name, ''})
        end
      end
    end
  end
  if redis.call('EXISTS', ledger) == 0 then
    redis.call('ZREM', DYING, session)
    redis.call('DEL', prefix .. 'batch:' .. session)
    redis.call('SET', prefix .. 'cleared:' .. session, '', 'EX', 86400)
  end
  return {cleared, cmsgpack.pack(transitions), faults}
end
