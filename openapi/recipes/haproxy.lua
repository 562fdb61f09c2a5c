-- Asks Plimsoll about a request, and gives the customer each refusal as Plimsoll words it. haproxy.cfg uses it and says what for.

-- What HAProxy says itself in its answers, and what tells HAProxy how to answer.
local not_relayed = {
    ["connection"] = true, ["content-length"] = true, ["date"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true,
    ["x-plimsoll-status"] = true, ["x-plimsoll-body"] = true,
}
local unavailable = '{"data":null,"error":"The service cannot answer at the moment","meta":{"code":"unavailable"}}'

-- Every value of a header, which HAProxy counts from 0.
local function values_of(header)
    local values = {}
    for at = 0, #(header or {}) do
        if header and header[at] then values[#values + 1] = header[at] end
    end
    return values
end

local function first_of(answer, name)
    return answer.headers[name] and answer.headers[name][0]
end

local function ask(txn, socket)
    -- Of the customer's request nothing goes to Plimsoll but what stands here: no X-Forwarded-* of the customer's, and no body.
    local headers = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-forwarded-for"] = { txn.sf:src() },
    }
    local authorization = values_of(txn.http:req_get_headers()["authorization"])
    if #authorization > 0 then headers["authorization"] = authorization end
    -- With denyStatus a refusal names its status in a header, so that it cannot be mistaken for an error on the way.
    return core.httpclient():get {
        url = "http://plimsoll/v1/forward-auth?denyStatus=403",
        dst = socket,
        headers = headers,
    }
end

local function pass(txn, answer)
    for _, name in ipairs { "x-plimsoll-org", "x-plimsoll-key-id", "x-plimsoll-scopes" } do
        local value = first_of(answer, name)
        if value then txn.http:req_set_header(name, value) end
    end
    txn:set_var("txn.plimsoll_rate_limit", first_of(answer, "ratelimit") or "")
    txn:set_var("txn.plimsoll_rate_limit_policy", first_of(answer, "ratelimit-policy") or "")
    txn:set_var("txn.plimsoll", "passed")
end

local function refuse(txn, answer)
    local reply = txn:reply { status = tonumber(first_of(answer, "x-plimsoll-status")), body = answer.body }
    for name, values in pairs(answer.headers) do
        if not not_relayed[name] then
            for _, value in ipairs(values_of(values)) do reply:add_header(name, value) end
        end
    end
    txn:done(reply)
end

local function close(txn)
    local reply = txn:reply { status = 503, body = unavailable }
    reply:add_header("content-type", "application/json")
    reply:add_header("cache-control", "no-store")
    reply:add_header("retry-after", "1")
    txn:done(reply)
end

core.register_action("plimsoll", { "http-req" }, function(txn, socket)
    local answer = ask(txn, socket)
    if answer.status == 200 then
        pass(txn, answer)
    elseif first_of(answer, "x-plimsoll-status") then
        refuse(txn, answer)
    else
        close(txn)
    end
end, 1)
