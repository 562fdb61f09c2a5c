-- Counts one call in all of these windows, or in none; or only looks at them.
--
-- KEYS     the windows, all of one subject. Each is the list of the moments at which something was counted, oldest first.
-- ARGV[1]  '1' to count, '0' to look.
-- ARGV     then for each window its length in microseconds and the most that it may hold, -1 for no limit.
--
-- Answers 1 if there was room in all of them, else 0; then for each window how many it holds, and the microseconds until there
-- is room for one more or, when there is already, until the oldest leaves it; -1 when that is not known.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local counts = ARGV[1] == '1'

local function moment(key, place)
  return tonumber(redis.call('LINDEX', key, place))
end

-- How many of the moments are at `last` or before. They are in order.
local function up_to(key, held, last)
  if held == 0 or moment(key, 0) > last then return 0 end
  if moment(key, -1) <= last then return held end
  local low, high = 1, held - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if moment(key, middle) <= last then low = middle + 1 else high = middle end
  end
  return low
end

local function push(key, length)
  redis.call('RPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, string.format('%.0f', math.floor(length / 1000) + 1000))
end

-- What was counted by a clock that ran ahead has happened by now: were it left, the window would stay full until then.
local function set_right(key, held, length)
  local ahead = held - up_to(key, held, now)
  if ahead > 0 then
    redis.call('LTRIM', key, 0, -1 - ahead)
    for _ = 1, ahead do push(key, length) end
  end
end

local function frees_in(key, length, limit, used)
  if used == 0 or limit == 0 then return -1 end
  -- Above the limit, as after it was lowered, more than the oldest has to leave.
  local others = used - 1
  if limit > 0 and used >= limit then others = limit - 1 end
  return math.min(moment(key, -1 - others), now) + length - now
end

local windows, has_room = {}, true
for i, key in ipairs(KEYS) do
  local length, limit = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local held = redis.call('LLEN', key)
  if counts then set_right(key, held, length) end
  local left = up_to(key, held, now - length)
  windows[i] = { key = key, length = length, limit = limit, left = left, used = held - left }
  if limit >= 0 and held - left >= limit then has_room = false end
end

local answer = { has_room and 1 or 0 }
for _, window in ipairs(windows) do
  -- What has no limit is not counted: there would be no end of it.
  if counts and has_room and window.limit >= 0 then
    if window.left > 0 then redis.call('LTRIM', window.key, window.left, -1) end
    push(window.key, window.length)
    window.used = window.used + 1
  end
  answer[#answer + 1] = window.used
  answer[#answer + 1] = frees_in(window.key, window.length, window.limit, window.used)
end
return answer
