//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
)

func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// follow measures changes with many streams, and again while an import runs.
func (o options) follow(dsn string) error {
	service, url, err := o.service(dsn)
	if err != nil {
		return err
	}
	o.url = url
	defer service.end()
	e, err := o.edge() // holds the registry, as every edge does
	if err != nil {
		return err
	}
	defer e.Close()
	if _, err := o.decides(e); err != nil {
		return err
	}
	all, err := o.open(e.View().Revision())
	if err != nil {
		return err
	}
	defer all.close()
	if err := o.row(service, e, all, "nothing else runs", ""); err != nil {
		return err
	}
	file := filepath.Join(o.dir, "some.csv")
	if err := writeSome(file, min(o.filings, 50_000)); err != nil {
		return err
	}
	return o.row(service, e, all, "while an import changes 50,000 filings", file)
}

// streams are readers of the feed which keep nothing.
type streams struct {
	n      int
	cancel context.CancelFunc
	work   sync.WaitGroup
	ended  atomic.Int64
	at     []atomic.Uint64 // the newest revision of each
}

// open opens all streams but that of the edge.
func (o options) open(after registry.Revision) (*streams, error) {
	token, err := os.ReadFile(filepath.Join(o.dir, "token"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &streams{n: o.streams - 1, cancel: cancel, at: make([]atomic.Uint64, o.streams-1)}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1, ReadBufferSize: 4 << 10, WriteBufferSize: 1 << 10}}
	for i := range a.n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+feed.FeedPath+"?from="+after.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("stream %d: %s", i, resp.Status)
		}
		a.work.Go(func() {
			defer resp.Body.Close()
			a.read(i, resp.Body)
			a.ended.Add(1)
		})
	}
	return a, nil
}

// read reads frames and keeps the revision.
func (a *streams) read(i int, body io.Reader) {
	r := bufio.NewReaderSize(body, 4<<10)
	var buf []byte
	for {
		b, err := feed.ReadFrame(r, buf)
		if err != nil {
			return
		}
		buf = b
		if h, err := feed.ParseHead(b); err == nil {
			a.at[i].Store(h.Revision.Rev)
		}
	}
}

func (a *streams) close() {
	a.cancel()
	a.work.Wait()
}

// behind is how many of the streams are not at a revision.
func (a *streams) behind(rev uint64) (n int) {
	for i := range a.at {
		if a.at[i].Load() < rev {
			n++
		}
	}
	return n
}

// row makes changes for some time and prints how long each took to be decided by
// at the edge, and to be with every stream.
func (o options) row(service *running, e *edge.Edge, all *streams, what, file string) error {
	if file != "" {
		if _, err := service.ask("import", file); err != nil {
			return err
		}
	}
	start := time.Now()
	var edges, everybody []float64
	said := ""
	for end := time.Now().Add(time.Duration(o.seconds) * time.Second); time.Now().Before(end) || file != "" && said == ""; {
		next := time.Now().Add(100 * time.Millisecond)
		name := fmt.Sprintf("c%d.example.org", time.Now().UnixNano())
		answer, err := service.ask("file", name)
		if err != nil {
			return err
		}
		words := strings.Fields(answer)
		if words[2] != "true" {
			return fmt.Errorf("a change was refused")
		}
		began, _ := strconv.ParseInt(words[0], 10, 64)
		rev, _ := strconv.ParseUint(words[1], 10, 64)
		d := registry.MustParseDomain(name)
		for len(e.Coverage(d).Filings) == 0 {
			time.Sleep(200 * time.Microsecond)
		}
		edges = append(edges, float64(time.Now().UnixNano()-began)/1e6)
		if last := edges[len(edges)-1]; last > 200 {
			fmt.Fprintf(os.Stderr, "at %.1f s: %.0f ms, of which the edit %s\n", time.Since(start).Seconds(), last, words[3])
		}
		for all.behind(rev) > 0 && all.ended.Load() == 0 {
			time.Sleep(200 * time.Microsecond)
		}
		everybody = append(everybody, float64(time.Now().UnixNano()-began)/1e6)
		if file != "" && said == "" {
			if said, err = service.ask("imported"); err != nil {
				return err
			}
			if said == "running" {
				said = ""
			}
		}
		time.Sleep(time.Until(next))
	}
	if n := all.ended.Load(); n > 0 {
		return fmt.Errorf("%d of %d streams ended", n, all.n)
	}
	fmt.Printf("| %d changes with %d streams, %s: from the edit until an edge decides by it, ms | p50 %.0f, p99 %.0f, most %.0f | | | p99 300 |\n",
		len(edges), all.n+1, what, quantile(edges, 0.5), quantile(edges, 0.99), quantile(edges, 1))
	fmt.Printf("| the same, until every stream has it, ms | p50 %.0f, p99 %.0f, most %.0f | | | |\n", quantile(everybody, 0.5), quantile(everybody, 0.99), quantile(everybody, 1))
	anon, all0, err := memory(service.pid)
	if err != nil {
		return err
	}
	if said != "" {
		fmt.Fprintln(os.Stderr, "import:", said)
	}
	fmt.Printf("| memory of the registry's process then, MB | | | %d, and %d of mapped files | 300 |\n", anon>>20, (all0-anon)>>20)
	return nil
}

func quantile(list []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// memory is what a process holds now: anonymous memory, and all that is resident.
func memory(pid int) (anon, all int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "RssAnon":
			anon = kb << 10
		case "VmRSS":
			all = kb << 10
		}
	}
	return anon, all, nil
}

// writeSome writes an import file of the first filings, with names that no run
// before had.
func writeSome(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	run := time.Now().Unix()
	fmt.Fprintln(w, "domain,number,entity_number,entity_name,entity_nature,site_name,status,filed_at,updated_at,provider,access_status")
	for i := range n {
		c := corpus.Filing(i)
		fmt.Fprintf(w, "%s,%s,%s,%s,%s,Name %d,%s,%s,2025-01-01,,\n", c.Site.Domains[0], c.Site.Number, c.Entity.Number, c.Entity.Name, c.Entity.Nature, run, c.Status, c.Site.FiledAt.Format("2006-01-02"))
	}
	return w.Flush()
}
