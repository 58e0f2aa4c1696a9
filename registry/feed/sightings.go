package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// SightingsPath is where edges hand over what they blocked, or would have.
const SightingsPath = "/v1/sightings"

// Limits of a batch.
const (
	// MaxSightingsBody bounds a batch in bytes: so many rows with so many of the
	// longest names.
	MaxSightingsBody = 32 << 20
)

// SightingBatch is what an edge has counted since the batch before. Boot and Seq
// name it among those of the edge: handed over twice, it counts once.
type SightingBatch struct {
	Boot  string     `json:"boot" minLength:"1" maxLength:"64"` // of the edge's process, random
	Seq   uint64     `json:"seq" minimum:"1"`
	Rows  []Sighting `json:"rows"`
	Other uint64     `json:"other,omitempty"` // hits that found no row
	// Behind is the edge that a relay hands it over for; "" if it is its own.
	Behind string `json:"behind,omitempty" maxLength:"200"`
}

// Sighting is a row of a batch: how often a name was seen at an address.
type Sighting struct {
	Name    string    `json:"name"`           // registrable; "" where the host is an address or none
	Hosts   []string  `json:"hosts"`          // the first of them
	Addr    string    `json:"addr,omitempty"` // "" where it is not known
	Reason  string    `json:"reason"`
	Channel string    `json:"channel"`
	Mode    string    `json:"mode"`
	First   time.Time `json:"first_seen"`
	Last    time.Time `json:"last_seen"`
	Hits    uint64    `json:"hits"`
}

// Seen is a Sighting that was read.
type Seen struct {
	Name        registry.Domain
	Hosts       []registry.Domain
	Addr        netip.Addr
	Reason      registry.Reason
	Channel     registry.Channel
	Mode        registry.Mode
	First, Last time.Time
	Hits        uint64
}

// Read reads a row; an error names the field that cannot be.
func (s *Sighting) Read() (out Seen, err error) {
	if s.Name != "" {
		if out.Name, err = registry.ParseDomain(s.Name); err != nil {
			return out, fmt.Errorf("name: %w", err)
		}
	}
	if len(s.Hosts) > registry.MaxSightedHosts {
		return out, fmt.Errorf("%d hosts; at most %d", len(s.Hosts), registry.MaxSightedHosts)
	}
	for _, h := range s.Hosts {
		d, err := registry.ParseDomain(h)
		if err != nil {
			return out, fmt.Errorf("hosts: %w", err)
		}
		out.Hosts = append(out.Hosts, d)
	}
	if s.Addr != "" {
		if out.Addr, err = netip.ParseAddr(s.Addr); err != nil {
			return out, fmt.Errorf("addr: %w", err)
		}
	}
	if err = out.Reason.UnmarshalText([]byte(s.Reason)); err != nil {
		return out, fmt.Errorf("reason: %w", err)
	}
	if out.Channel, err = registry.ParseChannel(s.Channel); err != nil {
		return out, fmt.Errorf("channel: %w", err)
	}
	switch s.Mode {
	case registry.Enforce.String():
	case registry.Monitor.String():
		out.Mode = registry.Monitor
	default:
		return out, fmt.Errorf("mode %q; expect enforce or monitor", s.Mode)
	}
	if s.Last.Before(s.First) || s.First.IsZero() || s.Hits == 0 {
		return out, errors.New("times and hits: expect first_seen, last_seen not before it, and hits from 1 on")
	}
	out.First, out.Last, out.Hits = s.First, s.Last, s.Hits
	return out, nil
}

// ErrRefused: the service will never take what was handed over.
var ErrRefused = errors.New("the service refuses it for good")

// Sightings hands over the bytes of a batch as JSON. ErrRefused tells that there is
// no use in trying again.
func (c *Client) Sightings(ctx context.Context, batch []byte) error {
	resp, err := c.do(ctx, http.MethodPost, SightingsPath, batch, http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusOK:
		return resp.Body.Close()
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", ErrRefused, c.refused(resp))
	}
	return c.refused(resp)
}

// Marshal writes a batch.
func (b *SightingBatch) Marshal() ([]byte, error) { return json.Marshal(b) }
