package edge_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/disk/powercut"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestServicePowerCut: whenever the power is cut, an edge starts without the
// service, decides by what it decided by or by newer, and follows on.
func TestServicePowerCut(t *testing.T) {
	inMemory(t)
	p, root := newPublishing(t), t.TempDir()
	var away atomic.Bool
	serve := p.server.Config.Handler
	p.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serve.ServeHTTP(w, r)
	})
	rec := powercut.Record(root)
	points := map[int]uint64{0: 0} // the revision in force, by what was done to the disk
	c := p.config(filepath.Join(root, "state"))
	e, err := edge.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	var rev registry.Revision
	for i := range 12 {
		rev = p.publish(fmt.Sprintf("n%d.test", i+1), registry.Entry{List: registry.ListTLDs, Key: fmt.Sprint("t", i)})
		p.await("a revision", func() bool { return e.View().Revision() == rev && e.Status().Registry.Feed.Lag == 0 })
		e.Close() // what is told comes before what is written, but not before Close
		points[rec.Points()] = rev.Rev
		if e, err = edge.Open(c); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	rec.Stop()
	rounds := 25
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 1000
	}
	random := rand.New(rand.NewPCG(1, 2))
	cut := func(follow bool) error {
		dir, err := os.MkdirTemp(t.TempDir(), "cut")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		point := random.IntN(rec.Points() + 1)
		if err := rec.Cut(point, random, dir); err != nil {
			t.Fatal(err)
		}
		c.State = filepath.Join(dir, "state")
		away.Store(true)
		err = startsWith(c, points, point)
		away.Store(false)
		if err != nil || !follow {
			return err
		}
		e := open(t, c)
		defer e.Close()
		p.await("the last revision", func() bool { return e.View().Revision() == rev })
		return saysUpTo(e)
	}
	for range rounds {
		if err := cut(true); err != nil {
			t.Fatal(err)
		}
	}
	for name, lie := range map[string]disk.Kind{"files": disk.Synced, "names": disk.DirSynced} {
		rec.Lie(lie)
		failed := 0
		for range 40 {
			if cut(false) != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("with a disk that does not sync %s nothing is lost: this test sees nothing", name)
		}
	}
}

// inMemory puts temporary files where a sync costs nothing: here no power is cut.
func inMemory(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// startsWith opens an edge whose power was cut.
func startsWith(c edge.Config, points map[int]uint64, point int) error {
	e, err := edge.Open(c)
	if err != nil {
		return err
	}
	defer e.Close()
	least := uint64(0)
	for at, rev := range points {
		if at <= point {
			least = max(least, rev)
		}
	}
	if v := e.View(); v != nil && v.Revision().Rev < least || v == nil && least > 0 {
		return fmt.Errorf("at point %d the edge starts at %s; it had acknowledged %d", point, v.Revision(), least)
	} else if v == nil {
		return nil
	}
	return saysUpTo(e)
}

// saysUpTo reports what is not as it was at the revision in force.
func saysUpTo(e *edge.Edge) error {
	v := e.View()
	for i := uint64(1); i <= 12; i++ {
		filed := len(v.Cover(registry.MustParseDomain(fmt.Sprintf("n%d.test", i))).Filings) > 0
		if filed != (i <= v.Revision().Rev) {
			return fmt.Errorf("at revision %s n%d.test is filed: %v", v.Revision(), i, filed)
		}
	}
	return nil
}
