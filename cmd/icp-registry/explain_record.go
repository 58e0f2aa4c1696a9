package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
)

// ofRecord explains by a registry of record that is opened for it, with its lists.
func (x *explaining) ofRecord(cmd *cobra.Command, asked *question) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	db, err := x.record.open(ctx, cmd, "icp-registry explain")
	if err != nil {
		return err
	}
	defer db.Close()
	dir, err := os.MkdirTemp("", "icp-registry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	signer, err := feed.GenerateSigner() // nobody else sees what it signs
	if err != nil {
		return err
	}
	p, _, err := api.OpenPublisher(ctx, db, filepath.Join(dir, servedName), api.PublisherOptions{Signer: signer, Hub: feed.HubOptions{Now: x.now}})
	if err != nil {
		return err
	}
	defer p.Close()
	r := p.Hub().Replica()
	x.edge.Live, x.edge.Lists, x.edge.Now = r.Live(), r, x.now
	ed, err := edge.Open(x.edge)
	if err != nil {
		return err
	}
	defer ed.Close()
	return x.judge(ed, asked)
}

// elsewhere has a service explain.
func (x *explaining) elsewhere(cmd *cobra.Command, name string, asked *question) error {
	for _, flag := range []string{"policy", "exempt", "networks", "mainland", "mainland-add", "confirm", "bindings", "suffixes", "profiles"} {
		if cmd.Flags().Changed(flag) {
			return usageError(cmd, fmt.Errorf("--%s: a service judges by its own; it goes with --registry, --dir or --db", flag))
		}
	}
	q := url.Values{"host": {name}, "addr": x.ips, "cname": x.cnames, "channel": {x.channel}, "lang": {asked.lang.String()}}
	for key, s := range map[string]string{
		"provider": x.provider, "address_provider": x.addressProvider, "product": x.product, "acceleration": x.acceleration, "origin": x.origin,
	} {
		if s != "" {
			q.Set(key, s)
		}
	}
	if x.originPull {
		q.Set("origin_pull", "true")
	}
	return x.record.asked(cmd, func(ctx context.Context, c *client) error {
		var e edge.Explained
		if err := c.call(ctx, http.MethodGet, api.ExplainPath+"?"+q.Encode(), nil, &e); err != nil {
			return err
		}
		if err := x.print(e); err != nil {
			return fmt.Errorf("explanation could not be printed: %w", err)
		}
		if x.exitCode && e.Verdict == "block" {
			return &exitError{code: exitFindings}
		}
		return nil
	})
}

// asked connects, asks, and closes.
func (t *target) asked(cmd *cobra.Command, do func(context.Context, *client) error) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	c, err := t.connect(ctx, cmd)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, c), c.close())
}
