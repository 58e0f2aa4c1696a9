package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
)

// startQUIC starts the program with a listener of QUIC before an origin.
func startQUIC(t testing.TB, lines string, origins ...*quicOrigin) *program {
	t.Helper()
	var up strings.Builder
	for _, o := range origins {
		up.WriteString(" " + o.addr)
	}
	return start(t, 1, fmt.Sprintf("quic://127.0.0.1:0 {\nICP\nupstream%s\n%s\n}\n", up.String(), lines), nil)
}

// TestQUIC: filed names pass unopened, others are told why at once.
func TestQUIC(t *testing.T) {
	for _, v := range []quic.Version{quic.Version1, quic.Version2} {
		for _, retry := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s retry %v", v, retry), func(t *testing.T) {
				o := newQUICOrigin(t, quicOriginConfig{retry: retry})
				gate := startQUIC(t, "", o).addr(t, "quic:")
				for _, tt := range []struct{ name, want string }{
					{"filed.example", "filed.example filed.example"},
					{"a_b.filed.example", "a_b.filed.example a_b.filed.example"},
					{"unfiled.example", "error 0x170"},
					{"elsewhere.example", "error 0x170"},
				} {
					c := newQUICClient(t, gate, tt.name)
					c.conf.Versions = []quic.Version{v}
					if got := c.came(t); got != tt.want {
						t.Errorf("%s: got %s; want %s", tt.name, got, tt.want)
					}
				}
				if o.saw("unfiled.example") || o.saw("elsewhere.example") {
					t.Errorf("the origin saw %v", o.names)
				}
			})
		}
	}
}
