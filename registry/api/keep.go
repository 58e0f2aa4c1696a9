package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// Where those who keep the service go.
const (
	BackupPath   = "/v1/backup"
	CheckPath    = "/v1/check"
	RegistryPath = "/v1/registry"
)

// Check is what is wrong with the registry of record; nothing if it agrees with
// itself.
type Check struct {
	Revision   string    `json:"revision"`
	Now        time.Time `json:"now" doc:"By the service's clock."`
	Wrong      []string  `json:"wrong"`
	Unfinished string    `json:"unfinished,omitempty" doc:"The import that is only partly published."`
	// Waiting are the imports that nobody has published or given up.
	Waiting []WaitingImport `json:"waiting,omitempty" doc:"Imports that are staged, the oldest first; they are given up when they have waited for too long."`
}

// WaitingImport is an import of which nothing is in force.
type WaitingImport struct {
	ID    string            `json:"id"`
	State store.ImportState `json:"state" doc:"staged, or waiting for a second person"`
	Made  time.Time         `json:"made"`
}

// keepRoutes are for those who keep the service.
func (s *Service) keepRoutes(mux *http.ServeMux) {
	s.route(mux, store.ScopeAdmin, huma.Operation{
		OperationID: "backup", Method: http.MethodGet, Path: BackupPath, Summary: "All that the registry holds, at one revision; personal data stays encrypted",
		Responses: map[string]*huma.Response{"200": {Description: "A backup, to be checked before it is believed.", Content: map[string]*huma.MediaType{"application/octet-stream": {}}}},
	}, s.long(s.backup))
	s.route(mux, store.ScopeFeed, huma.Operation{
		OperationID: "registry", Method: http.MethodGet, Path: RegistryPath, Summary: "A snapshot file of the registry as it is now, for edges that follow no feed",
		Responses: map[string]*huma.Response{"200": {Description: "The file. It holds the key of its fingerprints: keep it secret.", Content: map[string]*huma.MediaType{"application/octet-stream": {}}}},
	}, s.long(s.registry))
	register(s, store.ScopeAdmin, huma.Operation{
		OperationID: "check", Method: http.MethodGet, Path: CheckPath, Summary: "Whether the registry of record agrees with itself; it takes a while",
	}, s.check)
	s.entityRoutes()
}

func (s *Service) check(ctx context.Context, _ *struct{}) (*struct{ Body Check }, error) {
	out := &struct{ Body Check }{Check{Now: s.cfg.Now().UTC(), Wrong: []string{}}}
	rev, err := s.cfg.Store.Revision(ctx)
	if err != nil {
		return nil, err
	}
	out.Body.Revision = rev.String()
	wrong, err := s.cfg.Store.Check(ctx)
	if err != nil {
		return nil, err
	}
	out.Body.Wrong = append(out.Body.Wrong, wrong...)
	half, err := s.cfg.Store.Unfinished(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	out.Body.Unfinished = half.ID
	list, err := s.cfg.Store.Waiting(ctx)
	for _, i := range list {
		out.Body.Waiting = append(out.Body.Waiting, WaitingImport{i.ID, i.State, i.Made})
	}
	return out, err
}

// backup streams a backup. One that cannot be ended is cut off.
func (s *Service) backup(w http.ResponseWriter, r *http.Request) error {
	release, err := s.jobs.take("backup", 1)
	if err != nil {
		return err
	}
	defer release()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &counted{w: w}
	_, err = s.cfg.Store.Backup(r.Context(), out)
	if err != nil && out.n > 0 {
		s.cfg.Failed(err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// counted counts what was written.
type counted struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// registry writes a snapshot file and sends it.
func (s *Service) registry(w http.ResponseWriter, r *http.Request) error {
	dir, err := s.temporary()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "registry.icp")
	rev, err := s.build(r.Context(), path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-ICP-Revision", rev.String())
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// build writes a snapshot file, one at a time: it takes much memory.
func (s *Service) build(ctx context.Context, path string) (rev registry.Revision, err error) {
	release, err := s.jobs.take("snapshot", 1)
	if err != nil {
		return rev, err
	}
	defer release()
	err = s.cfg.Store.View(ctx, func(v *store.View) error {
		rev = v.Revision
		_, err := writeIndex(v, path)
		return err
	})
	return rev, err
}

// temporary makes a directory for files that go with the request.
func (s *Service) temporary() (string, error) {
	if s.cfg.Dir != "" {
		if err := os.MkdirAll(s.cfg.Dir, 0o750); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(s.cfg.Dir, "work-")
}
