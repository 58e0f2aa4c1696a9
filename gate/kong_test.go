package gate_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func init() { integrations["kong.md#pre-function"] = tryKong }

// kongShim is as much of Kong as the code uses: its functions by nginx's, and the
// HTTP client that comes with it, over a socket.
const kongShim = `
local function headers(h)
  return setmetatable(h, {__index = function(t, k) return rawget(t, k:lower()) end})
end
package.loaded["resty.http"] = {new = function()
  local client = {}
  function client:set_timeouts(connect, send, read) self.times = {connect, send, read} end
  function client:request_uri(uri, o)
    local host, port, path = uri:match("^http://([^:/]+):(%d+)(/.*)$")
    local s = ngx.socket.tcp()
    s:settimeouts(unpack(self.times))
    local ok, err = s:connect(host, tonumber(port))
    if not ok then return nil, err end
    local q = {"GET " .. path .. " HTTP/1.1", "Host: " .. host .. ":" .. port}
    for k, v in pairs(o.headers) do q[#q + 1] = k .. ": " .. v end
    ok, err = s:send(table.concat(q, "\r\n") .. "\r\n\r\n")
    if not ok then return nil, err end
    local line
    line, err = s:receive()
    if not line then return nil, err end
    local r = {status = tonumber(line:match("^HTTP/1.1 (%d+)")), headers = headers({})}
    while true do
      line, err = s:receive()
      if not line then return nil, err end
      if line == "" then break end
      local k, v = line:match("^([^:]+):%s*(.*)$")
      r.headers[k] = v
      if k:lower() == "content-length" then r.length = tonumber(v) end
    end
    if r.length and r.length > 0 then
      r.body, err = s:receive(r.length)
      if not r.body then return nil, err end
    end
    s:setkeepalive(60000, 8)
    return r
  end
  return client
end}
kong = {
  request = {
    get_host = function() return ngx.var.host end,
    get_header = function(name) return ngx.var["http_" .. name:gsub("-", "_")] end,
    get_scheme = function() return ngx.var.scheme end,
    get_raw_path = function() return (ngx.var.request_uri:gsub("?.*", "")) end,
  },
  client = {get_ip = function() return ngx.var.remote_addr end},
  log = {err = function(...) ngx.log(ngx.ERR, ...) end},
  response = {exit = function(status, body, h)
    ngx.status = status
    for k, v in pairs(h or {}) do ngx.header[k] = v end
    if body then ngx.print(body) end
    return ngx.exit(status)
  end},
}
`

// tryKong runs the code in the Lua that Kong runs it in: nginx with its module.
func tryKong(t *testing.T, f fences) {
	needNginxModule(t, "ngx_http_lua_module.so", "libnginx-mod-http-lua")
	var deck struct {
		Version string `json:"_format_version"`
		Plugins []struct {
			Name   string              `json:"name"`
			Config map[string][]string `json:"config"`
		} `json:"plugins"`
	}
	readYAML(t, f["kong.yml"], &deck)
	if p := deck.Plugins[0]; p.Name != "pre-function" || len(p.Config["access"]) != 1 {
		t.Errorf("%+v; want one function in the phase access", deck)
	}
	p, f, site, s := startAsked(t, f)
	web, dir := freePort(t), t.TempDir()
	writeFile(t, dir, "kong.lua", kongShim)
	writeFile(t, dir, "icp.lua", strings.ReplaceAll(f["icp.lua"], "set_timeouts(200, 500, 500)", "set_timeouts(20000, 20000, 20000)"))
	writeFile(t, dir, "hasty.lua", strings.ReplaceAll(f["icp.lua"], "set_timeouts(200, 500, 500)", "set_timeouts(200, 200, 200)"))
	hasty := freePort(t)
	server := "server { listen %s; location / { access_by_lua_file " + dir + "/%s; proxy_pass http://" + site.Host + "; proxy_set_header Host $http_host; } }\n"
	writeFile(t, dir, "nginx.conf", fmt.Sprintf(`
load_module %s/ndk_http_module.so;
load_module %s/ngx_http_lua_module.so;
daemon off;
master_process off;
pid pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	lua_package_path "/usr/share/lua/5.1/?.lua;;";
	init_by_lua_file %s/kong.lua;
	%s%s
}`, nginxModules, nginxModules, dir, fmt.Sprintf(server, web, "icp.lua"), fmt.Sprintf(server, hasty, "hasty.lua")))
	serveBy(t, web, "nginx", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	for _, w := range frontedPage {
		w.try(t, web, "Accept", "text/html", "Accept-Language", "en")
	}
	wanted{"unfiled.example", 403, `"reason":"unfiled"`}.try(t, web, "Accept", "application/json")
	trick(t, web, s)
	whenGone(t, p, hasty, 503, 503)
}
