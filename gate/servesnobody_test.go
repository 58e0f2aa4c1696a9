package gate_test

import (
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
