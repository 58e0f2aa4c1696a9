package gate_test

import (
	"bufio"
	"fmt"
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// TestProxiedForgotten: of connections that were opened for others (PROXY protocol),
// which is told only when they are among the open ones, nothing is kept once they
// have ended.
func TestProxiedForgotten(t *testing.T) {
	g, _ := startLive(t, "http://127.0.0.1:0 {\n"+icp+"serves mainland\nproxy-protocol require 127.0.0.0/8\nupstream "+newOrigin(t, new(seen))+"\n}\n", filedLive(t))
	for _, addr := range g.Listeners() {
		for port := range 64 {
			c := dialTCP(t, addr.String())
			fmt.Fprintf(c, "PROXY TCP4 198.51.100.7 203.0.113.9 %d 80\r\nGET / HTTP/1.1\r\nHost: filed.example\r\nConnection: close\r\n\r\n", 1024+port)
			if got := answered(t, bufio.NewReader(c), "GET"); got[:3] != "200" {
				t.Fatalf("got %s", got)
			}
			c.Close()
		}
	}
	eventually(t, "all have ended", func() bool { return g.Open() == 0 })
	if n := gate.Kept(g); n > 0 {
		t.Errorf("%d of 64 are kept as open ones", n)
	}
}
