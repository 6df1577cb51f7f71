-- What the nodes share: the commands of a batch of writes. docs/design/roster.md has the words and the reasons.
--
-- events.lua is in front of this file, history.lua and session.lua are behind it.

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

-- Remember an event of a cache channel. If Redis is full, only forget the event before it.
local function remember(app, channel, name, data, ttl)
  local key = prefix .. 'last:' .. scoped(app, channel)
  if redis_is_full then
    redis.call('DEL', key)
  elseif ttl > 0 then
    redis.call('HSET', key, 'name', name, 'data', data)
    redis.call('PEXPIRE', key, ttl)
  end
end

-- Publish an event of a cache channel, and remember it.
function commands.publish_cached(_, app, channel, name, data, ttl, exclude)
  remember(app, channel, name, data, ttl)
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
