//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

var by = store.By{Who: "bench", Owner: "bench", Why: "a benchmark"}

// measured is what a process does that is measured.
func (o options) measured() error {
	ctx := context.Background()
	switch o.part {
	case "restarted":
		return o.restarted()
	case "fetch":
		return o.tell(func() (string, error) { return o.fetch() })
	case "serve":
		return o.serve(ctx)
	}
	s, err := store.Open(ctx, o.dsn, store.Options{What: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	return o.tell(func() (string, error) {
		switch o.part {
		case "import":
			return o.imported(ctx, s)
		case "again":
			return o.again(ctx, s)
		case "snapshot":
			return o.snapshot(ctx, s)
		}
		return "", fmt.Errorf("-part: unknown %q", o.part)
	})
}

// tell does something and tells what it took.
func (o options) tell(do func() (string, error)) (err error) {
	if o.profile != "" {
		f, err := os.Create(filepath.Join(o.profile, o.part+".cpu"))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var r result
	began := time.Now()
	if r.Note, err = do(); err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return err
	}
	r.CPU = float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	r.Peak = u.Maxrss << 10
	return json.NewEncoder(os.Stdout).Encode(r)
}

// stage stages the file.
func (o options) stage(ctx context.Context, s *store.Store, path string, complete bool) (store.Import, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	return s.Stage(ctx, by, store.ImportOptions{Source: "bench", Complete: complete}, func(adder func() func(registry.Filing) error) error {
		_, err := bulk.ImportShared(ctx, []string{path}, bulk.Options{Now: time.Now()}, adder)
		return err
	})
}

// imported imports the file into an empty registry.
func (o options) imported(ctx context.Context, s *store.Store) (string, error) {
	began := time.Now()
	i, err := o.stage(ctx, s, o.csv(), true)
	if err != nil {
		return "", err
	}
	staged := time.Since(began)
	if i, err = s.Publish(ctx, i.ID, nil); err != nil {
		return "", err
	}
	if i.Counts.Added != o.filings {
		return "", fmt.Errorf("%d filings were added; want %d", i.Counts.Added, o.filings)
	}
	return fmt.Sprintf("staged in %.1f s, %d revisions", staged.Seconds(), i.Chunks), nil
}

// again imports the file anew: nothing changes.
func (o options) again(ctx context.Context, s *store.Store) (string, error) {
	i, err := o.stage(ctx, s, o.csv(), true)
	if err != nil {
		return "", err
	}
	if i, err = s.Publish(ctx, i.ID, nil); err != nil {
		return "", err
	}
	if i.Counts.Unchanged != o.filings || i.Chunks > 0 {
		return "", fmt.Errorf("of %d filings %d are unchanged: %+v", o.filings, i.Counts.Unchanged, i.Counts)
	}
	return "", nil
}

// served is the directory of what a service serves.
func (o options) served() string {
	if strings.Contains(o.dsn, "host=") {
		return filepath.Join(o.dir, "served-pg")
	}
	return filepath.Join(o.dir, "served")
}

// signer is the one of all services of a directory.
func (o options) signer() (*feed.Signer, error) {
	path := filepath.Join(o.dir, "signing.pem")
	k, err := feed.OpenSigner(path)
	if !errors.Is(err, os.ErrNotExist) {
		return k, err
	}
	if k, err = feed.GenerateSigner(); err != nil {
		return nil, err
	}
	private, err := k.MarshalPEM()
	if err != nil {
		return nil, err
	}
	public, err := k.PublicPEM()
	if err != nil {
		return nil, err
	}
	return k, errors.Join(os.WriteFile(path, private, 0o600), os.WriteFile(o.keys(), public, 0o600))
}

func (o options) keys() string { return filepath.Join(o.dir, "keys.pem") }

// snapshot makes what is served of a registry.
func (o options) snapshot(ctx context.Context, s *store.Store) (string, error) {
	signer, err := o.signer()
	if err != nil {
		return "", err
	}
	p, _, err := api.OpenPublisher(ctx, s, o.served(), api.PublisherOptions{Signer: signer})
	if err != nil {
		return "", err
	}
	info := p.Hub().Replica().Live().Load().Info()
	return fmt.Sprintf("%d MB", info.Bytes>>20), p.Close()
}

// edge opens an edge that follows a service.
func (o options) edge() (*edge.Edge, error) {
	return edge.Open(edge.Config{Service: o.url, Keys: o.keys(), Access: feed.Access{Token: filepath.Join(o.dir, "token")}, State: filepath.Join(o.dir, "edge"), Poll: time.Hour})
}

// fetch starts an edge that has nothing and waits until it decides.
func (o options) fetch() (string, error) {
	e, err := o.edge()
	if err != nil {
		return "", err
	}
	defer e.Close()
	return o.decides(e)
}

// decides waits until an edge knows the last filing.
func (o options) decides(e *edge.Edge) (string, error) {
	d := registry.MustParseDomain(corpus.Sub(o.filings-1, 1))
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c := e.Coverage(d); len(c.Filings) > 0 {
			return fmt.Sprintf("%d filings", e.View().Info().Filings), nil
		}
	}
	return "", errors.New("the edge never knew the last filing")
}

// restarted starts an edge from its files and tells when it has answered.
func (o options) restarted() error {
	e, err := o.edge()
	if err != nil {
		return err
	}
	said, err := o.decides(e)
	fmt.Println(said)
	e.Close()
	return err
}
