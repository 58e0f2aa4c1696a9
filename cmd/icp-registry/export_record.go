package main

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/index"
)

// ofRecord reports whether it is a registry of record that is exported: flags name
// it, or the variable of the service does and nothing names a snapshot.
func (x *exporting) ofRecord() bool {
	return x.record.given() || x.registry == "" && x.getenv(registryVariable) == "" && x.getenv(serverVariable) != ""
}

// fromRecord exports a registry of record.
func (x *exporting) fromRecord(cmd *cobra.Command) error {
	if x.registry != "" {
		return usageError(cmd, errors.New("--registry and a registry of record; name one of them"))
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	c, err := x.record.connect(ctx, cmd)
	if err != nil {
		return err
	}
	defer c.close()
	if x.format == "rpz" {
		return x.zoneOfRecord(ctx, cmd, c)
	}
	return x.put(func(w io.Writer) error {
		q := url.Values{"format": {x.format}}
		if x.personal {
			q.Set("personal", "true")
		}
		return x.copy(ctx, c, api.ExportPath+"?"+q.Encode(), w)
	})
}

// copy copies what the service sends, all of it or with an error.
func (x *exporting) copy(ctx context.Context, c *client, from string, w io.Writer) error {
	resp, err := c.get(ctx, from)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	what := "exporting"
	if n, err := strconv.Atoi(resp.Header.Get("X-ICP-Filings")); err == nil {
		what = "exporting " + strconv.Itoa(n) + " filings"
	}
	shown := newBar(x.stderr, what, resp.ContentLength, true)
	defer shown.done()
	_, err = io.Copy(io.MultiWriter(w, shown), resp.Body)
	return err
}

// zoneOfRecord writes a response policy zone of the snapshot that the service makes.
func (x *exporting) zoneOfRecord(ctx context.Context, cmd *cobra.Command, c *client) error {
	dir, err := os.MkdirTemp("", "icp-registry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, defaultRegistry)
	if err := writeWhole(path, func(w io.Writer) error { return x.copy(ctx, c, api.RegistryPath, w) }); err != nil {
		return err
	}
	v, err := index.ReadFile(path)
	if err != nil {
		return err
	}
	z, err := x.policyZone(v)
	if err != nil {
		return usageError(cmd, err)
	}
	return x.put(func(w io.Writer) error { return z.write(ctx, w) })
}
