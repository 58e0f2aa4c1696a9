package api_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
)

// TestKept: a backup that is fetched is whole, a snapshot is what the registry is,
// and the registry agrees with itself.
func TestKept(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		_, _, text := w.ask(t, "GET", api.BackupPath, w.bearer("admin"), "")
		if info, err := store.VerifyBackup(strings.NewReader(text)); err != nil || info.Rows["site"] != 1 {
			t.Errorf("the backup: %+v, %v", info, err)
		}
		_, _, text = w.ask(t, "GET", api.RegistryPath, w.bearer("feed"), "")
		path := filepath.Join(t.TempDir(), "registry.icp")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := index.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if rev, err := w.store.Revision(t.Context()); err != nil || x.Info().Filings != 1 || x.Info().Revision != rev {
			t.Errorf("the snapshot is %+v; want revision %s, %v", x.Info(), rev, err)
		}
		var c api.Check
		if w.call(t, "admin", "GET", api.CheckPath, nil, &c, 200); len(c.Wrong) != 0 || !c.Now.Equal(w.clock.now()) {
			t.Errorf("check: %+v", c)
		}
	})
}

// TestPersonal: personal data is seen by who may, and erased for ever.
func TestPersonal(t *testing.T) {
	w := newWorld(t)
	const number = "京ICP备12345678号"
	w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{
		Domains: p([]string{"b.test"}), Number: p(number + "-1"), EntityNumber: p(number), EntityName: p("张三"), EntityNature: p("individual"),
	}}, nil, 200)
	var e api.Entity
	w.call(t, "personal", "GET", api.EntitiesPath+"?number="+url.QueryEscape(number), nil, &e, 200)
	if e.Name != "张三" {
		t.Errorf("the entity: %+v", e)
	}
	w.call(t, "admin", "POST", api.EntitiesPath+"/erase", map[string]string{"number": number, "why": "asked for"}, nil, 200)
	e = api.Entity{}
	w.call(t, "personal", "GET", api.EntitiesPath+"?number="+url.QueryEscape(number), nil, &e, 200)
	if e.Name != "" || e.Erased.IsZero() {
		t.Errorf("erased: %+v", e)
	}
	w.call(t, "personal", "GET", api.EntitiesPath+"?number=12", nil, nil, 422)
}

// TestKeep: what is too old by the service's clock goes, and not before.
func TestKeep(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		at := w.clock.now()
		_, err := w.store.AddSightings(t.Context(), store.SightingBatch{Edge: "e", Boot: "b", Seq: 1, Rows: []store.Sighting{
			{Name: registry.MustParseDomain("x.test"), Reason: registry.Unfiled, First: at, Last: at, Hits: 1},
			{Name: registry.MustParseDomain("a.test"), Reason: registry.Unfiled, First: at, Last: at, Hits: 1},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.staged(t, "00000000000000e1", "dry_run=true", "x.csv", table("com.cn"))
		old, err := w.store.Revision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tick, done := make(chan time.Time), make(chan api.Kept, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Keep(ctx, api.Keeping{Sightings: 48 * time.Hour, Log: 24 * time.Hour, LeastLog: 1, Tick: tick, Done: func(k api.Kept, err error) {
				if err != nil {
					t.Error(err)
				}
				done <- k
			}})
		}()
		if k := <-done; k.Filed != 1 || k.Sightings != 0 {
			t.Errorf("at once: %+v", k)
		}
		w.clock.seconds.Add(36 * 3600)
		file(t, w.store, "later.test", registry.StatusNormal)
		file(t, w.store, "latest.test", registry.StatusNormal)
		tick <- time.Time{}
		if k := <-done; k.Sightings != 0 {
			t.Errorf("after a day and a half: %+v", k)
		}
		if _, err := w.store.Changes(t.Context(), registry.Revision{Epoch: old.Epoch, Rev: old.Rev - 1}, 10); err == nil {
			t.Error("the log of a day and a half ago is still there")
		}
		if _, err := w.store.Changes(t.Context(), old, 10); err != nil {
			t.Errorf("the log of today: %v", err)
		}
		w.clock.seconds.Add(13 * 3600)
		tick <- time.Time{}
		if k := <-done; k.Sightings != 2 {
			t.Errorf("after two days: %+v", k)
		}
		w.staged(t, "00000000000000e2", "", "x.csv", table("cn"))
		var c api.Check
		w.call(t, "admin", "GET", api.CheckPath, nil, &c, 200)
		if len(c.Waiting) != 1 || c.Waiting[0] != (api.WaitingImport{ID: "00000000000000e2", State: store.ImportStaged, Made: w.clock.now().UTC()}) || len(c.Wrong) != 0 {
			t.Errorf("what waits: %+v", c)
		}
		for _, s := range []struct{ hours, gone int }{{29 * 24, 0}, {25, 1}} {
			w.clock.seconds.Add(int64(s.hours) * 3600)
			tick <- time.Time{}
			if k := <-done; k.Imports != s.gone {
				t.Errorf("%d hours later: %+v; want %d imports given up", s.hours, k, s.gone)
			}
		}
		tick <- time.Time{} // not due: the clock stands
		cancel()
		<-ended
		if len(done) > 0 {
			t.Errorf("a round that was not due: %+v", <-done)
		}
	})
}
