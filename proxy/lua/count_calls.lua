-- Counts calls: a batch of acts in their order, each as a whole; times are this server's.
--
--   KEYS     two of each owner: its minute, a hash of `minute`, `requests` and `tokens`; and its
--            calls in flight, a sorted set of call ids by the end of their lease
--   ARGV[1]  the lease in seconds
--   ARGV[2]  the acts as JSON: {"verb", "call", "tokens", "owners": [[n, requests, tokens, parallel]]}
--            n: the owner's place in KEYS; the rest are its rate limits, null where it has none
--   answer   JSON: [seconds since 1970, [verdict of each act]]; that of an admit is
--            [place of the owner that refuses or 0, its kind or "", [[requests, tokens], ...]]
--
-- Every key has a life of its own, so nobody has to clear up. A value that is not as we left it, from
-- an old dump or of somebody else's, counts as none: it must not open, nor close, other calls' limits.

local MINUTE_LIFE_SECONDS = 120

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local minute = math.floor(now / 60)
local lease = tonumber(ARGV[1])

local function is_set(limit)
  return limit ~= cjson.null
end

local function is_full(count, limit)
  return is_set(limit) and count >= limit
end

local function minute_key(owner)
  return KEYS[2 * owner[1] - 1]
end

local function parallel_key(owner)
  return KEYS[2 * owner[1]]
end

local function counts_of(owner)
  local found = redis.pcall('HMGET', minute_key(owner), 'minute', 'requests', 'tokens')
  if found.err then
    redis.call('DEL', minute_key(owner))
    return 0, 0
  end
  if tonumber(found[1]) ~= minute then
    return 0, 0
  end
  return tonumber(found[2]) or 0, tonumber(found[3]) or 0
end

local function keep_counts(owner, requests, tokens)
  local key = minute_key(owner)
  redis.call('HSET', key, 'minute', minute, 'requests', requests, 'tokens', tokens)
  redis.call('EXPIRE', key, MINUTE_LIFE_SECONDS)
end

local function calls_in_flight(owner)
  local key = parallel_key(owner)
  local gone = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', now)
  if type(gone) == 'table' and gone.err then
    redis.call('DEL', key)
  end
  return redis.call('ZCARD', key)
end

local function kind_without_room(owner, requests, tokens)
  if is_full(requests, owner[2]) then
    return 'requests'
  end
  if is_full(tokens, owner[3]) then
    return 'tokens'
  end
  if is_set(owner[4]) and is_full(calls_in_flight(owner), owner[4]) then
    return 'parallel'
  end
  return nil
end

local verbs = {}

-- Counts a call with all its owners, or with none.
function verbs.admit(act)
  local refusing, kind, counts = 0, '', {}
  for place, owner in ipairs(act.owners) do
    local requests, tokens = counts_of(owner)
    counts[place] = {requests, tokens}
    local full = refusing == 0 and kind_without_room(owner, requests, tokens)
    if full then
      refusing, kind = place, full
    end
  end
  if refusing > 0 then
    return {refusing, kind, counts}
  end
  for place, owner in ipairs(act.owners) do
    if is_set(owner[2]) then
      counts[place][1] = counts[place][1] + 1
      keep_counts(owner, counts[place][1], counts[place][2])
    end
    if is_set(owner[4]) then
      redis.call('ZADD', parallel_key(owner), now + lease, act.call)
      redis.call('EXPIRE', parallel_key(owner), lease + 1)
    end
  end
  return {0, '', counts}
end

-- A call that is still running keeps its place, if it has one.
function verbs.renew(act)
  for _, owner in ipairs(act.owners) do
    if is_set(owner[4]) then
      redis.pcall('ZADD', parallel_key(owner), 'XX', now + lease, act.call)
      redis.call('EXPIRE', parallel_key(owner), lease + 1)
    end
  end
  return 0
end

-- A call is over: its place is free.
function verbs.leave(act)
  for _, owner in ipairs(act.owners) do
    if is_set(owner[4]) then
      redis.pcall('ZREM', parallel_key(owner), act.call)
    end
  end
  return 0
end

-- What a call used counts in the minute in which it is settled.
function verbs.count(act)
  for _, owner in ipairs(act.owners) do
    if is_set(owner[3]) then
      local requests, tokens = counts_of(owner)
      keep_counts(owner, requests, tokens + act.tokens)
    end
  end
  return 0
end

local verdicts = {}
for place, act in ipairs(cjson.decode(ARGV[2])) do
  verdicts[place] = verbs[act.verb](act)
end
return cjson.encode({now, verdicts})
