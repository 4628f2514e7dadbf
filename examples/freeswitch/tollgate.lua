-- FreeSWITCH asks Tollgate about a call. In the dialplan:
--   <action application="lua" data="tollgate.lua"/>
-- README.md says how it works. It needs mod_lua of FreeSWITCH 1.10, the program curl, and these global variables:
-- tollgate_url, tollgate_key, tollgate_switch.

local api = freeswitch.API()

local function global(name) return api:executeString("global_getvar " .. name) end

local function quote(text)
  return '"' .. (text or ""):gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

-- Texts that go through a command of FreeSWITCH are in hexadecimal there: quotes and spaces do not survive it.
local function hex(text) return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end)) end

local function unhex(text) return (text:gsub("%x%x", function(c) return string.char(tonumber(c, 16)) end)) end

-- setting is a line of curl's configuration.
local function setting(name, value)
  return name .. ' = "' .. value:gsub('[\\"]', "\\%0"):gsub("[\r\n]", "") .. '"\n'
end

-- post returns the HTTP status, 0 when no answer came, and the decoded answer. The key and the numbers go to curl's
-- standard input: mod_curl would write them into FreeSWITCH's log, and arguments are for all to see.
local function post(path, body)
  local name = os.tmpname()
  local curl = io.popen("curl --config - >" .. name .. " 2>/dev/null", "w")
  if curl then
    curl:write("silent\nconnect-timeout = 2\nmax-time = 4\n", setting("write-out", "\\n%{http_code}"),
      setting("url", global("tollgate_url") .. path), setting("header", "Authorization: Bearer " .. global("tollgate_key")),
      setting("header", "Content-Type: application/json"), setting("data-binary", body))
    curl:close()
  end
  local file = io.open(name)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  os.remove(name)
  local answer, status = text:match("^(.*)\n(%d+)$")
  return tonumber(status) or 0, answer and answer:sub(1, 1) == "{" and freeswitch.JSON():decode(answer) or nil
end

-- admission is the question about a call. A channel's UUID may be the Call-ID, which its caller chooses
-- (inbound-use-callid-as-uuid), so a random text is put to it. That also proves that a repeated question is the same
-- one.
local function admission(uuid, from, to, source)
  local request = api:executeString("create_uuid")
  return string.format('{"source_ip":%s,"call_id":%s,"request_id":%s,"from":%s,"to":%s,"switch":%s}', quote(source),
    quote(uuid:sub(1, 180) .. ";" .. request), quote(request), quote(from), quote(to), quote(global("tollgate_switch")))
end

-- hang_up_after has FreeSWITCH end the call so many seconds from now.
local function hang_up_after(seconds, uuid)
  api:executeString("sched_del " .. uuid)
  api:executeString(string.format("sched_hangup +%d %s allotted_timeout", math.max(1, seconds), uuid))
end

-- running leads an answered call: it reports the answer, renews the grant, and has the call end with it. It is a
-- thread of its own: luarun tollgate.lua running UUID ID ADMISSION GRANT.
local function running(uuid, id, attempt, grant)
  local started = os.time()
  local function elapsed() return os.time() - started end
  if grant then hang_up_after(grant, uuid) end -- whether or not Tollgate hears of the answer
  local path = "/tollgate/v1/admissions/" .. id
  local told = false
  while api:executeString("uuid_exists " .. uuid) == "true" do
    local status, state
    if not told then
      status, state = post(path .. "/answer", '{"admission":' .. attempt .. "}")
      told = status == 200
    else
      status, state = post(path .. "/renew", string.format('{"duration_secs":%d}', elapsed()))
    end
    local granted = status == 200 and state and tonumber(state.data.grant_secs)
    if granted then
      hang_up_after(granted - elapsed(), uuid)
    elseif status == 200 and state and state.data.status == "ended" then
      hang_up_after(0, uuid)
    end
    freeswitch.msleep(told and 12000 or 2000)
  end
end

-- ended reports the end, from the hangup hook. It tries for five minutes: a call without a reported end is charged to
-- the end of its grant.
local function ended(id, attempt, answered, billmsec, cause)
  local body = string.format('{"admission":%s,"answered":%s,"duration_secs":%.3f,"hangup_cause":%s}', attempt,
    tostring(answered), (tonumber(billmsec) or 0) / 1000, quote(cause:lower():gsub("[^a-z0-9_]", "_")))
  for _ = 1, 60 do
    local status = post("/tollgate/v1/admissions/" .. id .. "/end", body)
    if status ~= 0 and status ~= 429 and status < 500 then return end
    freeswitch.msleep(5000)
  end
end

local function ask()
  local uuid = session:get_uuid()
  local attempt = admission(uuid, session:getVariable("caller_id_number"), session:getVariable("destination_number"),
    session:getVariable("network_addr"))
  local status, answer = post("/tollgate/v1/admissions", attempt)
  if status == 0 then status, answer = post("/tollgate/v1/admissions", attempt) end -- the answer may have been lost
  if status ~= 200 or not answer then
    session:execute("respond", "503 Service Unavailable TG4")
    return
  end
  local data = answer.data
  if data.decision ~= "allow" then
    session:execute("respond", string.format("%d %s", data.sip_code, data.sip_reason))
    return
  end
  local grant = tonumber(data.grant_secs)
  -- Only an emergency call may go without a grant.
  if not grant and data.emergency ~= true then
    session:execute("respond", "503 Service Unavailable TG4")
    return
  end
  local call = data.id .. " " .. hex(attempt)
  session:setVariable("tollgate_call", call)
  session:setVariable("api_on_answer", string.format("luarun tollgate.lua running %s %s %s", uuid, call, grant or "-"))
  session:setVariable("session_in_hangup_hook", "true")
  session:setVariable("api_hangup_hook", "lua tollgate.lua hook")
  session:setVariable("hangup_after_bridge", "true")
  -- The next route after a failure of one, but not after the callee's own refusal.
  session:setVariable("continue_on_fail",
    "RECOVERY_ON_TIMER_EXPIRE,NETWORK_OUT_OF_ORDER,NORMAL_TEMPORARY_FAILURE,SWITCH_CONGESTION,GATEWAY_DOWN")
  for _, route in ipairs(data.routes) do
    if not session:ready() then return end
    session:execute("bridge", string.format("{origination_caller_id_number=%s}sofia/external/%s@%s;transport=%s",
      route.caller_id, route.number, route.address, route.transport))
  end
  if session:ready() then session:execute("respond", "503 Service Unavailable PE1") end
end

if argv[1] == "running" then
  running(argv[2], argv[3], unhex(argv[4]), tonumber(argv[5]))
elseif argv[1] == "hook" then
  -- The channel is gone soon, so the work that may take long is a thread of its own.
  api:executeString(string.format("luarun tollgate.lua ended %s %s %s %s", env:getHeader("variable_tollgate_call"),
    env:getHeader("variable_answer_epoch") or "0", env:getHeader("variable_billmsec") or "0",
    env:getHeader("variable_hangup_cause") or "unspecified"))
elseif argv[1] == "ended" then
  ended(argv[2], unhex(argv[3]), argv[4] ~= "0", argv[5], argv[6])
else
  ask()
end
