-- What the nodes share, changed by one script at a time. docs/design/roster.md has the words and the reasons.
--
-- PUBLISH  the command that publishes; defined in front of this file by session.py
-- KEYS[1]  the prefix of the partition, with its hash tag: all other keys begin with it
-- ARGV[1]  the operation: "begin", "discard", "dead", "renew", "write" or "clear"
-- ARGV[2]  a session id

local prefix, operation, session = KEYS[1], ARGV[1], ARGV[2]
local LEASES, DYING, AGREED = prefix .. 'leases', prefix .. 'dying', prefix .. 'agreed'
local UNVERSIONED = prefix .. 'partitions'
local SLICE = 500 -- entries that are cleared at a time

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

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

-- Return the count of an entry in the ledger of a session, and a function that sets the count. Change the totals in
-- between: if a total cannot be changed, the entry must not be either, or clearing it would remove what was never added.
local function open_entry(owner, entry)
  local ledger, field = prefix .. 'node:' .. owner, cmsgpack.pack(entry)
  local before = integer(redis.call('HGET', ledger, field) or '0') or 0
  return before, function(count)
    if count == 0 then
      redis.call('HDEL', ledger, field)
    elseif count ~= before then
      redis.call('HSET', ledger, field, count)
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
function commands.subscriptions(owner, app, channel, _, count)
  local before, set = open_entry(owner, {'subscriptions', app, channel, ''})
  local total, transition = add(prefix .. 'channels:' .. app, channel, count - before)
  set(count)
  return {total, transition}
end

-- Set the connections of a user on a presence channel. Return whether the channel had room, the transitions of channel
-- and member, and the list of members if it is wanted.
function commands.member(owner, app, channel, user, count, info, limit, wanted)
  local name = scoped(app, channel)
  local members, connections = prefix .. 'members:' .. name, prefix .. 'connections:' .. name
  local known = redis.call('HEXISTS', members, user) == 1
  if count > 0 and not known and redis.call('HLEN', members) >= limit then
    return {false, 0, 0, wanted and list_members(app, channel)}
  end
  local before, set = open_entry(owner, {'member', app, channel, user})
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
  return {true, of_channel, of_member, wanted and list_members(app, channel)}
end

-- Set the signed-in connections of a user. Return which of the watched users are online.
function commands.user(owner, app, user, _, count, watched)
  local before, set = open_entry(owner, {'user', app, user, ''})
  local _, transition = add(prefix .. 'users:' .. app, user, count - before)
  set(count)
  if transition ~= 0 then
    publish('w:', app, user, 'online', transition == 1)
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

-- Publish an event of a cache channel, and remember it.
function commands.publish_cached(_, app, channel, name, data, ttl, exclude)
  local key = prefix .. 'last:' .. scoped(app, channel)
  if ttl > 0 then
    redis.call('HSET', key, 'name', name, 'data', data)
    redis.call('PEXPIRE', key, ttl)
  end
  publish('t:', app, channel, 'event', name, data, exclude)
  return true
end

-- Take from a token bucket. Return whether that was possible, and how many tokens the bucket has left.
function commands.take(_, app, what, cost, limit)
  local key, now = prefix .. 'rate:' .. scoped(app, what), milliseconds()
  local bucket = redis.call('HMGET', key, 'tokens', 'updated', 'limit')
  local tokens, left, updated = limit, tonumber(bucket[1]), tonumber(bucket[2])
  if left and left >= 0 and updated and updated >= 0 and tonumber(bucket[3]) == limit then -- NaN is not >= 0
    tokens = math.min(limit, left + math.max(0, now - updated) * limit / 1000)
  end
  local taken = cost <= tokens
  if taken then
    tokens = tokens - cost
  end
  redis.call('HSET', key, 'tokens', tostring(tokens), 'updated', now, 'limit', limit)
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
local function salvage(app, channel, user, count)
  local name = scoped(app, channel)
  local _, _, of_channel = pcall(add, prefix .. 'channels:' .. app, channel, -count)
  local counted, _, of_member = pcall(add, prefix .. 'connections:' .. name, user, -count)
  if not counted or of_member == -1 then
    pcall(redis.call, 'HDEL', prefix .. 'members:' .. name, user)
    publish('t:', app, channel, 'removed', user)
    of_member = -1
  end
  return {true, tonumber(of_channel) or 0, of_member}
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
    local field, count, entry = fields[index], integer(fields[index + 1]), read_entry(fields[index])
    local answer, fault
    cleared = cleared + 1
    if entry and count then
      answer, fault = try(commands[entry[1]], session, entry[2], entry[3], entry[4], 0)
      if fault and entry[1] == 'member' then
        answer = salvage(entry[2], entry[3], entry[4], count)
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
