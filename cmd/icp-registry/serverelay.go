package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// relaying are the settings of a relay.
type relaying struct {
	upstream string
	keys     string
	access   feed.Access
	accept   string
}

func (r *relaying) flags(f *pflag.FlagSet) {
	f.StringVar(&r.upstream, "upstream", "", "the `URL` of the service that a relay follows")
	f.StringVar(&r.keys, "upstream-key", "", "the `FILE` of the public keys of which one must have signed what it says; read again when it changes")
	f.StringVar(&r.access.Token, "upstream-token", "", "the `FILE` of the token that it is shown")
	f.StringVar(&r.access.CA, "upstream-ca", "", "the `FILE` of the authorities of its certificate; default: the system's")
	f.StringVar(&r.access.Cert, "upstream-cert", "", "the `FILE` of a certificate that it is shown")
	f.StringVar(&r.access.Key, "upstream-cert-key", "", "the `FILE` of that certificate's key")
	f.StringVar(&r.accept, "accept-epoch", "", "follow the epoch `ID` of upstream though it is older than the one held")
}

// check refuses flags that do not go together.
func (r *relaying) check() error {
	switch {
	case r.upstream == "" && (r.keys != "" || r.access != feed.Access{} || r.accept != ""):
		return errors.New("--upstream-… and --accept-epoch go with --upstream")
	case r.upstream != "" && r.keys == "":
		return withHint(errors.New("--upstream without --upstream-key"), "give the file "+publicName+" of the registry of record")
	case (r.access.Cert == "") != (r.access.Key == ""):
		return errors.New("--upstream-cert and --upstream-cert-key go together")
	}
	return nil
}

// relay follows upstream and completes the settings of what is served.
func (s *serving) relay(cmd *cobra.Command, config *api.Config, log *slog.Logger) (center, error) {
	var accept registry.Epoch
	var err error
	if s.accept != "" {
		if accept, err = registry.ParseEpoch(s.accept); err != nil {
			return nil, usageError(cmd, err)
		}
	}
	keys, err := feed.OpenKeys(s.keys)
	if err != nil {
		return nil, err
	}
	if config.Upstream, err = s.access.Open(s.upstream); err != nil {
		return nil, usageError(cmd, err)
	}
	y, warnings, err := api.OpenRelay(filepath.Join(s.dir, servedName), api.RelayOptions{
		Upstream: config.Upstream, Keys: keys, Hub: s.hub(),
		Follow: feed.FollowOptions{Program: "icp-registry relay", AcceptEpoch: accept, Now: s.now},
		Failed: tells(log, "upstream is not followed", "upstream is followed again"),
	})
	for _, w := range warnings {
		log.Warn(w)
	}
	if err != nil {
		return nil, err
	}
	return &pinned{y, s.keys, keys, log}, nil
}

// pinned is a relay whose keys lie in a file.
type pinned struct {
	*api.Relay
	path string
	keys *feed.Keys
	log  *slog.Logger
}

// keysEvery is how often the file of keys is looked at.
const keysEvery = 5 * time.Second

// Run follows until ctx ends, with the keys that the file has.
func (p *pinned) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() { defer close(done); p.Relay.Run(ctx) }()
	defer func() { <-done }()
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	seen, _ := os.Stat(p.path)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := os.Stat(p.path)
		if err != nil || seen != nil && now.ModTime().Equal(seen.ModTime()) && os.SameFile(now, seen) {
			continue
		}
		seen = now
		keys, err := feed.OpenKeys(p.path)
		if err != nil {
			p.log.Error("the keys of upstream have changed but cannot be used; the old ones stay", "file", p.path, "error", err)
			continue
		}
		p.keys.Replace(keys)
		p.log.Info("the keys of upstream were read anew", "file", p.path)
	}
}
