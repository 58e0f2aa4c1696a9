package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// soak reports whether the long forms of tests are wanted.
func soak() bool { return os.Getenv("ICP_SOAK") != "" }

// TestSlowClients (D01): clients that never come to the end of a head take
// nothing from others, and are told to go when their time is over.
func TestSlowClients(t *testing.T) {
	const slow = 500
	hasty(t, 2*time.Second, func(t testing.TB, head time.Duration) {
		p := start(t, 2, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
	timeouts head %[2]s
}
tls://127.0.0.1:0 {
	ICP
	upstream %[1]s
	timeouts head %[2]s
}`, newOrigin(t, new(seen)), head), nil)
		addr := p.addr(t, "http:")
		var ended sync.WaitGroup
		heads := make(chan string, slow)
		for i := range slow {
			to := addr
			if i%2 == 1 {
				to = p.addr(t, "tls:")
			}
			c := dialTCP(t, to)
			fmt.Fprint(c, []string{"GET / HTTP/1.1\r\nHost: filed.example\r\nX-A: ", "\x16\x03\x01\x02\x00\x01\x00"}[i%2])
			ended.Go(func() {
				b, _ := io.ReadAll(c)
				line, _, _ := strings.Cut(string(b), "\r\n")
				heads <- line
			})
		}
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for i := range 500 {
			if err := askFiled(client, addr); err != nil {
				t.Fatalf("request %d beside slow clients: %v", i, err)
			}
		}
		ended.Wait()
		close(heads)
		count := map[string]int{}
		for line := range heads {
			count[line]++
		}
		if count["HTTP/1.1 408 Request Timeout"] != slow/2 || count[""] != slow/2 {
			t.Errorf("slow clients got %v; want 408 for one half, and the end for the other", count)
		}
	})
}

// quantile99 asks for a time, each address in turn, and returns for each what 99
// of 100 requests did not exceed.
func quantile99(t *testing.T, d time.Duration, addrs ...string) (list []time.Duration) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	took := make([][]time.Duration, len(addrs))
	for end := time.Now().Add(d); time.Now().Before(end); {
		for i, addr := range addrs {
			begun := time.Now()
			if err := askFiled(client, addr); err != nil {
				t.Fatal(err)
			}
			took[i] = append(took[i], time.Since(begun))
		}
	}
	for _, l := range took {
		slices.Sort(l)
		list = append(list, l[len(l)*99/100])
	}
	return list
}

// TestSlowhttptest: 5,000 connections of slowhttptest, with slow heads and with
// slow bodies, leave the time of normal requests within twice what it is at
// another program at the same time: slowhttptest itself takes a core of this
// machine.
func TestSlowhttptest(t *testing.T) {
	if !soak() {
		t.Skip("takes two minutes; ICP_SOAK=1 runs it")
	}
	// Without the limits that would end them all 5,000 stay.
	config := "http://127.0.0.1:0 {\nICP\nupstream " + newOrigin(t, new(seen)) + "\nlimits connections 20000 body-rate off\ntimeouts head 5m idle 5m\n}"
	slow, other := start(t, 1, config, nil).addr(t, "http:"), start(t, 1, config, nil).addr(t, "http:")
	for _, mode := range []string{"-H", "-B"} {
		cmd := command(t, "slowhttptest", mode, "-c", "5000", "-r", "2500", "-i", "5", "-l", "240", "-p", "5", "-u", "http://"+slow+"/")
		cmd.Dir = t.TempDir()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end := sync.OnceFunc(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		t.Cleanup(end)
		within(t, 2*time.Minute, "5,000 slow connections", func() bool { return established(t, slow) >= 5000 })
		p99 := quantile99(t, 20*time.Second, slow, other)
		if n := established(t, slow); n < 4990 { // of the program's own probes, some
			t.Errorf("slowhttptest %s: %d slow connections were left; want 5,000", mode, n)
		}
		t.Logf("slowhttptest %s: p99 %s of the program that has it, %s of another", mode, p99[0], p99[1])
		if p99[0] > 2*p99[1] {
			t.Errorf("slowhttptest %s: p99 %s; want twice %s at most", mode, p99[0], p99[1])
		}
		end()
	}
}

// established counts the connections to an address on this machine that are open.
func established(t *testing.T, addr string) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	local := fmt.Sprintf("0100007F:%04X", number)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == local && f[3] == "01" {
			n++
		}
	}
	return n
}

// TestIdleConnections (D04): 10,000 connections that wait for their next request
// hold little memory each.
func TestIdleConnections(t *testing.T) {
	n, most := 1000, 12<<10 // what the program holds anyhow weighs more with few
	if soak() {
		n, most = 10_000, 6<<10
	}
	p := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+newOrigin(t, new(seen))+"\ntimeouts idle 10m\n}", nil)
	addr := p.addr(t, "http:")
	if err := askFiled(http.DefaultClient, addr); err != nil {
		t.Fatal(err)
	}
	// The program has never had so many: all that they need is counted.
	before := settled(t, p)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	// Their upstream connections are closed when nothing comes for two seconds.
	eventually(t, "upstream connections closed", func() bool {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		return err == nil && len(fds) < n+n/10+50
	})
	each := (settled(t, p) - before) / n
	t.Logf("%d idle connections: %d bytes each", n, each)
	if each > most {
		t.Errorf("%d idle connections: %d bytes each; want %d at most", n, each, most)
	}
}

// settled is what a program holds when that has stood still for longer than it takes
// to give back what was used and is not any more, which is some seconds of silence.
func settled(t *testing.T, p *program) (held int) {
	t.Helper()
	since := time.Now()
	within(t, 2*time.Minute, "memory stands still", func() bool {
		if m := memory(t, p); m != held {
			held, since = m, time.Now()
		}
		return time.Since(since) > 6*time.Second
	})
	return held
}

// memory is what a program holds of it, in bytes.
func memory(t *testing.T, p *program) int { return ofStatus(t, p, "RssAnon:") }

// peakMemory is the most that a program has held, with its code and files.
func peakMemory(t *testing.T, p *program) int { return ofStatus(t, p, "VmHWM:") }

func ofStatus(t *testing.T, p *program, field string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), field)
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
