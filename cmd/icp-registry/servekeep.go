package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// keeping are for how many days a service keeps what need not be kept for ever.
type keeping struct {
	sightings, log int
}

const day = 24 * time.Hour

func (k *keeping) flags(f *pflag.FlagSet) {
	f.IntVar(&k.sightings, "keep-sightings", int(store.Retention/day), "for how many `DAYS` sightings are kept after they were last seen, and reports of imports")
	f.IntVar(&k.log, "keep-log", 7, "for how many `DAYS` an edge can be away and go on without fetching a snapshot")
}

func (k *keeping) check() error {
	if k.sightings < 1 || k.log < 1 {
		return fmt.Errorf("--keep-sightings %d and --keep-log %d; expect days from 1 on", k.sightings, k.log)
	}
	return nil
}

// resume goes on with an import that is only partly published: the service was ended
// in its midst.
func resume(ctx context.Context, s *api.Service, log *slog.Logger) {
	i, half, err := s.Resume(ctx, func(i store.Import, err error) {
		if err != nil {
			log.Error("an import is still only partly published; \"icp-registry import publish\" goes on with it, \"import undo\" takes it back", "import", i.ID, "done", i.Done, "of", i.Chunks, "error", err)
			return
		}
		log.Info("the import is published", "import", i.ID)
	})
	switch {
	case err != nil:
		log.Error("whether an import is only partly published cannot be told", "error", err)
	case half:
		log.Info("an import is only partly published: it goes on", "import", i.ID, "done", i.Done, "of", i.Chunks)
	}
}

// keep drops what is too old until ctx ends; the function it returns waits for that.
func (k *keeping) keep(ctx context.Context, s *api.Service, log *slog.Logger) (wait func()) {
	ctx, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		s.Keep(ctx, api.Keeping{
			Sightings: time.Duration(k.sightings) * day, Log: time.Duration(k.log) * day,
			Done: func(did api.Kept, err error) {
				if err != nil {
					log.Error("what is too old could not be dropped", "error", err)
				}
				if did.Sightings > 0 || did.Filed > 0 || did.Reports > 0 {
					log.Info("kept in order", "sightings dropped", did.Sightings, "filed since", did.Filed, "reports removed", did.Reports)
				}
			},
		})
	})
	return func() { end(); running.Wait() }
}
