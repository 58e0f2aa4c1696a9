package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// role is what a port of a proxy is for.
type role string

const (
	roleHTTP  role = "http"       // an upstream connection for each client's
	roleReuse role = "http-reuse" // upstream connections are kept and shared
	roleSNI   role = "sni"        // TLS is passed through, by the name in the hello
)

// kind is a proxy that can be measured.
type kind struct {
	name    string
	program string
	ours    bool
	peer    bool // counts for the bars
	roles   []role
	// configure writes what the program reads into dir and returns how it is
	// started.
	configure func(w world, dir string, ports map[role]int, o *origin) ([]string, error)
}

func kinds(gate string) []kind {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	all := []role{roleHTTP, roleReuse, roleSNI}
	return []kind{
		{name: "icp-gate", program: gate, ours: true, roles: []role{roleHTTP, roleSNI}, configure: func(w world, dir string, ports map[role]int, o *origin) ([]string, error) {
			return configureGate(gate, w, dir, ports, o)
		}},
		{name: "nginx", program: "nginx", peer: true, roles: all, configure: configureNginx},
		{name: "HAProxy", program: "haproxy", peer: true, roles: all, configure: configureHAProxy},
		{name: "ReverseProxy", program: self, roles: []role{roleReuse}, configure: func(w world, _ string, ports map[role]int, o *origin) ([]string, error) {
			return []string{self, baselineCommand, addr(ports[roleReuse]), o.http(), w.haproxyMap()}, nil
		}},
	}
}

// proxy is a running one.
type proxy struct {
	*process
	kind kind
}

func start(k kind, w world, o *origin) (*proxy, error) {
	dir := w.path(strings.ToLower(k.name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	ports, err := freePorts(k.roles...)
	if err != nil {
		return nil, err
	}
	args, err := k.configure(w, dir, ports, o)
	if err != nil {
		return nil, err
	}
	p, err := run(k.name, dir, proxyCore, ports, args...)
	if err != nil {
		return nil, err
	}
	return &proxy{p, k}, nil
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func configureGate(program string, w world, dir string, ports map[role]int, o *origin) ([]string, error) {
	conf := filepath.Join(dir, "gate.conf")
	block := fmt.Sprintf(`    icp {
        registry %s
    }
    serves mainland
    block %%s
    limits connections 20000
`, w.snapshot())
	text := fmt.Sprintf("http://%s {\n    upstream %s\n%s}\n", addr(ports[roleHTTP]), o.http(), fmt.Sprintf(block, "page")) +
		fmt.Sprintf("tls://%s {\n    upstream %s\n%s}\n", addr(ports[roleSNI]), o.tlsAddr(), fmt.Sprintf(block, "fin"))
	return []string{program, "-conf", conf}, os.WriteFile(conf, []byte(text), 0o644)
}

// nginxHead begins every configuration of nginx: one process, as one core has.
const nginxHead = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log %[1]s/error.log emerg;
worker_rlimit_nofile 20000;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events { worker_connections 19000; multi_accept on; }
`

func configureNginx(w world, dir string, ports map[role]int, o *origin) ([]string, error) {
	conf := filepath.Join(dir, "nginx.conf")
	buffers := ""
	if w.tuned {
		buffers = "proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 512k;"
	}
	text := fmt.Sprintf(nginxHead, dir) + fmt.Sprintf(`http {
    access_log off; keepalive_timeout 300; keepalive_requests 100000000;
    proxy_max_temp_file_size 0; %[8]s
    map_hash_max_size 4000000; map_hash_bucket_size 128;
    map $host $filed { hostnames; default 0; include %[1]s; }
    upstream origin { server %[2]s; keepalive 256; keepalive_requests 100000000; }
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    server {
        listen %[3]s backlog=4096;
        location / { if ($filed = 0) { return 403; } proxy_pass http://%[2]s; }
    }
    server {
        listen %[4]s backlog=4096;
        proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        location / { if ($filed = 0) { return 403; } proxy_pass http://origin; }
    }
}
stream {
    map_hash_max_size 4000000; map_hash_bucket_size 128;
    map $ssl_preread_server_name $to { hostnames; default ""; include %[5]s; }
    server { listen %[6]s backlog=4096; ssl_preread on; proxy_pass $to; }
    upstream tls { server %[7]s; }
}
`, w.nginxMap(), o.http(), addr(ports[roleHTTP]), addr(ports[roleReuse]), w.nginxStreamMap(), addr(ports[roleSNI]), o.tlsAddr(), buffers)
	return []string{"nginx", "-c", conf}, os.WriteFile(conf, []byte(text), 0o644)
}

func configureHAProxy(w world, dir string, ports map[role]int, o *origin) ([]string, error) {
	conf := filepath.Join(dir, "haproxy.cfg")
	filed := w.haproxyMap()
	text := fmt.Sprintf(`global
    maxconn 9900
    maxpipes 64
    nbthread 1
    tune.pipesize 262144
defaults
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-request 10s
    timeout http-keep-alive 300s
frontend http
    mode http
    bind %[1]s backlog 4096
    http-request deny unless { req.hdr(host),host_only,lower,map_str(%[4]s) -m found }
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    option splice-auto
    default_backend http
frontend reuse
    mode http
    bind %[2]s backlog 4096
    http-request deny unless { req.hdr(host),host_only,lower,map_str(%[4]s) -m found }
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    option splice-auto
    default_backend reuse
frontend sni
    mode tcp
    bind %[3]s backlog 4096
    tcp-request inspect-delay 5s
    tcp-request content reject unless { req.ssl_sni,lower,map_str(%[4]s) -m found }
    option splice-auto
    default_backend tls
backend http
    mode http
    option splice-auto
    http-reuse never
    server origin %[5]s
backend reuse
    mode http
    option splice-auto
    http-reuse always
    server origin %[5]s
backend tls
    mode tcp
    option splice-auto
    server origin %[6]s
`, addr(ports[roleHTTP]), addr(ports[roleReuse]), addr(ports[roleSNI]), filed, o.http(), o.tlsAddr())
	return []string{"haproxy", "-db", "-f", conf}, os.WriteFile(conf, []byte(text), 0o644)
}
