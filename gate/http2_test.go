package gate_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/icpgate/icpgate/gate"
)

// stream sends a request of fields, which are in pairs, and returns the status.
func stream(t *testing.T, addr string, fields ...string) (status string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_, _ = c.Write([]byte(http2.ClientPreface))
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch x := frame.(type) {
		case *http2.MetaHeadersFrame:
			return x.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return x.ErrCode.String()
		case *http2.GoAwayFrame:
			return x.ErrCode.String()
		}
	}
}

// TestStreamTargets: the upstream gets the target as it came, and none by which
// it might take another host than was judged.
func TestStreamTargets(t *testing.T) {
	got := make(chan string, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Host + " " + r.RequestURI }))
	t.Cleanup(origin.Close)
	l := serve(t, gate.TestService{Upstream: origin.Listener.Addr().String(), H2C: true})
	for target, passes := range map[string]bool{
		"/": true, "/a|b?x=1;y=2&z=%zz": true, "//unfiled.example/x?y": true, "/?": true, "/a%2Fb": true,
		"x:http://unfiled.example/": false, "http://unfiled.example/": false, "https://filed.example/": false, "x:y": false,
		"/a b": false, "/?a HTTP/1.0": false, "*": false,
	} {
		status := stream(t, l.Addr(), ":method", "GET", ":scheme", "http", ":authority", "filed.example", ":path", target)
		seen := ""
		select {
		case seen = <-got:
		default:
		}
		want := ""
		if passes {
			want = "filed.example " + target
		}
		if seen != want || passes != (status == "200") {
			t.Errorf("%s: status %s, the origin saw %q; want %q", target, status, seen, want)
		}
	}
}
