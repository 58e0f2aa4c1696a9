package gate_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

// TestChurn (D05): wrk opens 2,000 connections at a time, each for one request, at
// a program that may hold 400 descriptors. It goes on accepting, tells that it
// could not always, answers what it took, and serves as before when wrk has gone.
func TestChurn(t *testing.T) {
	admin := freePort(t)
	p := startBy(t, []string{"/bin/sh", "-c", `ulimit -n 400 && exec "$@"`, "sh"}, 1,
		"http://127.0.0.1:0 {\nicp {\nregistry registry.icp\nadmin "+admin+"\n}\nserves mainland\nupstream "+newOrigin(t, new(seen))+"\n}", nil)
	addr := p.addr(t, "http:")
	out := tool(t, "wrk", "-t", "1", "-c", "2000", "-d", "1s", "--timeout", "30s", "-H", "Host: filed.example", "-H", "Connection: close", "http://"+addr+"/")
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("wrk says nothing of requests:\n%s", out)
	}
	if n, _ := strconv.Atoi(m[1]); n < 400 {
		t.Errorf("wrk had %d answers; want more than there are descriptors, one after another\n%s", n, out)
	}
	eventually(t, "requests are answered again", func() bool { return askFiled(http.DefaultClient, addr) == nil })
	failures := scraped(t, admin, `icp_gate_accept_failures_total\{[^}]*\}`)
	if failures == "" || failures == "0" {
		t.Errorf("%s failures to accept are told; want some", failures)
	}
	t.Logf("%-4s %-60s %s answers, %s failures to accept", "D05", "wrk -c2000, Connection: close, 400 descriptors", m[1], failures)
}
