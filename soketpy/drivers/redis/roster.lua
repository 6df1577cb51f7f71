-- What the nodes know together, changed by one script at a time. docs/design/roster.md has the words and the reasons.
--
-- PUBLISH  the command that publishes; defined in front of this by session.py
-- KEYS[1]  the prefix of the partition, hash tag and all: every other key begins with it
-- ARGV[1]  what to do: "begin", "dead", "renew", "write" or "clear"
-- ARGV[2]  a life

local base, verb, life = KEYS[1], ARGV[1], ARGV[2]
local LEASES, DYING = base .. 'leases', base .. 'dying'
local SLICE = 500 -- leaves that are cleared at a time

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- An app and a name, so that no two pairs are written alike.
local function of(app, name)
  return #app .. ':' .. app .. ':' .. name
end

local function publish(kind, app, name, ...)
  redis.call(PUBLISH, base .. kind .. of(app, name), cmsgpack.pack({...}))
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

-- Return what a leaf of a life is, and a function that sets it. Change the totals in between: if one of them cannot be
-- changed, the leaf must not be either, or whoever clears it takes away what was never added.
local function leaf_of(owner, leaf)
  local ledger, field = base .. 'node:' .. owner, cmsgpack.pack(leaf)
  local before = integer(redis.call('HGET', ledger, field) or '0') or 0
  return before, function(count)
    if count == 0 then
      redis.call('HDEL', ledger, field)
    elseif count ~= before then
      redis.call('HSET', ledger, field, count)
    end
  end
end

-- Add to a total; what it is then, and the edge: 1 for the first in, -1 for the last out, else 0.
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

local function list(app, channel)
  return redis.call('HGETALL', base .. 'members:' .. of(app, channel))
end

local function online_of(app, users)
  local online = {}
  for _, user in ipairs(users) do
    if redis.call('HEXISTS', base .. 'users:' .. app, user) == 1 then
      table.insert(online, user)
    end
  end
  return online
end

local set = {}

-- Subscriptions of a channel: the total, and its edge.
function set.s(owner, app, channel, _, count)
  local before, put = leaf_of(owner, {'s', app, channel, ''})
  local total, edge = add(base .. 'channels:' .. app, channel, count - before)
  put(count)
  return {total, edge}
end

-- Connections of a user on a presence channel: whether they were let in, the edges of channel and member, and the list.
function set.m(owner, app, channel, user, count, info, limit, wanted)
  local name = of(app, channel)
  local members, connections = base .. 'members:' .. name, base .. 'connections:' .. name
  local there = redis.call('HEXISTS', members, user) == 1
  if count > 0 and not there and redis.call('HLEN', members) >= limit then
    return {false, 0, 0, wanted and list(app, channel)}
  end
  local before, put = leaf_of(owner, {'m', app, channel, user})
  check_count(connections, user)
  local _, edge = add(base .. 'channels:' .. app, channel, count - before)
  local _, came = add(connections, user, count - before)
  put(count)
  if came == 1 then
    redis.call('HSET', members, user, info)
    publish('t:', app, channel, 'added', user, info)
  elseif came == -1 then
    redis.call('HDEL', members, user)
    publish('t:', app, channel, 'removed', user)
  end
  return {true, edge, came, wanted and list(app, channel)}
end

-- Signed-in connections of a user; who of the watched is online.
function set.u(owner, app, user, _, count, watched)
  local users = base .. 'users:' .. app
  local before, put = leaf_of(owner, {'u', app, user, ''})
  local _, edge = add(users, user, count - before)
  put(count)
  if edge ~= 0 then
    publish('w:', app, user, 'online', edge == 1)
  end
  return online_of(app, watched or {})
end

-- Connections of an app.
function set.k(owner, app, _, _, count)
  local before, put = leaf_of(owner, {'k', app, '', ''})
  add(base .. 'connected', app, count - before)
  put(count)
  return true
end

-- One connection of an app more, unless there are as many as may be, or one less; whether it was counted.
function set.a(owner, app, change, limit)
  local total = check_count(base .. 'connected', app)
  if change > 0 and limit >= 0 and total >= limit then
    return false
  end
  return set.k(owner, app, '', '', leaf_of(owner, {'k', app, '', ''}) + change)
end

-- Who of some users is online.
function set.o(_, app, users)
  return online_of(app, users)
end

-- The last event of a cache channel, and for how many milliseconds it is still remembered.
function set.g(_, app, channel)
  local key = base .. 'last:' .. of(app, channel)
  local event = redis.call('HMGET', key, 'name', 'data')
  return event[1] and event[2] and {event[1], event[2], redis.call('PTTL', key)} or false
end

-- Publish an event of a cache channel, and remember it.
function set.p(_, app, channel, name, data, ttl, exclude)
  local key = base .. 'last:' .. of(app, channel)
  if ttl > 0 then
    redis.call('HSET', key, 'name', name, 'data', data)
    redis.call('PEXPIRE', key, ttl)
  end
  publish('t:', app, channel, 'event', name, data, exclude)
  return true
end

-- Take from a token bucket: whether that was possible, and how many tokens it had.
function set.r(_, app, what, cost, limit)
  local key, now = base .. 'rate:' .. of(app, what), milliseconds()
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

-- Nothing, in the place of what is not wanted any more.
function set.n()
  return false
end

-- The members of a channel.
function set.l(_, app, channel)
  return list(app, channel)
end

-- Tell the subscribers of a channel how many they are.
function set.c(_, app, channel)
  local total = check_count(base .. 'channels:' .. app, channel)
  publish('t:', app, channel, 'count', total)
  return total
end

-- Run a function. Return its answer or, if it raises an error, what can be logged of that.
local function try(run, ...)
  local done, answer = pcall(run, ...)
  if done and answer ~= nil then
    return answer
  end
  return nil, type(answer) == 'table' and answer.err or tostring(answer)
end

-- Remove a key that all nodes need if it has another type: without a sound one no node can begin.
local function mend(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
  end
end

if verb == 'begin' or verb == 'renew' then
  mend(LEASES, 'zset')
  mend(DYING, 'zset')
  mend(base .. 'partitions', 'string')
end

if verb == 'begin' then -- ARGV[3]: how long the lease is, in milliseconds; ARGV[4]: how many partitions the node has
  local partitions, now = base .. 'partitions', milliseconds()
  if redis.call('ZCOUNT', LEASES, '(' .. now, '+inf') == 0 then -- nobody is alive
    redis.call('SET', partitions, ARGV[4])
  end
  local agreed = integer(redis.call('GET', partitions) or '')
  if not agreed then
    redis.call('SET', partitions, ARGV[4])
    agreed = tonumber(ARGV[4])
  end
  if agreed == tonumber(ARGV[4]) then
    redis.call('ZADD', LEASES, now + ARGV[3], life)
  end
  return agreed
end

if verb == 'dead' then -- whether a life was declared dead, and not just forgotten
  return redis.call('EXISTS', base .. 'cleared:' .. life) + (redis.call('ZSCORE', DYING, life) and 1 or 0)
end

if verb == 'renew' then -- ARGV[3] likewise; the lives that are to be cleared
  if not redis.call('ZSCORE', LEASES, life) then
    return redis.error_reply('NOLIFE the lease has ended')
  end
  if ARGV[4] then -- after an absence: the number of the last batch, and of the last one that was answered
    local done = redis.call('HGET', base .. 'batch:' .. life, 'number') or '0'
    if done ~= ARGV[4] and done ~= ARGV[5] then
      return redis.error_reply('NOLIFE batch ' .. done .. ' was the last')
    end
  end
  local now = milliseconds()
  redis.call('ZADD', LEASES, now + ARGV[3], life)
  local dead = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 10)
  for _, dying in ipairs(redis.call('ZRANGE', DYING, 0, 9)) do
    table.insert(dead, dying)
  end
  return dead
end

if verb == 'write' then -- ARGV[3]: the number of the batch; ARGV[4]: its writes
  local batch, number = base .. 'batch:' .. life, tonumber(ARGV[3])
  if not redis.call('ZSCORE', LEASES, life) then
    return redis.error_reply('NOLIFE the lease has ended')
  end
  local last = redis.call('HMGET', batch, 'number', 'answer')
  local done = tonumber(last[1] or 0)
  if number == done then
    return last[2]
  elseif number ~= done + 1 then
    return redis.error_reply('NOLIFE batch ' .. number .. ' does not follow ' .. done)
  end
  redis.call('HLEN', base .. 'node:' .. life) -- without its ledger this life cannot write: the node begins a new one
  local answers = {}
  for index, write in ipairs(cmsgpack.unpack(ARGV[4])) do -- a write that fails has changed nothing, and fails alone
    local answer, fault = try(set[write[1]], life, unpack(write, 2))
    answers[index] = fault and {err = fault} or answer
  end
  local answer = cmsgpack.pack(answers)
  redis.call('HSET', batch, 'number', number, 'answer', answer)
  return answer
end

-- Take away what can be of the leaf of a member that cannot be set to 0 as a whole; the answer of set.m.
local function salvage(app, channel, user, count)
  local name = of(app, channel)
  local _, _, edge = pcall(add, base .. 'channels:' .. app, channel, -count)
  local counted, _, came = pcall(add, base .. 'connections:' .. name, user, -count)
  if not counted or came == -1 then
    pcall(redis.call, 'HDEL', base .. 'members:' .. name, user)
    publish('t:', app, channel, 'removed', user)
    came = -1
  end
  return {true, tonumber(edge) or 0, came}
end

local LEAVES = {s = true, m = true, u = true, k = true}

-- Return the leaf that is written in a field of a ledger; nothing if that is none.
local function read_leaf(field)
  local read, leaf = pcall(cmsgpack.unpack, field)
  if not read or type(leaf) ~= 'table' or #leaf ~= 4 or not LEAVES[leaf[1]] or cmsgpack.pack(leaf) ~= field then
    return nil -- the last, if the same is written in other bytes: set would remove another field
  end
  for _, part in ipairs(leaf) do
    if type(part) ~= 'string' then
      return nil
    end
  end
  return leaf
end

-- ARGV[3]: "1" for one's own life, which need not have ended. Return how many leaves went, the edges, and the faults:
-- pairs of an entry that could not be taken away as it should be, and why. Such an entry is removed all the same.
if verb == 'clear' then
  local lease = redis.call('ZSCORE', LEASES, life)
  if lease then
    if ARGV[3] ~= '1' and tonumber(lease) > milliseconds() then
      return {0, cmsgpack.pack({}), {}}
    end
    redis.call('ZREM', LEASES, life)
    redis.call('ZADD', DYING, lease, life)
  end
  local ledger, edges, faults, cleared = base .. 'node:' .. life, {}, {}, 0
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
    local field, count, leaf = fields[index], integer(fields[index + 1]), read_leaf(fields[index])
    local answer, fault
    cleared = cleared + 1
    if leaf and count then
      answer, fault = try(set[leaf[1]], life, leaf[2], leaf[3], leaf[4], 0)
      if fault and leaf[1] == 'm' then
        answer = salvage(leaf[2], leaf[3], leaf[4], count)
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
      local app, name, user = unpack(leaf, 2)
      if leaf[1] == 's' and answer[2] == -1 then
        table.insert(edges, {'channel_vacated', app, name, ''})
      elseif leaf[1] == 's' and answer[1] > 0 then
        publish('t:', app, name, 'count', answer[1])
      elseif leaf[1] == 'm' then
        if answer[3] == -1 then
          table.insert(edges, {'member_removed', app, name, user})
        end
        if answer[2] == -1 then
          table.insert(edges, {'channel_vacated', app, name, ''})
        end
      end
    end
  end
  if redis.call('EXISTS', ledger) == 0 then
    redis.call('ZREM', DYING, life)
    redis.call('DEL', base .. 'batch:' .. life)
    redis.call('SET', base .. 'cleared:' .. life, '', 'EX', 86400)
  end
  return {cleared, cmsgpack.pack(edges), faults}
end
