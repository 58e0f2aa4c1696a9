package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// service looks at a service that runs.
func (d *doctor) service(ctx context.Context, cmd *cobra.Command) error {
	c, err := d.connect(ctx, cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if !d.alive(ctx, c) {
		return nil
	}
	d.checked(ctx, c)
	d.feed(ctx, c)
	d.edges(ctx, c)
	return nil
}

// certificateDays is how long before its end a certificate is worth a warning.
const certificateDays = 14

// alive asks whether the service is there and ready, and looks at its certificate.
func (d *doctor) alive(ctx context.Context, c *client) bool {
	req, err := c.request(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		d.add("service", stateBad, err.Error(), "")
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		d.add("service", stateBad, err.Error(), "see whether it runs, and whether --server, --ca and the way to it are right")
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // its status says all
	if resp.StatusCode != http.StatusOK {
		d.add("service", stateBad, "it is there and not ready: "+resp.Status, "see its log: no registry is loaded yet")
		return true
	}
	d.add("service", stateGood, c.base+" is ready", "")
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		ends := resp.TLS.PeerCertificates[0].NotAfter
		state, do := stateGood, ""
		if ends.Sub(d.now()) < certificateDays*24*time.Hour {
			state, do = stateWarn, "renew it; the service reads the new files by itself"
		}
		d.add("certificate", state, "it ends at "+moment(ends.UTC()), do)
	}
	return true
}

// feed asks for the manifest, with a key for its signature too.
func (d *doctor) feed(ctx context.Context, c *client) {
	if d.key == "" {
		resp, err := c.get(ctx, feed.SnapshotPath)
		if err == nil {
			resp.Body.Close()
		}
		switch {
		case status(err) == http.StatusForbidden:
			d.add("feed", stateSkipped, err.Error(), "use a token with the scope feed, too")
		case err != nil:
			d.add("feed", stateBad, err.Error(), "see the log of the service: changes do not reach the edges")
		default:
			d.add("feed", stateGood, "there is a snapshot; name the key with --key to check its signature", "")
		}
		return
	}
	keys, err := feed.OpenKeys(d.key)
	if err != nil {
		d.add("feed", stateBad, err.Error(), "name the public key that edges pin, "+publicName+" in the directory of the service")
		return
	}
	f, err := feed.NewClient(c.base, func() (string, error) { return c.token, nil })
	if err != nil {
		d.add("feed", stateBad, err.Error(), "")
		return
	}
	defer f.Close()
	m, _, err := f.Manifest(ctx, keys)
	if err != nil {
		d.add("feed", stateBad, err.Error(), "see whether the token has the scope feed, and whether edges pin the key that signs now")
		return
	}
	d.add("feed", stateGood, fmt.Sprintf("the snapshot of revision %s is signed with the key; %d filings", m.Revision, m.Filed), "")
}

// otherEpoch tells of an edge that does not follow the registry's epoch.
func (d *doctor) otherEpoch(e *api.Edge, registry string) {
	what := fmt.Sprintf("%s of %s is on another epoch than the registry, %s than its own: at %s since %s, the registry is at %s", e.Name, e.Owner, e.Epoch, e.Status.Revision, moment(e.At), registry)
	do := "it follows a newer epoch by itself: see its log and its way to this service; where a mass change stopped it that was meant, stop it, remove its state directory and start it again"
	if e.Epoch == api.EpochNewer {
		epoch, _, _ := strings.Cut(registry, ":")
		do = fmt.Sprintf("it follows another registry, or this one went back: if that was meant, write \"accept-epoch %s\" in its block, and take it out again once it follows", epoch)
	}
	if e.Status.Error != "" {
		what += ": " + e.Status.Error
	}
	d.add("edges", stateWarn, what, do)
}

// edges asks how the edges are.
func (d *doctor) edges(ctx context.Context, c *client) {
	var out struct {
		Revision string     `json:"revision"`
		Edges    []api.Edge `json:"edges"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/edges", nil, &out)
	if status(err) == http.StatusForbidden {
		d.add("edges", stateSkipped, err.Error(), "use a token with the scope read, too")
		return
	}
	if err != nil {
		d.add("edges", stateBad, err.Error(), "")
		return
	}
	bad := 0
	for _, e := range out.Edges {
		if e.Epoch == api.EpochOlder || e.Epoch == api.EpochNewer {
			bad++
			d.otherEpoch(&e, out.Revision)
			continue
		}
		if e.Status.Error != "" || e.Lag > 100 {
			bad++
			d.add("edges", stateWarn, fmt.Sprintf("%s of %s is %d revisions behind since %s: %s", e.Name, e.Owner, e.Lag, moment(e.At), e.Status.Error), "see its log; it decides by what it has")
		}
	}
	if bad == 0 {
		d.add("edges", stateGood, fmt.Sprintf("%d follow, of which none is far behind", len(out.Edges)), "")
	}
}
