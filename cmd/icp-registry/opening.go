package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/store"
)

// What lies in the directory of a service unless flags say otherwise.
const (
	databaseName = "registry.db"
	personalName = "personal.key" // encrypts personal data
	signingName  = "signing.pem"  // signs what is published: a secret
	publicName   = "signing.pub.pem"
	servedName   = "served"  // snapshots and frames
	importsName  = "imports" // uploads, reports and refused rows
)

// opening are the flags of who opens the registry of record itself.
type opening struct {
	env
	dir      string
	database string
	personal string
}

func (o *opening) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "the `DIRECTORY` with what the service keeps; made where there is none")
	f.StringVar(&o.database, "db", "", "a SQLite `FILE`, or postgres://…; default: "+databaseName+" in the directory")
	f.StringVar(&o.personal, "personal-key", "", "the `FILE` of the key that encrypts personal data; default: "+personalName+" in the directory, made where there is none")
}

// find settles which database and key are meant.
func (o *opening) find(cmd *cobra.Command) error {
	if o.dir == "" && (o.database == "" || o.personal == "") {
		return usageError(cmd, withHint(errors.New("no directory"), "name it with --dir, for example --dir /var/lib/icp-registry, or both --db and --personal-key"))
	}
	if o.dir != "" {
		if err := os.MkdirAll(o.dir, 0o750); err != nil {
			return err
		}
	}
	if o.database == "" {
		o.database = filepath.Join(o.dir, databaseName)
	}
	if o.personal == "" {
		o.personal = filepath.Join(o.dir, personalName)
	}
	return nil
}

// open opens the registry of record.
func (o *opening) open(ctx context.Context, cmd *cobra.Command, what string) (*store.Store, error) {
	if err := o.find(cmd); err != nil {
		return nil, err
	}
	key, err := store.ReadOrMakeKey(o.personal)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, o.database, store.Options{Now: o.now, Key: key, What: what, CheckEntry: edge.CheckEntry})
	if errors.Is(err, store.ErrInUse) {
		return nil, withHint(err, "a service is running on it: ask that, or stop it")
	}
	return s, err
}
