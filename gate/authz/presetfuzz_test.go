package authz_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
)

// FuzzPreset: whom a question is read to mean, net/http and a plain reading of its
// fields find as well. Where they find nobody, or cannot read the request, we
// pass nobody.
func FuzzPreset(f *testing.F) {
	for _, s := range []string{
		"GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\nX-Original-Host: filed.example:80\r\nX-Real-IP: 192.0.2.1\r\n\r\n",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: filed.example\r\nX-Forwarded-For: 192.0.2.1, 203.0.113.7\r\n\r\n",
		"POST /auth/envoy/a HTTP/1.1\r\nHost: filed.example:80\r\nContent-Length: 0\r\n\r\n",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Host: b.example\r\n\r\n",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: a.example, b.example\r\nX-ICP-Addr: 203.0.113.9\r\n\r\n",
		"GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: [2001:db8::1]:80\r\n\r\n",
		"GET http://filed.example/auth/envoy/ HTTP/1.1\r\nHost: filed.example\r\n\r\n",
		"GET /auth/nginx HTTP/1.0\r\nX-Forwarded-Host:\t\r\n\r\n",
		"GET /auth/nginx HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: Filed.Example.\r\nX-Original-Host: other.example\r\n\r\n",
	} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, told bool) {
		r := sniff.ReadRequest(b, 0, sniff.Limits{})
		if r.Kind == sniff.More || r.Kind == sniff.Malformed || r.Kind == sniff.Other {
			return
		}
		p, rest, ok := authz.PresetOf(r.Path.Of(b))
		if !ok {
			return
		}
		q := p.Read(&r, b, rest, authz.NewNames(), told)
		if q.Cause != sniff.NoCause {
			if q.Host.String() != "" {
				t.Fatalf("%q is refused, and means %s", b, q.Host)
			}
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[r.Start:r.Length])))
		if err != nil {
			if strings.Contains(err.Error(), `parse "`) {
				return // a path that is no URL's, which we hand on to nobody
			}
			t.Fatalf("%q: net/http: %v; we read %s", b, err, q.Host)
		}
		want, ok := slowHost(p, req)
		if !ok || q.Host.String() != want {
			t.Fatalf("%q: %s; the twin has %q, %v", b, q.Host, want, ok)
		}
		if got, want := q.Client, slowClient(p, req); got != want {
			t.Fatalf("%q: client %s; the twin has %s", b, got, want)
		}
		if addr := slowAddr(req.Header["X-Icp-Addr"]); q.Addr != addr && told || q.Addr.IsValid() && !told {
			t.Fatalf("%q: address %s; the twin has %s", b, q.Addr, addr)
		}
	})
}

// slowHost reads the fields of the header one after the other.
func slowHost(p authz.Preset, r *http.Request) (host string, ok bool) {
	decisive := r.Header["X-Forwarded-Host"]
	others := [][]string{r.Header["X-Original-Host"]}
	if p == authz.Envoy {
		decisive, others = []string{r.Host}, append(others, decisive)
	}
	if len(decisive) != 1 {
		return "", false
	}
	host, ok = slowAuthority(decisive[0])
	for _, values := range others {
		if len(values) > 1 {
			return "", false
		}
		for _, v := range values {
			if other, good := slowAuthority(v); !good || other != host {
				return "", false
			}
		}
	}
	return host, ok
}

var (
	slowName = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)
	slowPort = regexp.MustCompile(`^(:[0-9]*)?$`)
)

// slowAuthority takes a host apart by the standard library and expressions.
func slowAuthority(s string) (string, bool) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i:]
	}
	if !slowPort.MatchString(port) {
		return "", false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return a.String(), ok && err == nil && a.Is6() && a.Zone() == ""
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), a.Is4()
	}
	return host, s == "" || slowName.MatchString(host)
}

func slowClient(p authz.Preset, r *http.Request) netip.Addr {
	if real := r.Header["X-Real-Ip"]; p == authz.Nginx && len(real) > 0 {
		if len(real) > 1 {
			return netip.Addr{}
		}
		return slowAddr(real)
	}
	lines := r.Header["X-Forwarded-For"]
	if len(lines) == 0 {
		return netip.Addr{}
	}
	list := strings.Split(lines[len(lines)-1], ",")
	return slowAddr([]string{strings.TrimLeft(list[len(list)-1], " \t")})
}

func slowAddr(values []string) netip.Addr {
	if len(values) != 1 {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(values[0])
	if err != nil {
		ap, _ := netip.ParseAddrPort(values[0])
		a = ap.Addr()
	}
	if a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
