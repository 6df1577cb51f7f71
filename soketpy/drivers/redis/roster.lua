-- What the nodes share, changed by one script at a time. docs/design/roster.md has the words and the reasons.
--
-- events.lua is in front of this file. ARGV[1] is "begin", "discard", "dead", "renew", "write" or "clear".

local DYING, AGREED = prefix .. 'dying', prefix .. 'agreed'
local UNVERSIONED = prefix .. 'partitions'
local SLICE = 500 -- entries that are cleared at a time
local RETURN_TIMEOUT = 30000 -- milliseconds in which clients may return after a time without any node

-- Return the text of an app and a name. No two pairs have the same text.
local function scoped(app, name)
  return #app .. ':' .. app .. ':' .. name
end

local function publish(kind, app, name, ...)
  redis.call(PUBLISH, prefix .. kind .. scoped(app, name), cmsgpack.pack({...}))
end

-- Return a count from its text; nothing if that is no integer that can be added to.
local function integer(text)
  return #text <= 15 and string.find(text, '^-?%d+$') and tonumber(text) or nil
end

-- Return the count in a field of a hash, or 0. Raise an error, before anything is changed, if the field has no integer.
local function check_count(hash, field)
  local count = integer(redis.call('HGET', hash, field) or '0')
  if not count then
    error({err = 'WRONGTYPE a count in ' .. hash .. ' is not an integer'})
  end
  return count
end

-- Return the count and the flags of an entry, from its value in a ledger: "3", or "3 1" with flags. The count is nil if
-- the value is not valid.
local function read_value(text)
  local count, flags = string.match(text, '^(%-?%d+) ?(%d*)$')
  return integer(count or ''), tonumber(flags or '') or 0
end

-- Return the count of an entry in the ledger of a session, and a function that sets the count. Change the totals in
-- between: if a total cannot be changed, the entry must not be either, or clearing it would remove what was never added.
-- The flags are those of the app at the last write, for the script that clears the entry.
local function open_entry(owner, entry, flags)
  local ledger, field = prefix .. 'node:' .. owner, cmsgpack.pack(entry)
  local value = redis.call('HGET', ledger, field) or '0'
  return read_value(value) or 0, function(count)
    local new = string.format('%.0f', count)
    if flags and flags > 0 then
      new = new .. ' ' .. bit.band(flags, QUIET - 1)
    end
    if count == 0 then
      redis.call('HDEL', ledger, field)
    elseif new ~= value then
      redis.call('HSET', ledger, field, new)
    end
  end
end

-- Add to a total. Return the new total, and the transition: 1 for the first one, -1 for the last one, else 0.
local function add(hash, field, change)
  if change == 0 then
    return check_count(hash, field), 0
  end
  local total = redis.call('HINCRBY', hash, field, change)
  if total <= 0 then
    redis.call('HDEL', hash, field)
    return 0, -1
  end
  return total, total == change and 1 or 0
end

local function list_members(app, channel)
  return redis.call('HGETALL', prefix .. 'members:' .. scoped(app, channel))
end

local function online_of(app, users)
  local online = {}
  for _, user in ipairs(users) do
    if redis.call('HEXISTS', prefix .. 'users:' .. app, user) == 1 then
      table.insert(online, user)
    end
  end
  return online
end

-- The commands of a batch of writes. The first argument of each is the session that writes.
local commands = {}

-- Set the subscriptions of a channel. Return the total, and its transition.
function commands.subscriptions(owner, app, channel, _, count, flags)
  local before, set = open_entry(owner, {'subscriptions', app, channel, ''}, flags)
  local total, transition = add(prefix .. 'channels:' .. app, channel, count - before)
  set(count)
  if flags and count ~= before then
    turn(CHANNEL, transition, flags, app, channel, '')
    note_count(flags, app, channel, total)
  end
  return {total, transition}
end

-- Set the connections of a user on a presence channel. Return whether the channel had room, the transitions of channel
-- and member, and the list of members if it is wanted.
function commands.member(owner, app, channel, user, count, info, limit, wanted, flags)
  local name = scoped(app, channel)
  local members, connections = prefix .. 'members:' .. name, prefix .. 'connections:' .. name
  local known = redis.call('HEXISTS', members, user) == 1
  if count > 0 and not known and redis.call('HLEN', members) >= limit then
    return {false, 0, 0, wanted and list_members(app, channel)}
  end
  local before, set = open_entry(owner, {'member', app, channel, user}, flags)
  check_count(connections, user)
  local _, of_channel = add(prefix .. 'channels:' .. app, channel, count - before)
  local _, of_member = add(connections, user, count - before)
  set(count)
  if of_member == 1 then
    redis.call('HSET', members, user, info)
    publish('t:', app, channel, 'added', user, info)
  elseif of_member == -1 then
    redis.call('HDEL', members, user)
    publish('t:', app, channel, 'removed', user)
  end
  if flags and count ~= before then
    turn(CHANNEL, of_channel, flags, app, channel, '')
    turn(MEMBER, of_member, flags, app, channel, user)
  end
  return {true, of_channel, of_member, wanted and list_members(app, channel)}
end

-- Set the signed-in connections of a user. Return which of the watched users are online.
function commands.user(owner, app, user, _, count, watched, flags)
  local before, set = open_entry(owner, {'user', app, user, ''}, flags)
  local _, transition = add(prefix .. 'users:' .. app, user, count - before)
  set(count)
  if transition ~= 0 then
    publish('w:', app, user, 'online', transition == 1)
    turn(USER, transition, flags or 0, app, '', user)
  end
  return online_of(app, watched or {})
end

-- Set the connections of an app.
function commands.connections(owner, app, _, _, count)
  local before, set = open_entry(owner, {'connections', app, '', ''})
  add(prefix .. 'connected', app, count - before)
  set(count)
  return true
end

-- Add one connection of an app unless the app has reached its limit, or remove one. Return whether it was counted.
function commands.connection(owner, app, change, limit)
  local total = check_count(prefix .. 'connected', app)
  if change > 0 and limit >= 0 and total >= limit then
    return false
  end
  return commands.connections(owner, app, '', '', open_entry(owner, {'connections', app, '', ''}) + change)
end

-- Return which of some users are online.
function commands.online(_, app, users)
  return online_of(app, users)
end

-- Return the last event of a cache channel, and for how many milliseconds it is still remembered.
function commands.last_event(_, app, channel)
  local key = prefix .. 'last:' .. scoped(app, channel)
  local event = redis.call('HMGET', key, 'name', 'data')
  return event[1] and event[2] and {event[1], event[2], redis.call('PTTL', key)} or false
end

-- Publish an event of a cache channel, and remember it. If Redis is full, only forget the event before it.
function commands.publish_cached(_, app, channel, name, data, ttl, exclude)
  local key = prefix .. 'last:' .. scoped(app, channel)
  if redis_is_full then
    redis.call('DEL', key)
  elseif ttl > 0 then
    redis.call('HSET', key, 'name', name, 'data', data)
    redis.call('PEXPIRE', key, ttl)
  end
  publish('t:', app, channel, 'event', name, data, exclude)
  return true
end

-- Append events of a node, except those that were appended before. The node numbers its events from 1, and sends them
-- again under the same numbers if it does not know whether Redis has them.
function commands.append(_, source, first, events)
  local key = prefix .. 'appended:' .. source
  local done = integer(call('GET', key) or '0') or 0
  for index, event in ipairs(events) do
    if first + index - 1 > done then
      append_other(event)
    end
  end
  call('SET', key, string.format('%.0f', math.max(done, first + #events - 1)), 'EX', 86400)
  return true
end

-- Append cache_miss for a cache channel without an event, once until it has one. The mark is in the hash of the last
-- event, so it ends with the event. An empty channel is reported again after `ttl` milliseconds.
function commands.miss(_, app, channel, ttl)
  local key = prefix .. 'last:' .. scoped(app, channel)
  if not redis_is_full and redis.call('HEXISTS', key, 'name') == 0 and redis.call('HSETNX', key, 'miss', 1) == 1 then
    redis.call('PEXPIRE', key, ttl)
    append_other(pack_event('cache_miss', app, channel, '', 0))
  end
  return true
end

-- Take tokens from a bucket: `most`, or as many as there are, or none if there are fewer than `least`. Return how many
-- were taken, and how many are left. The bucket of a changed limit keeps the tokens that it has.
function commands.take(_, app, what, least, most, limit)
  local key, now = prefix .. 'rate:' .. scoped(app, what), milliseconds()
  local bucket = redis.call('HMGET', key, 'tokens', 'updated')
  local tokens, left, updated = limit, tonumber(bucket[1]), tonumber(bucket[2])
  if left and left >= 0 and updated and updated >= 0 then -- NaN is not >= 0
    tokens = math.min(limit, left + math.max(0, now - updated) * limit / 1000)
  end
  local taken = 0
  if least <= tokens then
    taken = math.max(least, math.min(most, math.floor(tokens)))
    tokens = tokens - taken
  end
  redis.call('HSET', key, 'tokens', tostring(tokens), 'updated', now)
  redis.call('PEXPIRE', key, 10000)
  return {taken, tostring(tokens)}
end

-- Do nothing, in place of a write that is no longer wanted.
function commands.nothing()
  return false
end

-- Return the members of a channel.
function commands.members(_, app, channel)
  return list_members(app, channel)
end

-- Send the number of subscribers of a channel to the nodes.
function commands.send_count(_, app, channel)
  local total = check_count(prefix .. 'channels:' .. app, channel)
  publish('t:', app, channel, 'count', total)
  return total
end

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
