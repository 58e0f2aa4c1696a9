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
	sightings, imports, log int
}

const day = 24 * time.Hour

// mostDays is a century; nanoseconds count three of them.
const mostDays = 36_525

func (k *keeping) flags(f *pflag.FlagSet) {
	f.IntVar(&k.sightings, "keep-sightings", int(store.Retention/day), "for how many `DAYS` sightings are kept after they were last seen, and reports of imports")
	f.IntVar(&k.imports, "keep-imports", int(store.Patience/day), "for how many `DAYS` an import that is staged waits to be published, before it is given up")
	f.IntVar(&k.log, "keep-log", 7, "for how many `DAYS` an edge can be away and go on without fetching a snapshot")
}

func (k *keeping) check() error {
	for _, one := range []struct {
		flag string
		days int
	}{{"sightings", k.sightings}, {"imports", k.imports}, {"log", k.log}} {
		if one.days < 1 || one.days > mostDays {
			return fmt.Errorf("--keep-%s %d; expect days from 1 to %d", one.flag, one.days, mostDays)
		}
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
			Sightings: time.Duration(k.sightings) * day, Imports: time.Duration(k.imports) * day, Log: time.Duration(k.log) * day,
			Done: func(did api.Kept, err error) {
				if err != nil {
					log.Error("what is too old could not be dropped", "error", err)
				}
				if did.Sightings > 0 || did.Filed > 0 || did.Reports > 0 || did.Imports > 0 {
					log.Info("kept in order", "sightings dropped", did.Sightings, "filed since", did.Filed, "reports removed", did.Reports, "imports given up", did.Imports)
				}
			},
		})
	})
	return func() { end(); running.Wait() }
}
