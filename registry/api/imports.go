package api

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry/store"
)

// ImportsPath is where imports are staged, confirmed, published and undone.
const ImportsPath = "/v1/imports"

// Import is an import as the service shows it.
type Import struct {
	store.Import
	DryRun  bool          `json:"dry_run,omitempty" doc:"Only counted: nothing is staged."`
	Running bool          `json:"running,omitempty" doc:"It is being published, by this node of the service or another one."`
	Error   string        `json:"error,omitempty" doc:"Why publishing ended; publish it again and it goes on."`
	Report  *ImportReport `json:"report,omitempty" doc:"What was found in its files; kept for some days by the node that read them."`
}

// Imports are the newest imports.
type Imports struct {
	Imports []Import `json:"imports"`
}

// ImportReport is what was found in the files of an import.
type ImportReport struct {
	Files        []ImportFile   `json:"files"`
	Rows         int            `json:"rows"`
	Merged       int            `json:"merged" doc:"Rows that joined another one of the same filing."`
	Duplicates   int            `json:"duplicates"`
	Refused      int            `json:"refused" doc:"Rows and filings that were not taken: all of them stand in the file of the refused rows."`
	Conflicts    int            `json:"conflicts"`
	Warnings     map[string]int `json:"warnings"`
	RefusedList  []string       `json:"refused_list,omitempty" doc:"The first of them."`
	ConflictList []string       `json:"conflict_list,omitempty"`
	WarningList  []string       `json:"warning_list,omitempty"`
}

// ImportFile is what a file turned out to be.
type ImportFile struct {
	Name     string `json:"name"`
	Format   string `json:"format"`
	Encoding string `json:"encoding"`
	Rows     int    `json:"rows"`
}

// jobs are what goes on beside requests.
type jobs struct {
	ctx    context.Context
	end    context.CancelFunc
	group  sync.WaitGroup
	mu     sync.Mutex
	taken  map[string]int    // by what is under way; guarded by mu
	id     string            // being published; "" is none; guarded by mu
	over   chan struct{}     // closed when that has ended; guarded by mu
	failed map[string]string // why publishing ended, by import; guarded by mu
}

func (j *jobs) init() {
	j.ctx, j.end = context.WithCancel(context.Background())
	j.failed, j.taken = map[string]string{}, map[string]int{}
}

// take begins something of which only so many may be under way; release ends it.
func (j *jobs) take(what string, most int) (release func(), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.taken[what] >= most {
		return nil, failure{http.StatusTooManyRequests, fmt.Errorf("another %s is under way; come again when it is done", what)}
	}
	j.taken[what]++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.taken[what]--
	}, nil
}

// Close ends what goes on beside requests and waits for it. An import that is being
// published stays as it is and can be resumed.
func (s *Service) Close() {
	s.jobs.end()
	s.jobs.group.Wait()
}

type importInput struct {
	ID string `path:"id" doc:"16 hexadecimal digits, which who makes the import chooses."`
}

type whyInput struct {
	ID   string `path:"id"`
	Body struct {
		Why string `json:"why" minLength:"1" doc:"For the journal."`
	}
}

type importOutput struct{ Body Import }

// importRoutes are the life of an import.
func (s *Service) importRoutes(mux *http.ServeMux) {
	s.uploadRoute(mux)
	const one = ImportsPath + "/{id}"
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "imports", Method: http.MethodGet, Path: ImportsPath, Summary: "The newest imports first",
	}, func(ctx context.Context, in *struct {
		Limit int `query:"limit" default:"20" minimum:"1" maximum:"1000"`
	}) (*struct{ Body Imports }, error) {
		list, err := s.cfg.Store.Imports(ctx, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &struct{ Body Imports }{}
		out.Body.Imports, err = s.views(ctx, list...)
		return out, err
	})
	register(s, store.ScopeRead, huma.Operation{
		OperationID: "import", Method: http.MethodGet, Path: one, Summary: "An import, and how far it is",
	}, s.importNow)
	s.route(mux, store.ScopeRead, huma.Operation{
		OperationID: "import-refused", Method: http.MethodGet, Path: one + "/refused", Summary: "The rows that an import refused, as CSV",
		Parameters: []*huma.Param{idParam}, Responses: map[string]*huma.Response{
			"200": {Description: "The columns are file, line, column, value, reason and hint.", Content: map[string]*huma.MediaType{"text/csv": {}}},
			"404": {Description: "None was refused, or they are not kept any more, or by another node.", Content: problemContent},
		},
	}, deadlines(http.HandlerFunc(s.refusedRows), fileTime))
	register(s, store.ScopeApprove, huma.Operation{
		OperationID: "import-approve", Method: http.MethodPost, Path: one + "/approve", Summary: "A second person's word for an import that waits for it",
	}, func(ctx context.Context, in *whyInput) (*importOutput, error) {
		// Who has approved it already has lost the answer.
		if i, err := s.cfg.Store.Import(ctx, in.ID); err == nil && i.State != store.ImportWaiting && i.ConfirmedBy.Who == IdentityOf(ctx).ID {
			return s.whole(ctx, i)
		}
		if err := s.cfg.Store.Confirm(ctx, by(ctx, in.Body.Why), in.ID); err != nil {
			return nil, err
		}
		return s.importNow(ctx, &importInput{in.ID})
	})
	register(s, store.ScopeImport, huma.Operation{
		OperationID: "import-publish", Method: http.MethodPost, Path: one + "/publish", DefaultStatus: http.StatusAccepted,
		Summary:     "Bring a staged import into force, or go on where that was interrupted",
		Description: "It goes on when the request has ended; ask for the import to see how far it is.",
	}, s.publish)
	register(s, store.ScopeImport, huma.Operation{
		OperationID: "import-undo", Method: http.MethodPost, Path: one + "/undo", Summary: "Stage the reverse of an import; publish that to bring it into force",
		Description: "The same again returns the reverse that there is.",
	}, s.undo)
	register(s, store.ScopeImport, huma.Operation{
		OperationID: "import-drop", Method: http.MethodPost, Path: one + "/drop", Summary: "Give an import up of which nothing is in force",
	}, func(ctx context.Context, in *whyInput) (*importOutput, error) {
		if i, err := s.cfg.Store.Import(ctx, in.ID); err == nil && i.State == store.ImportDropped {
			return s.whole(ctx, i)
		}
		if err := s.cfg.Store.Drop(ctx, by(ctx, in.Body.Why), in.ID); err != nil {
			return nil, err
		}
		return s.importNow(ctx, &importInput{in.ID})
	})
}

var (
	idParam = &huma.Param{Name: "id", In: "path", Required: true, Description: "The id of the import.",
		Schema: &huma.Schema{Type: "string", Pattern: "^[0-9a-f]{16}$"}}
	problemContent = map[string]*huma.MediaType{"application/problem+json": {}}
)

// views adds what the service knows of imports.
func (s *Service) views(ctx context.Context, list ...store.Import) ([]Import, error) {
	elsewhere, err := s.cfg.Store.PublishedElsewhere(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]Import, len(list))
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	for n, i := range list {
		views[n] = Import{Import: i, Running: s.jobs.id == i.ID || elsewhere[i.ID], Error: s.jobs.failed[i.ID]}
	}
	return views, nil
}

// whole is an import with what was found in its files.
func (s *Service) whole(ctx context.Context, i store.Import) (*importOutput, error) {
	views, err := s.views(ctx, i)
	if err != nil {
		return nil, err
	}
	views[0].Report = s.report(i.ID)
	return &importOutput{views[0]}, nil
}

func (s *Service) importNow(ctx context.Context, in *importInput) (*importOutput, error) {
	i, err := s.cfg.Store.Import(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.whole(ctx, i)
}

// publish begins to publish an import, unless that goes on already, here or elsewhere.
func (s *Service) publish(ctx context.Context, in *importInput) (*importOutput, error) {
	i, err := s.cfg.Store.Due(ctx, in.ID)
	switch {
	case err != nil:
		return nil, err
	case i.State == store.ImportWaiting:
		return nil, fmt.Errorf("import %q changes %s: %w", i.ID, i.Counts.Flipped(), store.ErrWaiting)
	case i.State == store.ImportDropped || i.State == store.ImportStaging:
		return nil, failure{http.StatusConflict, fmt.Errorf("import %q is %s", i.ID, i.State)}
	}
	elsewhere, err := s.cfg.Store.PublishedElsewhere(ctx)
	if err != nil {
		return nil, err
	}
	if i.State != store.ImportDone && !elsewhere[i.ID] {
		if err := s.ending(ctx, i.ID); err != nil {
			return nil, err
		}
		if err := s.jobs.begin(i.ID, func(ctx context.Context) error {
			_, err := s.cfg.Store.Publish(ctx, i.ID, nil)
			return err
		}, s.explained); err != nil {
			return nil, err
		}
	}
	return s.whole(ctx, i)
}

// ending waits for the end of what publishes another import than id, if that is done: a
// job ends a moment after its import is.
func (s *Service) ending(ctx context.Context, id string) error {
	s.jobs.mu.Lock()
	other, over := s.jobs.id, s.jobs.over
	s.jobs.mu.Unlock()
	if other == "" || other == id {
		return nil
	}
	if i, err := s.cfg.Store.Import(ctx, other); err != nil || i.State != store.ImportDone {
		return err
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin publishes beside requests. One import is published at a time.
func (j *jobs) begin(id string, do func(context.Context) error, explained func(error) Problem) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.id == id:
		return nil
	case j.id != "":
		return failure{http.StatusConflict, fmt.Errorf("import %q is being published; come again when it is done", j.id)}
	case j.ctx.Err() != nil:
		return store.ErrClosed
	}
	over := make(chan struct{})
	j.id, j.over = id, over
	delete(j.failed, id)
	j.group.Go(func() {
		defer close(over)
		err := sound("publishing an import", func() error { return do(j.ctx) })
		j.mu.Lock()
		defer j.mu.Unlock()
		j.id = ""
		if err != nil {
			j.failed[id] = explained(err).Detail
		}
	})
	return nil
}

// undo stages the reverse of an import, or returns the one that is staged.
func (s *Service) undo(ctx context.Context, in *whyInput) (*importOutput, error) {
	release, err := s.jobs.take("import", 1)
	if err != nil {
		return nil, err
	}
	defer release()
	all, err := s.cfg.Store.Imports(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Undoes == in.ID && i.State != store.ImportDropped && i.State != store.ImportStaging {
			return s.whole(ctx, i)
		}
	}
	i, err := s.cfg.Store.Undo(ctx, by(ctx, in.Body.Why), in.ID)
	if err != nil {
		return nil, err
	}
	return s.whole(ctx, i)
}

// kept is the path of something that is kept of an import for a while; "" for what
// is no id.
func (s *Service) kept(id, what string) string {
	if s.cfg.Dir == "" || len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return filepath.Join(s.cfg.Dir, id+"."+what)
}

// refusedRows serves the file of the refused rows.
func (s *Service) refusedRows(w http.ResponseWriter, r *http.Request) {
	path := s.kept(r.PathValue("id"), "refused.csv")
	f, err := os.Open(path)
	if path == "" || err != nil {
		writeProblem(w, http.StatusNotFound, "no rows were refused, or they are not kept any more, or by another node")
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, "the refused rows cannot be read")
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="refused.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", info.ModTime(), f)
}
