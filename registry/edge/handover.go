package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/feed"
)

// How often sightings are handed over, and how many batches wait on disk for a
// service that is away: 2,000 are some 17 hours; what is seen beyond that stays in
// memory.
const (
	handOverEvery = 30 * time.Second
	maxWaiting    = 2000
)

// handing is held by the one that hands over what the process has seen: it counts
// for all of its Edges.
var handing sync.Mutex

// handOver hands what the process has seen blocked to the service until ctx ends.
// A batch is on disk before it is sent, and goes when the service has taken it.
func (s *service) handOver(ctx context.Context) {
	if !handing.TryLock() {
		return // another service of the process is told
	}
	defer handing.Unlock()
	dir := filepath.Join(s.state.dir, "sightings")
	tick := time.NewTicker(handOverEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = s.spool(dir) // sent at the next start
			return
		case <-tick.C:
		}
		if err := errors.Join(s.spool(dir), s.send(ctx, dir)); err != nil && ctx.Err() == nil {
			s.unsent.Store(&err)
		} else {
			s.unsent.Store(nil)
		}
	}
}

// spool writes what was seen since to a file.
func (s *service) spool(dir string) error {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if waiting, err := os.ReadDir(dir); err != nil || len(waiting) >= maxWaiting {
		return err
	}
	b := ProcessSightings().Take()
	if b.Seq == 0 {
		return nil
	}
	out := feed.SightingBatch{Boot: b.Boot, Seq: b.Seq, Other: b.Other, Rows: make([]feed.Sighting, len(b.Rows))}
	for i, r := range b.Rows {
		row := feed.Sighting{
			Name: r.Name.String(), Reason: r.Reason.String(), Channel: r.Channel.String(), Mode: r.Mode.String(),
			First: r.First, Last: r.Last, Hits: r.Hits, Hosts: make([]string, len(r.Hosts)),
		}
		for j, h := range r.Hosts {
			row.Hosts[j] = h.String()
		}
		if r.Addr.IsValid() {
			row.Addr = r.Addr.String()
		}
		out.Rows[i] = row
	}
	text, err := out.Marshal()
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%020d%s", b.Boot, b.Seq, batchSuffix)), text, 0o640)
}

const batchSuffix = ".json"

// send sends the batches that wait, those of a process in their order.
func (s *service) send(ctx context.Context, dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		if strings.HasSuffix(f.Name(), batchSuffix) {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // another process of this host has sent it
		}
		if err != nil {
			return err
		}
		if err := s.client.Sightings(ctx, text); err != nil && !errors.Is(err, feed.ErrRefused) {
			return err
		}
		if err := disk.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
