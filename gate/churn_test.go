package gate_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestChurn (D05): wrk opens 2,000 connections at a time, each for one request, at
// a program that may hold 400 descriptors. It goes on accepting, tells that it
// could not always, answers what it took, and serves as before when wrk has gone.
func TestChurn(t *testing.T) {
	const descriptors = 400
	admin, got := freePort(t), new(seen)
	p := startBy(t, []string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, descriptors), "sh"}, 1,
		"http://127.0.0.1:0 {\nicp {\nregistry registry.icp\nadmin "+admin+"\n}\nserves mainland\nupstream "+newOrigin(t, got)+"\n}", nil)
	addr := p.addr(t, "http:")
	wrk := command(t, "wrk", "-t", "1", "-c", "2000", "-d", "10m", "--timeout", "10m", "-H", "Host: filed.example", "-H", "Connection: close", "http://"+addr+"/")
	var out bytes.Buffer
	wrk.Stdout = &out
	if err := wrk.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceFunc(func() { _ = wrk.Wait() })
	t.Cleanup(func() { _ = wrk.Process.Kill(); ended() })
	within(t, 2*time.Minute, "more was asked than there are descriptors, one after another", func() bool { return got.count() > 2*descriptors })
	_ = wrk.Process.Signal(os.Interrupt) // and it says what it had
	ended()
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("wrk says nothing of requests:\n%s", &out)
	}
	if n, _ := strconv.Atoi(m[1]); n < descriptors {
		t.Errorf("wrk had %d answers; want more than there are descriptors\n%s", n, &out)
	}
	eventually(t, "requests are answered again", func() bool { return askFiled(http.DefaultClient, addr) == nil })
	failures := scraped(t, admin, `icp_gate_accept_failures_total\{[^}]*\}`)
	if failures == "" || failures == "0" {
		t.Errorf("%s failures to accept are told; want some", failures)
	}
	t.Logf("%-4s %-60s %s answers, %s failures to accept", "D05", "wrk -c2000, Connection: close, 400 descriptors", m[1], failures)
}
