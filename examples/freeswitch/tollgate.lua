-- FreeSWITCH asks Tollgate about a call. Dialplan:
--   <action application="lua" data="tollgate.lua"/>
-- README.md says how it works. Needs mod_lua, mod_curl and mod_cjson of FreeSWITCH
-- 1.10, and these global variables: tollgate_url, tollgate_key, tollgate_switch.

local api = freeswitch.API()

local function global(name) return api:executeString("global_getvar " .. name) end

local function quote(text)
  return '"' .. (text or ""):gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

-- post returns the decoded answer and its text, or nil when Tollgate did not answer 200.
local function post(path, body)
  local command = "curl " .. global("tollgate_url") .. path ..
    " connect-timeout 2 timeout 4 append_headers Authorization:Bearer%20" .. global("tollgate_key") ..
    " content-type application/json json post " .. body
  local answer = freeswitch.JSON():decode(api:executeString(command) or "")
  if type(answer) ~= "table" or tonumber(answer.status_code) ~= 200 then return nil end
  return freeswitch.JSON():decode(answer.body or ""), answer.body
end

-- admission is the question about a call. A channel's UUID may be the Call-ID, which its
-- caller chooses (inbound-use-callid-as-uuid), so a random text is put to it. That also
-- proves that a repeated question is the same one.
local function admission(uuid, from, to, source)
  local request = api:executeString("create_uuid")
  return string.format('{"source_ip":%s,"call_id":%s,"request_id":%s,"from":%s,"to":%s,"switch":%s}',
    quote(source), quote(uuid:sub(1, 180) .. ";" .. request), quote(request), quote(from), quote(to), quote(global("tollgate_switch")))
end

-- running leads an answered call: it tells of the answer, renews the grant, and has
-- the call end with it. It is a thread of its own: luarun tollgate.lua running UUID.
local function running(uuid)
  local attempt = api:executeString("uuid_getvar " .. uuid .. " tollgate_admission")
  local id = api:executeString("uuid_getvar " .. uuid .. " tollgate_id")
  local body = '{"admission":' .. attempt .. '}'
  local started = os.time()
  local told = false
  while api:executeString("uuid_exists " .. uuid) == "true" do
    local path = "/tollgate/v1/admissions/" .. id
    local state
    if not told then
      state = post(path .. "/answer", body)
      told = state ~= nil
    else
      state = post(path .. "/renew", string.format('{"duration_secs":%d}', os.time() - started))
    end
    if state and type(state.data.grant_secs) == "number" then
      local left = math.max(1, state.data.grant_secs - (os.time() - started))
      api:executeString("sched_del " .. uuid)
      api:executeString(string.format("sched_hangup +%d %s allotted_timeout", left, uuid))
    end
    freeswitch.msleep(told and 12000 or 2000)
  end
end

-- ended tells of the end: the hangup hook. Without an answer of Tollgate it tries
-- for five minutes, in which Tollgate charges the call at the end of its grant at worst.
local function ended(id, attempt, billmsec, status, cause)
  local answered = tonumber(billmsec) > 0
  local body = string.format('{"admission":%s,"answered":%s,"duration_secs":%.3f,"hangup_cause":%s%s}', attempt, tostring(answered),
    tonumber(billmsec) / 1000, quote(cause:lower():gsub("[^a-z0-9_]", "_")),
    tonumber(status) and string.format(',"sip_status":%d', tonumber(status)) or "")
  for _ = 1, 60 do
    if post("/tollgate/v1/admissions/" .. id .. "/end", body) then return end
    freeswitch.msleep(5000)
  end
end

local function ask()
  local uuid = session:get_uuid()
  local attempt = admission(uuid, session:getVariable("caller_id_number"), session:getVariable("destination_number"), session:getVariable("network_addr"))
  local answer = post("/tollgate/v1/admissions", attempt) or post("/tollgate/v1/admissions", attempt) -- the answer may have been lost
  if not answer then
    session:execute("respond", "503 Service Unavailable TG4")
    return
  end
  local data = answer.data
  if data.decision ~= "allow" then
    session:execute("respond", string.format("%d %s", data.sip_code, data.sip_reason))
    return
  end
  -- Only an emergency call may go without a grant.
  if type(data.grant_secs) ~= "number" and data.emergency ~= true then
    session:execute("respond", "503 Service Unavailable TG4")
    return
  end
  session:setVariable("tollgate_admission", attempt)
  session:setVariable("tollgate_id", data.id)
  session:setVariable("api_on_answer", "luarun tollgate.lua running " .. uuid)
  session:setVariable("session_in_hangup_hook", "true")
  session:setVariable("api_hangup_hook", "lua tollgate.lua hook")
  session:setVariable("hangup_after_bridge", "true")
  -- The next route after a failure of one, but not after the callee's own refusal.
  session:setVariable("continue_on_fail", "RECOVERY_ON_TIMER_EXPIRE,NETWORK_OUT_OF_ORDER,NORMAL_TEMPORARY_FAILURE,GATEWAY_DOWN")
  for _, route in ipairs(data.routes) do
    if not session:ready() then return end
    session:setVariable("tollgate_gateway", route.gateway_id)
    session:execute("bridge", string.format("{origination_caller_id_number=%s}sofia/external/%s@%s", route.caller_id, route.number, route.address))
  end
  session:execute("respond", "503 Service Unavailable PE1")
end

if argv[1] == "running" then
  running(argv[2])
elseif argv[1] == "hook" then
  -- The channel is gone soon, so the work that may take long is a thread of its own.
  api:executeString(string.format("luarun tollgate.lua ended %s %s %s %s %s", env:getHeader("variable_tollgate_id"),
    (env:getHeader("variable_tollgate_admission"):gsub(" ", "%%20")), env:getHeader("variable_billmsec") or "0",
    env:getHeader("variable_sip_term_status") or "-", env:getHeader("variable_hangup_cause") or "unspecified"))
elseif argv[1] == "ended" then
  ended(argv[2], (argv[3]:gsub("%%20", " ")), argv[4], argv[5], argv[6])
else
  ask()
end
