package edge_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// openAdmin opens an Edge at an admin address, and returns where that is in truth:
// the port that is named may be another's.
func openAdmin(t *testing.T, at string, profiles bool) (e *edge.Edge, addr string) {
	t.Helper()
	e, err := edge.Open(edge.Config{
		Live: new(index.Live), Admin: netip.MustParseAddrPort(at), AdminProfiles: profiles,
		Listen: func(string, string) (net.Listener, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				addr = l.Addr().String()
			}
			return l, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, addr
}

// fetch asks an admin address; headers are pairs, of which Host is one.
func fetch(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestAdminProfiles: profiles are served where an Edge asks for them, for as long
// as it is open.
func TestAdminProfiles(t *testing.T) {
	const at = "127.0.0.1:9154"
	_, addr := openAdmin(t, at, false)
	index, heap := "http://"+addr+"/debug/pprof/", "http://"+addr+"/debug/pprof/heap"
	wants := func(when string, served bool) {
		t.Helper()
		status, body := fetch(t, "GET", index)
		_, list := fetch(t, "GET", "http://"+addr+"/")
		if got := status == 200; got != served || got != strings.Contains(body, "goroutine?debug=1") || got != strings.Contains(list, "/debug/pprof/") {
			t.Errorf("%s: got %d %s, and the list %s; want it served %v", when, status, body, list, served)
		}
	}
	wants("nobody asks", false)
	asks, _ := openAdmin(t, at, true)
	wants("another block asks", true)
	for _, tt := range []struct {
		name, method, url string
		headers           []string
		status            int
		want              string
	}{
		{"heap", "GET", heap, nil, 200, "\x1f\x8b"},
		{"heap from the address bar", "GET", heap, []string{"Sec-Fetch-Site", "none"}, 200, "\x1f\x8b"},
		{"processor", "GET", index + "profile?seconds=1", nil, 200, "\x1f\x8b"},
		{"trace", "GET", index + "trace?seconds=1", nil, 200, "go 1."},
		{"no such profile", "GET", index + "tea", nil, 404, "Unknown profile"},
		{"too long", "GET", index + "profile?seconds=301", nil, 400, "up to 300"},
		{"less than nothing", "GET", index + "heap?seconds=-1", nil, 400, `"-1"`},
		{"by a name", "GET", heap, []string{"Host", "rebound.example"}, 421, "rebound.example"},
		{"a page of another site", "GET", heap, []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"post", "POST", index + "symbol", nil, 405, "GET or HEAD"},
		{"beside it", "GET", "http://" + addr + "/debug/vars", nil, 404, "/debug/vars"},
	} {
		if status, body := fetch(t, tt.method, tt.url, tt.headers...); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: got %d %.200q; want %d with %q", tt.name, status, body, tt.status, tt.want)
		}
	}
	out, err := exec.Command("go", "tool", "pprof", "-raw", heap).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PeriodType: space bytes") {
		t.Errorf("go tool pprof: %v, %.500s", err, out)
	}
	asks.Close()
	wants("the one that asked is closed", false)
}

// TestAdminLongProfile: a profile may take longer than any other answer.
func TestAdminLongProfile(t *testing.T) {
	if os.Getenv("ICP_SOAK") == "" {
		t.Skip("takes 12 seconds; set ICP_SOAK=1")
	}
	_, addr := openAdmin(t, "127.0.0.1:9155", true)
	begun := time.Now()
	status, body := fetch(t, "GET", "http://"+addr+"/debug/pprof/profile?seconds=12")
	if status != 200 || !strings.HasPrefix(body, "\x1f\x8b") || time.Since(begun) < 12*time.Second {
		t.Errorf("got %d %.200q after %v; want a profile of 12 s", status, body, time.Since(begun))
	}
}
