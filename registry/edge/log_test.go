package edge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// logging opens an Edge with a log, at a time that stands still.
func logging(t *testing.T, c *clock, l edge.Log) *edge.Edge {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.snap")
	snapshot(t, path, 7, "example.com")
	return open(t, edge.Config{Registry: path, Log: l, Now: c.now})
}

func blocked(host, client string) edge.Blocked {
	b := edge.Blocked{
		Sighted: sight(host), Effect: registry.EffectBlock, Provider: "aliyun", Product: registry.ECS, Place: registry.Mainland,
		Server: "dns://:53", Zone: ".",
	}
	if client != "" {
		b.Client = netip.MustParseAddr(client)
	}
	return b
}

// lines reads a log.
func lines(t *testing.T, r io.Reader) (all []map[string]any) {
	t.Helper()
	for in := bufio.NewScanner(r); in.Scan(); {
		var l map[string]any
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%v in %q", err, in.Text())
		}
		all = append(all, l)
	}
	return all
}

func fileLines(t *testing.T, path string) []map[string]any {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return lines(t, f)
}

func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := logging(t, newClock(), edge.Log{On: true, File: path, Sample: 1, ClientV4: 24, ClientV6: 48})
	e.Blocked(blocked("www.unfiled.example", "192.0.2.77"))
	b := blocked("www.cancelled.example", "2001:db8:1:2::3")
	b.Reason, b.Filed, b.Effect = registry.Cancelled, registry.MustParseDomain("cancelled.example"), registry.EffectPass
	e.Blocked(b)
	e.Blocked(blocked("a.example", "::ffff:192.0.2.77"))
	e.Blocked(blocked("b.example", ""))
	e.Close()
	all := fileLines(t, path)
	if len(all) != 5 {
		t.Fatalf("got %d lines %v; want the 4 appended", len(all), all)
	}
	want := map[string]any{
		"time": "2027-01-15T08:00:00.000Z", "channel": "dns", "name": "www.unfiled.example", "registrable": "unfiled.example",
		"verdict": "block", "effect": "block", "reason": "unfiled", "addr": "203.0.113.1", "place": "mainland",
		"address_provider": "aliyun", "product": "ecs", "client": "192.0.2.0/24", "server": "dns://:53", "zone": ".",
		"revision": e.Index().Info().Revision.String(),
	}
	if fmt.Sprint(all[1]) != fmt.Sprint(want) {
		t.Errorf("got\n%v; want\n%v", all[1], want)
	}
	if l := all[2]; l["client"] != "2001:db8:1::/48" || l["filed"] != "cancelled.example" || l["registrable"] != nil || l["effect"] != "pass" {
		t.Errorf("got %v; want the network of the client, the filed name and the effect", l)
	}
	if all[3]["client"] != "192.0.2.0/24" || all[4]["client"] != nil {
		t.Errorf("got clients %v and %v; want the network and none", all[3]["client"], all[4]["client"])
	}
}

func TestLogIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	e := logging(t, newClock(), edge.Log{On: true, File: path, Sample: 1})
	e.Blocked(blocked("a.example", "192.0.2.77"))
	e.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := info.Mode().Perm(); m&0o027 != 0 {
		t.Errorf("got mode %o; want none for others, and no writing by the group", m)
	}
	if l := fileLines(t, path); len(l) != 1 || l[0]["client"] != nil {
		t.Errorf("got %v; want one line without a client", l)
	}
}

// TestLogRotates: a file that was moved away is left, and its directory's next
// file taken.
func TestLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	e := logging(t, newClock(), edge.Log{On: true, File: path, Sample: 1})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	e.Blocked(blocked("a.example", ""))
	e.Close()
	if old, l := fileLines(t, path+".1"), fileLines(t, path); len(old) != 0 || len(l) != 1 {
		t.Errorf("got %d lines in the old file, %d in the new; want 0 and 1", len(old), len(l))
	}
}

// TestLogShared: two Edges with one file write one after the other, the second
// goes on when the first has gone.
func TestLogShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	l := edge.Log{On: true, File: path, Sample: 1}
	one, two := logging(t, newClock(), l), logging(t, newClock(), l)
	one.Blocked(blocked("a.example", ""))
	one.Close()
	two.Blocked(blocked("b.example", ""))
	two.Close()
	all := fileLines(t, path)
	if len(all) != 2 || all[0]["name"] != "a.example" || all[1]["name"] != "b.example" {
		t.Errorf("got %v; want a.example and b.example", all)
	}
}

// TestLogRate: beyond the rate lines are left out, and the next one says how many.
func TestLogRate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	c := newClock()
	e := logging(t, c, edge.Log{On: true, File: path, Sample: 1})
	before, all0 := edge.Dropped(edge.DropRate), lost()
	const flood = 5000
	for range flood {
		e.Blocked(blocked("a.example", ""))
	}
	if n := edge.Dropped(edge.DropRate) - before; n != flood-2000 {
		t.Errorf("got %d lines dropped; want all but the burst of 2000", n)
	}
	c.t = c.t.Add(time.Second)
	for range 1000 {
		e.Blocked(blocked("b.example", ""))
	}
	e.Blocked(blocked("c.example", ""))
	if n := edge.Dropped(edge.DropRate) - before; n != flood-2000+1 {
		t.Errorf("got %d lines dropped a second later; want one more", n)
	}
	e.Close()
	all := fileLines(t, path)
	if lost := int(lost() - all0); len(all)+lost != flood+1001 {
		t.Errorf("got %d lines and %d dropped; want %d in all", len(all), lost, flood+1001)
	}
}

// TestLogTellsOfMissing: the line after a gap says how many there would have been.
func TestLogTellsOfMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	c := newClock()
	l := edge.Log{On: true, File: path, Sample: 1}
	e := logging(t, c, l)
	before := lost()
	for range 2000 { // whatever the queue does with them, there is no token left
		e.Blocked(blocked("a.example", ""))
	}
	for range 7 {
		e.Blocked(blocked("b.example", ""))
	}
	c.t = c.t.Add(time.Second)
	// With the queue empty, the next line has room.
	until(t, "the lines before", func() bool {
		text, err := os.ReadFile(path) // the last line of which may not be all there
		return err == nil && bytes.Count(text, []byte{'\n'})+int(lost()-before) == 2007
	})
	e.Blocked(blocked("c.example", ""))
	e.Close()
	told := 0
	for _, l := range fileLines(t, path) {
		if n, ok := l["suppressed"].(float64); ok {
			told += int(n)
		}
	}
	if missing := int(lost() - before); told != missing || told < 7 {
		t.Errorf("the lines tell of %d missing; want the %d that are, 7 at least", told, missing)
	}
}

// lost is how many lines were dropped, for whatever reason.
func lost() (n uint64) {
	for _, d := range edge.Drops() {
		n += edge.Dropped(d)
	}
	return n
}

// TestLogSample: one of many is logged, and every one is counted.
func TestLogSample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocks.log")
	e := logging(t, newClock(), edge.Log{On: true, File: path, Sample: 1_000_000})
	before, _ := find(edge.ProcessSightings().Rows(), "sampled.example")
	for range 1000 {
		e.Blocked(blocked("www.sampled.example", ""))
	}
	e.Close()
	// Of 1000, more than 50 are logged once in 10¹⁰⁰ runs and more.
	if all := fileLines(t, path); len(all) > 50 {
		t.Errorf("got %d lines; want hardly any", len(all))
	}
	if r, _ := find(edge.ProcessSightings().Rows(), "sampled.example"); r.Hits-before.Hits != 1000 {
		t.Errorf("got %d hits; want 1000", r.Hits-before.Hits)
	}
}

// TestLogNeverWaits: with nobody reading the standard output, blocks go on, and
// what is lost is counted.
func TestLogNeverWaits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	e := logging(t, newClock(), edge.Log{On: true, Sample: 1})
	before := edge.Dropped(edge.DropQueue)
	const burst = 2000
	for range burst {
		e.Blocked(blocked(strings.Repeat("long-label.", 18)+"example", ""))
	}
	lost := int(edge.Dropped(edge.DropQueue) - before)
	if lost == 0 {
		t.Error("got no line lost; a pipe that nobody reads cannot have taken all")
	}
	go func() { e.Close(); w.Close() }()
	if n := len(lines(t, r)); n+lost != burst {
		t.Errorf("got %d lines and %d lost; want %d in all", n, lost, burst)
	}
}

func TestLogErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.snap")
	snapshot(t, path, 1, "example.com")
	for _, file := range []string{dir, filepath.Join(dir, "no", "such", "dir.log")} {
		_, err := edge.Open(edge.Config{Registry: path, Log: edge.Log{On: true, File: file}})
		if err == nil || !strings.HasPrefix(err.Error(), "log: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("got error %v; want one that names log and %s", err, file)
		}
	}
}

func BenchmarkBlocked(b *testing.B) {
	path := filepath.Join(b.TempDir(), "r.snap")
	snapshot(b, path, 1, "example.com")
	for name, l := range map[string]edge.Log{"without log": {}, "log": {On: true, File: os.DevNull, Sample: 1}} {
		b.Run(name, func(b *testing.B) {
			e, err := edge.Open(edge.Config{Registry: path, Log: l})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			x := blocked("www.example.com", "192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				e.Blocked(x)
			}
		})
	}
}
