package edge

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Batch is what was seen since the batch before. Boot and Seq name it: who hands
// it over twice with the same two has handed it over once.
type Batch struct {
	Boot     string // of this process, random
	Seq      uint64 // from 1
	From, To time.Time
	Rows     []Sighting // Hits since the batch before; First is the first ever
	Other    uint64     // hits of names that found no row
}

// Take makes the next batch: the hits that no batch has told of. Who takes it
// answers for it: it is not made again. A batch without rows and others is no
// batch, has the number 0 and none is used up.
func (s *Sightings) Take() Batch {
	s.taking.Lock()
	defer s.taking.Unlock()
	other := s.other.Load()
	b := Batch{Boot: s.boot, From: s.since, To: s.now(), Other: other - s.taken}
	for i := range s.shards {
		b.Rows = s.shards[i].copy(b.Rows, true)
	}
	if len(b.Rows) == 0 && b.Other == 0 {
		return Batch{}
	}
	s.batch++
	s.taken, s.since, b.Seq = other, b.To, s.batch
	return b
}

// Rows returns all that is counted, most hits first.
func (s *Sightings) Rows() []Sighting {
	var all []Sighting
	for i := range s.shards {
		all = s.shards[i].copy(all, false)
	}
	slices.SortFunc(all, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(b.Hits, a.Hits), strings.Compare(a.Name.String(), b.Name.String()),
			a.Addr.Compare(b.Addr), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Channel, b.Channel))
	})
	return all
}

// copy adds the rows to all: those with hits that no batch has told of if take is
// set, which are told then.
func (sh *sightShard) copy(all []Sighting, take bool) []Sighting {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.rows {
		r := &sh.rows[i]
		hits := r.hits
		if take {
			hits -= r.taken
			r.taken = r.hits
		}
		if hits == 0 {
			continue
		}
		all = append(all, Sighting{
			Name: r.name, Hosts: slices.Clone(r.hosts), Addr: r.addr, Reason: r.reason, Channel: r.channel,
			Mode: r.mode, First: time.Unix(r.first, 0).UTC(), Last: time.Unix(r.last, 0).UTC(), Hits: hits,
		})
	}
	return all
}

// bootID is a name that no other start of an edge has.
func bootID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// sightingRow is a row as it is shown; the words are those of the rules.
type sightingRow struct {
	Name    registry.Domain   `json:"name"`
	Hosts   []registry.Domain `json:"hosts"`
	Addr    string            `json:"addr"`
	Reason  registry.Reason   `json:"reason"`
	Channel string            `json:"channel"`
	Mode    string            `json:"mode"`
	First   string            `json:"first_seen"`
	Last    string            `json:"last_seen"`
	Hits    uint64            `json:"hits"`
}

func (s Sighting) row() sightingRow {
	r := sightingRow{s.Name, s.Hosts, "", s.Reason, s.Channel.String(), s.Mode.String(),
		s.First.Format(time.RFC3339), s.Last.Format(time.RFC3339), s.Hits}
	if r.Hosts == nil {
		r.Hosts = []registry.Domain{}
	}
	if s.Addr.IsValid() {
		r.Addr = s.Addr.String()
	}
	return r
}
