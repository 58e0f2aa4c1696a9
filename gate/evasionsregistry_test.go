package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// registryProgram is the program with an admin port, and a line of its block.
func registryProgram(t *testing.T, option string, files map[string]string) (p *program, addr, admin string) {
	t.Helper()
	admin = freePort(t)
	p = start(t, 1, "http://127.0.0.1:0 {\nicp {\nregistry registry.icp\nadmin "+admin+"\n"+option+"\n}\nserves mainland\nupstream "+newOrigin(t, new(seen))+"\n}", files)
	return p, p.addr(t, "http:"), admin
}

// scraped is the value of a series on the admin port, "" if there is none.
func scraped(t *testing.T, admin, series string) string {
	t.Helper()
	if values := scrapedAll(t, admin, series); len(values) > 0 {
		return values[0]
	}
	return ""
}

// scrapedAll are the values of all series that match.
func scrapedAll(t *testing.T, admin, series string) (values []string) {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^`+series+` (\S+)$`).FindAllSubmatch(text, -1) {
		values = append(values, string(m[1]))
	}
	return values
}

// askedBoth asks for a filed and an unfiled name.
func askedBoth(t *testing.T, addr string) string {
	t.Helper()
	var got []string
	for _, host := range []string{"filed.example", "unfiled.example"} {
		got = append(got, statuses(t, talk(t, addr, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"))...)
	}
	return strings.Join(got, " ")
}

// TestEvasionsRegistryLost (D10): a registry that is damaged or taken away leaves
// the last good one in force, and is told.
func TestEvasionsRegistryLost(t *testing.T) {
	t.Parallel()
	const failed = `icp_gate_reloads_total\{data="registry",result="error"\}`
	for what, spoil := range map[string]func(path string) error{
		"damaged": func(path string) error { // at once, so that it is not seen empty before
			if err := os.WriteFile(path+".new", []byte("no registry at all"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"removed": os.Remove,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, addr, admin := registryProgram(t, "", nil)
			if err := spoil(filepath.Join(p.dir, "registry.icp")); err != nil {
				t.Fatal(err)
			}
			p.log.await(t, `level=ERROR msg="files have changed but cannot be used; what was in force stays" data=registry .*registry\.icp`)
			if got := askedBoth(t, addr); got != "200 403" {
				t.Errorf("with the registry %s: got %s; want 200 403 from the last good one", what, got)
			}
			if got := scraped(t, admin, failed); got != "1" {
				t.Errorf("%s is %q; want 1", failed, got)
			}
			if got := scraped(t, admin, `icp_gate_registry_age_seconds\{[^}]*\}`); got == "" {
				t.Error("no age of the registry in force")
			}
			t.Logf("%-4s %-60s 200 403 from the last good one", "D10", "the registry "+what)
			p.writeRegistry(t, 2, filing("unfiled.example", registry.Aliyun))
			p.log.await(t, `msg="files read anew" data=registry`)
			if got := askedBoth(t, addr); got != "403 200" {
				t.Errorf("with another registry: got %s; want 403 200", got)
			}
		})
	}
}

// TestEvasionsRegistryStale (D10): a registry that is older than allowed decides
// nothing: as the configuration says, all passes or all is blocked.
func TestEvasionsRegistryStale(t *testing.T) {
	old := oldRegistry(t)
	for option, want := range map[string]string{"keep": "200 403", "allow": "200 200", "block": "403 403"} {
		_, addr, _ := registryProgram(t, "max-stale 1h "+option, map[string]string{"registry.icp": old})
		if got := askedBoth(t, addr); got != want {
			t.Errorf("max-stale 1h %s: got %s; want %s", option, got, want)
		}
		t.Logf("%-4s %-60s %s", "D10", "a registry of two hours ago, max-stale 1h "+option, want)
	}
}

// oldRegistry is a file by which filed.example is filed, made two hours ago.
func oldRegistry(t *testing.T) string {
	t.Helper()
	b := index.NewBuilder(index.Options{Revision: registry.Revision{Rev: 2}, MadeAt: time.Now().Add(-2 * time.Hour)})
	if err := b.Add(filing("filed.example", registry.Aliyun)); err != nil {
		t.Fatal(err)
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.icp")
	if err := index.WriteFile(path, x); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEvasionsNoRegistry (D10): without a registry the program does not start,
// whatever fail says, and tells which file is missing.
func TestEvasionsNoRegistry(t *testing.T) {
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	for _, fail := range []string{"open", "closed"} {
		dir := t.TempDir()
		conf := filepath.Join(dir, "gate.conf")
		text := "http://127.0.0.1:0 {\nicp {\nregistry missing.icp\nfail " + fail + "\n}\nserves mainland\nupstream 127.0.0.1:9\n}"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(path, "-conf", conf).CombinedOutput()
		if err == nil || !strings.Contains(string(out), filepath.Join(dir, "missing.icp")) {
			t.Errorf("fail %s: got %v, %q; want an error that names the file", fail, err, out)
		}
		t.Logf("%-4s %-60s %s", "D10", "no registry at the start, fail "+fail, strings.TrimSpace(string(out)))
	}
}

// TestEvasionsRegistrySwapped (D11): the registry is replaced under load; no
// request for a filed name is lost, and what is filed since then passes. The long
// form has five million names, and wrk asks beside.
func TestEvasionsRegistrySwapped(t *testing.T) {
	t.Parallel()
	names := 1000
	if soak() {
		names = 5_000_000
	}
	p, addr, _ := registryProgram(t, "", nil)
	end := func() {}
	if soak() {
		end = loadByWrk(t, addr)
	}
	done, stop := load(t, addr)
	goesOn(t, done, 100)
	quiet := time.Duration(0)
	if soak() {
		quiet = quantile99(t, 5*time.Second, addr)[0]
	}
	for i, want := range []string{"200 403", "200 200"} {
		writeLarge(t, p, uint64(i+2), names, i == 1)
		begun := done()
		p99 := whileSwapped(t, p, addr, i+1)
		t.Logf("%-4s %-60s %d requests, p99 %s, without a swap %s; memory %d MiB, at most %d", "D11", fmt.Sprintf("%d names swapped in under load", names),
			done()-begun, p99, quiet, memory(t, p)>>20, peakMemory(t, p)>>20)
		// Reading takes one of the two cores, for some seconds.
		if bound := 5*quiet + 20*time.Millisecond; soak() && p99 > bound {
			t.Errorf("p99 %s while the registry is swapped; want %s at most", p99, bound)
		}
		if got := askedBoth(t, addr); got != want {
			t.Errorf("revision %d: got %s; want %s", i+2, got, want)
		}
	}
	end()
	if errs := stop(); len(errs) > 0 {
		t.Errorf("requests were lost: %v", errs)
	}
}

// loadByWrk has wrk ask for a filed name until end is called, which looks whether
// it lost anything.
func loadByWrk(t *testing.T, addr string) (end func()) {
	t.Helper()
	cmd := command(t, "wrk", "-t", "1", "-c", "64", "-d", "1h", "--latency", "-H", "Host: filed.example", "http://"+addr+"/")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it tells then what it has seen
		_ = cmd.Wait()
	})
	t.Cleanup(ended)
	return func() {
		ended()
		t.Logf("wrk:\n%s", &said)
		if !strings.Contains(said.String(), "requests in") || strings.Contains(said.String(), "Non-2xx") || strings.Contains(said.String(), "Socket errors") {
			t.Errorf("wrk lost requests:\n%s", &said)
		}
	}
}

// whileSwapped asks for a filed name until the registry has been read n times,
// and returns what 99 of 100 answers did not take longer than.
func whileSwapped(t *testing.T, p *program, addr string, n int) time.Duration {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var took []time.Duration
	within(t, 2*time.Minute, "the registry to be read anew", func() bool {
		begun := time.Now()
		if err := askFiled(client, addr); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begun))
		return strings.Count(p.log.String(), `msg="files read anew" data=registry`) >= n
	})
	slices.Sort(took)
	return took[len(took)*99/100]
}

// writeLarge writes a registry of n names beside filed.example.
func writeLarge(t *testing.T, p *program, rev uint64, n int, also bool) {
	t.Helper()
	b := index.NewBuilder(index.Options{Revision: registry.Revision{Rev: rev}})
	add := func(f registry.Filing) {
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		add(corpus.Filing(i))
	}
	add(filing("filed.example", registry.Aliyun))
	if also {
		add(filing("unfiled.example", registry.Aliyun))
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(filepath.Join(p.dir, "registry.icp"), x); err != nil {
		t.Fatal(err)
	}
}
