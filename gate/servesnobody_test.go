package gate_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestServesNobody: that nothing is blocked at an address is said, whatever else the
// block serves.
func TestServesNobody(t *testing.T) {
	for serves, want := range map[string]bool{"198.18.0.1": true, "223.5.5.5 203.0.113.10": true, "223.5.5.5": false} {
		p := start(t, 1, "auth://127.0.0.1:0 {\nicp {\nregistry registry.icp\n}\npeers 127.0.0.1\nserves "+serves+"\n}", nil)
		p.log.await(t, "msg=serving")
		if got := strings.Contains(p.log.String(), "nothing is blocked there"); got != want {
			t.Errorf("serves %s: said %v; want %v\n%s", serves, got, want, p.log)
		}
	}
}

// TestDestinedNobody: where a load balancer tells a private destination nothing is
// blocked, which is said once, unless the block says what it serves.
func TestDestinedNobody(t *testing.T) {
	for _, tt := range []struct {
		serves, dst, code string
		said              int
	}{
		{"", "10.0.0.1", "200", 1},
		{"", "223.5.5.5", "403", 0},
		{"serves 223.5.5.5", "10.0.0.1", "403", 0},
	} {
		p := start(t, 1, "http://127.0.0.1:0 {\nicp {\nregistry registry.icp\n}\nproxy-protocol require 127.0.0.1\n"+tt.serves+"\nupstream "+newOrigin(t, new(seen))+"\n}", nil)
		for range 2 {
			c := dialTCP(t, p.addr(t, "http"))
			fmt.Fprintf(c, "PROXY TCP4 198.51.100.7 %s 1024 80\r\nGET / HTTP/1.1\r\nHost: unfiled.example\r\nConnection: close\r\n\r\n", tt.dst)
			if got := answered(t, bufio.NewReader(c), "GET"); got[:3] != tt.code {
				t.Errorf("%s %s: got %s; want %s", tt.serves, tt.dst, got, tt.code)
			}
			c.Close()
		}
		p.signal(t, os.Interrupt)
		p.log.await(t, "msg=ended")
		if got := strings.Count(p.log.String(), "nothing is blocked there"); got != tt.said {
			t.Errorf("%s %s: said %d times; want %d\n%s", tt.serves, tt.dst, got, tt.said, p.log)
		}
	}
}
