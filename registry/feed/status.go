package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// EdgeStatus is what an edge says of itself.
type EdgeStatus struct {
	Revision registry.Revision `json:"revision"`
	// Filings and Lists are its digests, in hexadecimal.
	Filings string `json:"filings_digest,omitempty"`
	Lists   string `json:"lists_digest,omitempty"`
	// Age is for how long it has not known the registry to be there, in seconds.
	Age int64 `json:"age_seconds"`
	// Program is what asks, as "coredns 1.0.0".
	Program string `json:"program,omitempty"`
	// Error is why it does not follow; "" if it does.
	Error string `json:"error,omitempty"`
}

// EdgeBehind is how an edge behind a relay was, some time ago.
type EdgeBehind struct {
	Name string `json:"name" minLength:"1" maxLength:"200"` // as the relay knows it
	Ago  int64  `json:"ago_seconds" minimum:"0"`
	EdgeStatus
}

// EdgeReport is what an edge reports: how it is and, if it is a relay, how the edges
// behind it are.
type EdgeReport struct {
	EdgeStatus
	Behind []EdgeBehind `json:"behind,omitempty" maxItems:"5000"`
}

// StatusPath is where edges tell how they are.
const StatusPath = "/v1/edge/status"

// Limits of reports.
const (
	// maxStatusText bounds the texts of a status.
	maxStatusText = 500
	// MaxBehind bounds the edges that a relay speaks for.
	MaxBehind = 5000
	// MaxStatusBody bounds a report in bytes.
	MaxStatusBody = 8 << 20
)

// Check reports why s is no status of an edge.
func (s *EdgeStatus) Check() error {
	if len(s.Program) > maxStatusText || len(s.Error) > maxStatusText || s.Age < 0 {
		return fmt.Errorf("status of an edge: texts of at most %d bytes and an age from 0 on", maxStatusText)
	}
	return nil
}

// Check reports why r is no report.
func (r *EdgeReport) Check() error {
	if len(r.Behind) > MaxBehind {
		return fmt.Errorf("a report of %d edges; at most %d", len(r.Behind), MaxBehind)
	}
	for i := range r.Behind {
		if err := r.Behind[i].Check(); err != nil {
			return err
		}
	}
	return r.EdgeStatus.Check()
}

// Report tells the service how this edge is.
func (c *Client) Report(ctx context.Context, r EdgeReport) error {
	r.Error = cutText(r.Error, maxStatusText)
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, StatusPath, body, http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusOK {
		return c.refused(resp)
	}
	return resp.Body.Close()
}

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
