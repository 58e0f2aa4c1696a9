package gate_test

import (
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// askedBy is a request as a proxy sends it.
func askedBy(path, host string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: icp-gate\r\nX-Forwarded-Host: " + host + "\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Uri: /a/b?c=d\r\nX-Real-Ip: 203.0.113.7\r\nAccept: text/html\r\n\r\n")
}

// BenchmarkAuth is an answer without the system's calls.
func BenchmarkAuth(b *testing.B) {
	for _, bb := range []struct{ name, path, host string }{
		{"nginx pass", "/auth/nginx", "www.filed.example"},
		{"forward pass", "/auth/forward", "www.filed.example"},
		{"nginx block", "/auth/nginx", "www.example.com"},
		{"forward block", "/auth/forward", "www.example.com"},
		{"check pass", "/v1/check?host=www.filed.example", "www.filed.example"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			answer := gate.AuthForTest(newEdge(b, nil), newNotices(b, gate.NoticeConfig{}))
			request := askedBy(bb.path, bb.host)
			b.ReportAllocs()
			for b.Loop() {
				answer(request)
			}
		})
	}
}
