-- Signs a call for nginx's Lua module, with libcrypto by FFI.

local ffi = require "ffi"

ffi.cdef[[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len,
    const unsigned char *d, size_t n, unsigned char *out, unsigned int *len);
unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *out);
]]

local crypto = ffi.load("crypto.so.3")
local md = crypto.EVP_sha256()
local out = ffi.new("unsigned char[32]")
local format, byte = string.format, string.byte

local _M = {}
local secret_id, secret_key, key, key_date

local digits = {}
for i = 0, 255 do digits[i] = format("%02x", i) end

local function hex(bytes)
    local t = {}
    for i = 0, 31 do t[i + 1] = digits[bytes[i]] end
    return table.concat(t)
end

local function hmac(secret, text)
    crypto.HMAC(md, secret, #secret, text, #text, out, nil)
    return out
end

local function hash(text)
    crypto.SHA256(text, #text, out)
    return hex(out)
end

function _M.init(path)
    local f = assert(io.open(path))
    local text = f:read("*a")
    f:close()
    secret_id = text:match('"secret_id"%s*:%s*"([^"]+)"')
    secret_key = text:match('"secret_key"%s*:%s*"([^"]+)"')
end

function _M.sign()
    local now = ngx.time()
    local date = os.date("!%Y-%m-%d", now)

    if date ~= key_date then
        local k = ffi.string(hmac("TC3" .. secret_key, date), 32)
        k = ffi.string(hmac(k, "cbs"), 32)
        key = ffi.string(hmac(k, "tc3_request"), 32)
        key_date = date
    end

    ngx.req.read_body()

    local request = "POST\n/\n\ncontent-type:application/json\n"
        .. "host:cbs.intl.tencentcloudapi.com\n\ncontent-type;host\n"
        .. hash(ngx.req.get_body_data() or "")

    local scope = date .. "/cbs/tc3_request"
    local text = "TC3-HMAC-SHA256\n" .. now .. "\n" .. scope .. "\n"
        .. hash(request)

    ngx.req.set_header("X-TC-Timestamp", now)
    ngx.req.set_header("Authorization", "TC3-HMAC-SHA256 Credential="
        .. secret_id .. "/" .. scope
        .. ", SignedHeaders=content-type;host, Signature="
        .. hex(hmac(key, text)))
end

return _M
