package edge

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listPage lists the pages.
func listPage(k ask) (answer, error) {
	type entry struct {
		Path string `json:"path"`
		What string `json:"what"`
	}
	var all []entry
	for _, path := range slices.Sorted(maps.Keys(pages)) {
		all = append(all, entry{path, pages[path].words[k.lang]})
	}
	beside.Range(func(path, h any) bool {
		all = append(all, entry{path.(string), h.(besideHandler).words[k.lang]})
		return true
	})
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	if k.profiles {
		all = append(all, entry{pprofPath, [2]string{"profiles of the process, for go tool pprof", "进程的性能剖析数据（供 go tool pprof 使用）"}[k.lang]})
	}
	return answer{
		value: map[string]any{"pages": all},
		text: func(w io.Writer) error {
			b := bufio.NewWriter(w)
			for _, e := range all {
				fmt.Fprintf(b, "%-12s %s\n", e.Path, e.What)
			}
			return b.Flush()
		},
	}, nil
}

// revisionPage tells what the registries are at, each once.
func revisionPage(ask) (answer, error) {
	all := []RegistryStatus{}
	for _, e := range blocks() {
		s := e.registryStatus()
		same := func(t RegistryStatus) bool { return t.Source == s.Source && t.Revision == s.Revision }
		if !slices.ContainsFunc(all, same) {
			all = append(all, s)
		}
	}
	return answer{
		value: map[string]any{"registries": all},
		text: func(w io.Writer) error {
			b := bufio.NewWriter(w)
			for _, s := range all {
				fmt.Fprintf(b, "%s  %s\n", s.revision(), s.Source)
			}
			return b.Flush()
		},
	}, nil
}

func (s RegistryStatus) revision() string {
	switch {
	case s.Thin != nil:
		return "thin" // every answer is of the service's own
	case !s.Loaded:
		return "none"
	}
	return s.Revision.String()
}

// statusPage tells what every block is at.
func statusPage(ask) (answer, error) {
	all := []Status{}
	for _, e := range blocks() {
		all = append(all, e.Status())
	}
	return answer{
		value: map[string]any{"ready": Ready(), "blocks": all},
		text: func(w io.Writer) error {
			b := bufio.NewWriter(w)
			fmt.Fprintf(b, "ready     %t\n", Ready())
			for i, s := range all {
				s.writeText(b, i+1)
			}
			return b.Flush()
		},
	}, nil
}

// writeText prints a block. The words are those of the block's options.
func (s Status) writeText(b *bufio.Writer, number int) {
	fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(fmt.Sprintf("block %d  %s", number, s.Label)))
	row := func(word string, value any) { fmt.Fprintf(b, "  %-12s %v\n", word, value) }
	if len(s.Zones) > 0 {
		row("zones", strings.Join(s.Zones, " "))
	}
	row("ready", s.Ready)
	row("mode", s.Mode)
	row("fail", s.Fail)
	if s.Block != "" {
		row("block", s.Block)
	}
	if s.Provider != "" {
		row("provider", s.Provider)
	}
	r := s.Registry
	row("registry", r.Source)
	row("revision", r.revision())
	if r.MadeAt != nil {
		age := time.Duration(*r.Age * float64(time.Second)).Round(time.Second)
		row("made", r.MadeAt.Format(time.RFC3339)+", "+age.String()+" ago")
	}
	if r.Thin == nil {
		row("filings", r.Filings)
	}
	r.writeCounters(row)
	for _, d := range s.Data {
		if len(d.Files) == 0 {
			continue
		}
		row(d.Data, strings.TrimSpace(fmt.Sprintf("%s, read %s: %s %s", strings.Join(d.Files, " "), d.ReadAt.Format(time.RFC3339), d.Result, d.Error)))
	}
	for _, w := range s.Warnings {
		row("warning", w)
	}
}

// writeCounters prints how it goes with the cache and the service.
func (s RegistryStatus) writeCounters(row func(word string, value any)) {
	if c := s.Cache; c != nil {
		row("cache", fmt.Sprintf("%d entries, %d hits, %d misses, %d evictions", c.Entries, c.Hits, c.Misses, c.Evictions))
	}
	if f := s.Feed; f != nil {
		f.writeText(row)
	}
	t := s.Thin
	if t == nil {
		return
	}
	answered := "never answered"
	if t.AnsweredAt != nil {
		answered = "answered " + t.AnsweredAt.Format(time.RFC3339)
	}
	row("thin", fmt.Sprintf("connected %t, %s, %d requests, %d errors, %d timeouts, %d stale, %d unanswered",
		t.Connected, answered, t.Requests, t.Errors, t.Timeouts, t.Stale, t.Unanswered))
}

// sightingsPage lists what was blocked.
func sightingsPage(ask) (answer, error) {
	s := processSightings
	rows := []sightingRow{}
	for _, x := range s.Rows() {
		rows = append(rows, x.row())
	}
	other := s.Other()
	return answer{
		value: map[string]any{"sightings": rows, "other": other},
		text: func(w io.Writer) error {
			b := bufio.NewWriter(w)
			for _, r := range rows {
				fmt.Fprintf(b, "%8d  %s  %s  %s  %s  %s  %s\n", r.Hits, r.Name, orDash(r.Addr), r.Reason, r.Channel, r.Mode, r.Last)
			}
			fmt.Fprintf(b, "%8d  other\n", other)
			return b.Flush()
		},
		csv: func(w io.Writer) error { return writeSightings(w, rows, other) },
	}, nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeSightings writes rows as RFC 4180 has it. The last row counts what found no
// room.
func writeSightings(w io.Writer, rows []sightingRow, other uint64) error {
	c := csv.NewWriter(w)
	c.Write([]string{"name", "hosts", "addr", "reason", "channel", "mode", "first_seen", "last_seen", "hits"})
	for _, r := range rows {
		var hosts []string
		for _, h := range r.Hosts {
			hosts = append(hosts, h.String())
		}
		c.Write([]string{r.Name.String(), strings.Join(hosts, " "), r.Addr, r.Reason.String(), r.Channel, r.Mode, r.First, r.Last,
			strconv.FormatUint(r.Hits, 10)})
	}
	c.Write([]string{"other", "", "", "", "", "", "", "", strconv.FormatUint(other, 10)})
	c.Flush()
	return c.Error()
}

// healthPage answers as long as the process does.
func healthPage(ask) (answer, error) {
	return answer{value: map[string]bool{"healthy": true}, text: sentence("ok")}, nil
}

// readyPage answers 503 while an Edge is not ready.
func readyPage(ask) (answer, error) {
	if Ready() {
		return answer{value: map[string]bool{"ready": true}, text: sentence("ready")}, nil
	}
	return answer{status: http.StatusServiceUnavailable, value: map[string]bool{"ready": false}, text: sentence("not ready")}, nil
}

func sentence(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := fmt.Fprintln(w, s); return err }
}

// behind tells how far this copy is behind.
func (f *FeedStatus) behind() string {
	switch {
	case f.Lost && f.Lag > 0:
		return fmt.Sprintf("at least %d revisions behind, until a snapshot has come", f.Lag)
	case f.Lost:
		return "behind, by how much is not known until a snapshot has come"
	}
	return fmt.Sprintf("%d revisions behind", f.Lag)
}

// writeText prints how it goes with a registry that is followed.
func (f *FeedStatus) writeText(row func(word string, value any)) {
	heard := "never heard"
	if f.HeardAt != nil {
		heard = "heard " + f.HeardAt.Format(time.RFC3339)
	}
	row("feed", fmt.Sprintf("connected %t, leads %t, %s, %s, %d snapshots, %d repairs", f.Connected, f.Leads, heard, f.behind(), f.Snapshots, f.Repairs))
	if f.Beginning {
		row("beginning", "not in force before it has come to where the service is")
	}
	if f.Error != "" {
		row("failing", f.Error)
	}
}
