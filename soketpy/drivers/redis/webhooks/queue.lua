-- The queue of deliveries. docs/design/webhooks.md explains the terms and the reasons. events.lua and holder.lua are in
-- front of this file: the three are one script.

local DELIVERIES, BODIES, NUMBER = prefix .. 'deliveries', prefix .. 'bodies', prefix .. 'number'
local ENDPOINTS = prefix .. 'endpoints'
local DEAD, LETTERS = prefix .. 'dead', prefix .. 'letters'
local SIZES, DEAD_BYTES = prefix .. 'sizes', prefix .. 'dead-bytes'
local MOST_DEAD = 10000 -- dead letters
local MOST_BYTES = 67108864 -- of the bodies that one endpoint has in the queue; and of the bodies of all dead letters
local FULL = 'the queue of the endpoint was full'

local function lane_key(lane)
  return prefix .. 'lane:' .. lane
end

local function endpoint_key(app, webhook)
  return prefix .. 'endpoint:' .. #app .. ':' .. app .. ':' .. webhook
end

local function append_letter(id, meta, reason)
  local number = redis.call('INCR', NUMBER)
  call('INCRBY', DEAD_BYTES, redis.call('HSTRLEN', BODIES, id))
  redis.call('HSET', LETTERS, id, cmsgpack.pack({meta, now, reason}))
  redis.call('ZADD', DEAD, number, id)
end

local function forget_letter(id)
  if redis.call('ZREM', DEAD, id) == 1 then
    call('INCRBY', DEAD_BYTES, -redis.call('HSTRLEN', BODIES, id))
  end
  redis.call('HDEL', LETTERS, id)
  redis.call('HDEL', BODIES, id)
end

local function too_many_letters()
  return redis.call('ZCARD', DEAD) > MOST_DEAD or (tonumber(call('GET', DEAD_BYTES) or '') or 0) > MOST_BYTES
end

-- Remove the oldest dead letters: those older than `keep` milliseconds, and those above the bounds.
local function forget_letters(keep)
  for _, id in ipairs(redis.call('ZRANGE', DEAD, 0, SLICE - 1)) do
    local letter = redis.call('HGET', LETTERS, id)
    if letter and cmsgpack.unpack(letter)[2] > now - keep and not too_many_letters() then
      return
    end
    forget_letter(id)
  end
end

-- Count a delivery that has left its lane. Return its description.
local function leave(id, lane)
  local meta = redis.call('HGET', DELIVERIES, id)
  redis.call('HDEL', DELIVERIES, id)
  if not meta then
    return nil
  end
  local fields = cmsgpack.unpack(meta)
  local endpoint = endpoint_key(fields[5], fields[6])
  if redis.call('HINCRBY', endpoint, lane, -1) <= 0 then
    redis.call('HDEL', endpoint, lane)
  end
  call('HINCRBY', SIZES, endpoint, -redis.call('HSTRLEN', BODIES, id))
  if redis.call('EXISTS', endpoint) == 0 then
    redis.call('SREM', ENDPOINTS, endpoint)
    redis.call('HDEL', SIZES, endpoint)
  end
  return meta
end

-- Make the first delivery of a lane due, if the lane has one.
local function make_due(lane, at)
  if redis.call('LLEN', lane_key(lane)) > 0 then
    redis.call('ZADD', DUE, at, lane)
  else
    redis.call('ZREM', DUE, lane)
  end
end

-- Make room in the queue of an endpoint: its oldest delivery that is not in flight becomes a dead letter. Return the
-- number of these.
local function bury_oldest(endpoint)
  local oldest, of_lane, of_index, number
  for _, lane in ipairs(redis.call('HKEYS', endpoint)) do
    local index = redis.call('SISMEMBER', TAKEN, lane)
    local id = redis.call('LINDEX', lane_key(lane), index)
    local meta = id and redis.call('HGET', DELIVERIES, id)
    local its_number = meta and cmsgpack.unpack(meta)[1]
    if its_number and (not number or its_number < number) then
      oldest, of_lane, of_index, number = id, lane, index, its_number
    end
  end
  if not oldest then
    return 0
  end
  redis.call('LREM', lane_key(of_lane), 1, oldest)
  append_letter(oldest, leave(oldest, of_lane), FULL)
  if of_index == 0 then
    make_due(of_lane, now)
  end
  return 1
end

-- Return the number of deliveries of an endpoint.
local function length_of(endpoint)
  local length = 0
  for _, of_lane in ipairs(redis.call('HVALS', endpoint)) do
    length = length + of_lane
  end
  return length
end

-- Append a delivery to its lane, unless the queue has it. Return the number of deliveries that became dead letters.
local function put(bound, id, app, webhook, lane, target, events, created, body)
  if redis.call('HEXISTS', DELIVERIES, id) == 1 then
    return 0
  end
  local endpoint = endpoint_key(app, webhook)
  local number = redis.call('INCR', NUMBER)
  redis.call('HSET', DELIVERIES, id, cmsgpack.pack({number, 0, '', created, app, webhook, lane, target, events}))
  redis.call('HSET', BODIES, id, body)
  redis.call('SADD', ENDPOINTS, endpoint)
  redis.call('HINCRBY', endpoint, lane, 1)
  local size = call('HINCRBY', SIZES, endpoint, #body)
  if redis.call('RPUSH', lane_key(lane), id) == 1 then
    redis.call('ZADD', DUE, now, lane)
  end
  local buried = length_of(endpoint) > bound and bury_oldest(endpoint) or 0
  while size > MOST_BYTES and bury_oldest(endpoint) == 1 do
    size, buried = tonumber(redis.call('HGET', SIZES, endpoint) or '0'), buried + 1
  end
  return buried
end

-- ARGV[4]: the most deliveries of an endpoint; ARGV[5]: milliseconds for which dead letters are kept; ARGV[6]:
-- deliveries; from ARGV[7] on: the events that they were formed from. Append the deliveries and remove the events. Return
-- the number of deliveries that became dead letters.
if operation == 'move' or operation == 'put' then
  local buried = 0
  for _, delivery in ipairs(cmsgpack.unpack(ARGV[6])) do
    buried = buried + put(tonumber(ARGV[4]), unpack(delivery))
  end
  if operation == 'move' then
    remove_events(7)
  elseif not is_holder() then
    wake()
  end
  forget_letters(tonumber(ARGV[5]))
  return buried
end

-- From ARGV[4] on: ids of events. Remove these.
if operation == 'remove' then
  return remove_events(4)
end

-- Take the first delivery of each lane that is due. Return the milliseconds until the next lane is due (or -1), and
-- three values for each delivery: its id, its description and its body.
if operation == 'take' then
  local answer, size = {-1}, 0
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, SLICE)) do
    local id = redis.call('LINDEX', lane_key(lane), 0)
    local meta, body = id and redis.call('HGET', DELIVERIES, id), id and redis.call('HGET', BODIES, id)
    if meta and body then
      redis.call('ZREM', DUE, lane)
      redis.call('SADD', TAKEN, lane)
      table.insert(answer, id)
      table.insert(answer, meta)
      table.insert(answer, body)
      size = size + #body
    else -- damaged by another program
      redis.call('LPOP', lane_key(lane))
      make_due(lane, now)
    end
    if size >= SLICE_BYTES then
      break
    end
  end
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  if first[2] then
    answer[1] = math.max(0, tonumber(first[2]) - now)
  end
  return answer
end

-- Release a lane. A node that has ceased to be the holder does not release what the new holder has taken.
local function release(lane, at)
  local holder = is_holder()
  if holder or redis.call('SISMEMBER', TAKEN, lane) == 0 then
    redis.call('SREM', TAKEN, lane)
    make_due(lane, at)
  end
  if not holder then
    wake()
  end
end

-- ARGV[4]: the id of a delivery that was taken; ARGV[5]: its lane. For "bury" ARGV[6]: the reason; ARGV[7]: the
-- milliseconds for which dead letters are kept. For "retry" and "postpone" ARGV[6]: the milliseconds until it is due
-- again; for "retry" ARGV[7]: the error. A delivery that is not the first one of its lane has already left the queue.
if operation == 'finish' or operation == 'bury' or operation == 'retry' or operation == 'postpone' then
  local id, lane, at = ARGV[4], ARGV[5], now
  local is_first = redis.call('LINDEX', lane_key(lane), 0) == id
  if is_first and (operation == 'retry' or operation == 'postpone') then
    at = now + tonumber(ARGV[6])
    if operation == 'retry' then
      local fields = cmsgpack.unpack(redis.call('HGET', DELIVERIES, id))
      fields[2], fields[3] = fields[2] + 1, ARGV[7]
      redis.call('HSET', DELIVERIES, id, cmsgpack.pack(fields))
    end
  elseif is_first then
    redis.call('LPOP', lane_key(lane))
    local meta = leave(id, lane)
    if operation == 'finish' then
      redis.call('HDEL', BODIES, id)
    elseif meta then
      append_letter(id, meta, ARGV[6])
      forget_letters(tonumber(ARGV[7]))
    end
  end
  release(lane, at)
  return is_first and 1 or 0
end

-- For operators

-- Return for each endpoint: its app, its webhook, its target, the number of its deliveries, and the time when the oldest
-- one was formed.
if operation == 'lengths' then
  local answer = {}
  for _, endpoint in ipairs(redis.call('SMEMBERS', ENDPOINTS)) do
    local length, oldest, fields = 0, nil, nil
    local lanes = redis.call('HGETALL', endpoint)
    for index = 1, #lanes, 2 do
      local id = redis.call('LINDEX', lane_key(lanes[index]), 0)
      local meta = id and redis.call('HGET', DELIVERIES, id)
      if meta then
        fields = cmsgpack.unpack(meta)
        length, oldest = length + lanes[index + 1], math.min(oldest or fields[4], fields[4])
      end
    end
    if fields then
      table.insert(answer, cmsgpack.pack({fields[5], fields[6], fields[8], length, oldest}))
    end
  end
  return answer
end

-- ARGV[4]: milliseconds for which dead letters are kept; ARGV[5]: the most letters to return. Return three values for
-- each dead letter, the newest first: its id, its description and its body.
if operation == 'dead' then
  forget_letters(tonumber(ARGV[4]))
  local answer = {}
  for _, id in ipairs(redis.call('ZREVRANGE', DEAD, 0, tonumber(ARGV[5]) - 1)) do
    local body = redis.call('HGET', BODIES, id) or ''
    table.insert(answer, id)
    table.insert(answer, redis.call('HGET', LETTERS, id))
    table.insert(answer, body)
  end
  return answer
end

-- Return the dead letters of an app and with an id, the oldest first: for each its id and its description. "" is for all.
local function letters_of(app, id)
  local found = {}
  for _, each in ipairs(redis.call('ZRANGE', DEAD, 0, -1)) do
    local fields = cmsgpack.unpack(cmsgpack.unpack(redis.call('HGET', LETTERS, each))[1])
    if (app == '' or fields[5] == app) and (id == '' or each == id) then
      table.insert(found, {each, fields})
    end
  end
  return found
end

-- ARGV[4]: milliseconds for which dead letters are kept; ARGV[5]: an app, or "" for all; ARGV[6]: an id, or "" for all.
-- Remove dead letters. Return their number.
if operation == 'purge' then
  forget_letters(tonumber(ARGV[4]))
  local found = letters_of(ARGV[5], ARGV[6])
  for _, letter in ipairs(found) do
    forget_letter(letter[1])
  end
  return #found
end

-- ARGV[4] to ARGV[6] as for "purge"; ARGV[7]: the most deliveries of an endpoint. Queue dead letters again: of each
-- endpoint the oldest ones, until its queue is full. Return their number, and the number of those that stay dead.
if operation == 'revive' then
  forget_letters(tonumber(ARGV[4]))
  local bound, queued, kept, full = tonumber(ARGV[7]), 0, 0, {}
  for _, letter in ipairs(letters_of(ARGV[5], ARGV[6])) do
    local id, _, _, _, _, app, webhook, lane, target, events = letter[1], unpack(letter[2])
    local endpoint, body = endpoint_key(app, webhook), redis.call('HGET', BODIES, id)
    local size = (tonumber(redis.call('HGET', SIZES, endpoint) or '') or 0) + #(body or '')
    full[endpoint] = full[endpoint] or length_of(endpoint) >= bound or size > MOST_BYTES
    if not body then -- damaged by another program
      forget_letter(id)
    elseif full[endpoint] then
      kept = kept + 1
    else
      forget_letter(id)
      put(bound, id, app, webhook, lane, target, events, now / 1000, body)
      queued = queued + 1
    end
  end
  if queued > 0 then
    wake()
  end
  return {queued, kept}
end
