package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/store"
)

// Limits of an upload.
const (
	defaultUpload = 4 << 30
	maxFiles      = 100
	// maxUploads is how many may be on their way at once: each fills the disk.
	maxUploads = 4
	// maxTold is how many refused rows, conflicts and warnings a report lists.
	maxTold = 100
)

// StreamType is what to accept for lines of JSON about the progress of an import,
// the last of which has the import or why there is none.
const StreamType = "application/x-ndjson"

// ImportLine is a line of them: one of its fields.
type ImportLine struct {
	Progress *ImportProgress `json:"progress,omitempty"`
	Import   *Import         `json:"import,omitempty"`
	Problem  *Problem        `json:"problem,omitempty"`
}

// ImportProgress is how far an import is.
type ImportProgress struct {
	Step string `json:"step"` // reading, comparing, staging
	Done int    `json:"done"`
	Of   int    `json:"of,omitempty"` // 0: not known
}

// uploading are the words of an upload's query.
var uploading = []struct{ name, what string }{
	{"why", "For the journal."},
	{"source", "Where the rows are from."},
	{"part", "all, filings or accesses: what the rows may change; default all."},
	{"complete", "true: the rows are all there are, and what they do not name is cancelled; default false, an increment."},
	{"provider", "Of a complete list of accesses: whose."},
	{"remove", "true: what a complete list does not name is taken out in place of cancelled."},
	{"allow_shrink", "true: a complete list may name less than half of what is there."},
	{"dry_run", "true: only count."},
	{"format", "auto, csv, jsonl or public-query; default auto."},
	{"encoding", "auto, utf-8, gb18030 or utf-16; default auto."},
	{"strict", "true: the first bad row ends the import."},
}

// uploadRoute stages an import.
func (s *Service) uploadRoute(mux *http.ServeMux) {
	params := []*huma.Param{idParam}
	for _, u := range uploading {
		params = append(params, &huma.Param{Name: u.name, In: "query", Required: u.name == "why", Description: u.what, Schema: &huma.Schema{Type: "string"}})
	}
	s.route(mux, store.ScopeImport, huma.Operation{
		OperationID: "import-stage", Method: http.MethodPut, Path: ImportsPath + "/{id}", Parameters: params,
		Summary: "Read the files of an import, compare them with what is there, and stage what is to be done",
		Description: "Nothing of it is in force before it is published. One that changes too much waits for a second person. " +
			"The same id again returns the import that there is. With \"Accept: " + StreamType + "\" the answer is lines of JSON " +
			"about the progress, the last of which holds the import or the problem.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
			Type: "object", Properties: map[string]*huma.Schema{"file": {Type: "array", Items: &huma.Schema{Type: "string", Format: "binary"}}},
		}}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "The import: staged, or waiting for a second person.", Content: map[string]*huma.MediaType{
				"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Import](), true, "Import")}, StreamType: {},
			}},
			"422": {Description: "It is refused as a whole.", Content: problemContent},
			"429": {Description: "Another one is being read.", Content: problemContent},
		},
	}, s.long(s.upload))
}

// upload is one upload.
type upload struct {
	s      *Service
	w      http.ResponseWriter
	r      *http.Request
	id     string
	opts   store.ImportOptions
	bulk   bulk.Options
	by     store.By
	dir    string
	files  []string          // as they are called
	paths  map[string]string // where they are
	stream *json.Encoder     // nil: the answer is one JSON value

	telling sync.Mutex
	last    string // step that was told of
	told    time.Time
}

func (s *Service) upload(w http.ResponseWriter, r *http.Request) error {
	u := &upload{s: s, w: w, r: r, id: r.PathValue("id"), paths: map[string]string{}}
	if err := u.parse(); err != nil {
		return unprocessable(err)
	}
	if strings.Contains(r.Header.Get("Accept"), StreamType) {
		w.Header().Set("Content-Type", StreamType)
		w.Header().Set("Cache-Control", "no-store")
		u.stream = json.NewEncoder(w)
	}
	if there, err := u.there(); there || err != nil {
		return err
	}
	release, err := s.jobs.take("upload", maxUploads)
	if err != nil {
		return err
	}
	defer release()
	if u.dir, err = s.temporary(); err != nil {
		return err
	}
	defer os.RemoveAll(u.dir)
	if err := u.receive(); err != nil {
		return err
	}
	// Whoever sends slowly keeps nobody else from importing.
	if release, err = s.jobs.take("import", 1); err != nil {
		return err
	}
	defer release()
	u.progress("reading", 0, 0) // from here on the answer has begun, if it is lines
	i, err := u.stage()
	if err == nil {
		return u.answer(i)
	}
	if u.stream != nil {
		p := s.explained(err)
		_ = u.stream.Encode(ImportLine{Problem: &p}) // the client has gone where it fails
		return nil
	}
	return err
}

// parse reads the query.
func (u *upload) parse() error {
	q, err := url.ParseQuery(u.r.URL.RawQuery)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, w := range uploading {
		known[w.name] = true
	}
	for name, values := range q {
		if !known[name] || len(values) > 1 {
			return fmt.Errorf("parameter %q: it is unknown, or stands twice", name)
		}
	}
	is := func(name string) bool {
		if !q.Has(name) {
			return false
		}
		yes, e := strconv.ParseBool(q.Get(name))
		if e != nil {
			err = fmt.Errorf("%s %q; expect true or false", name, q.Get(name))
		}
		return yes
	}
	u.by = by(u.r.Context(), q.Get("why"))
	if strings.TrimSpace(u.by.Why) == "" {
		return errors.New("why: say for the journal what the import is")
	}
	u.opts = store.ImportOptions{
		ID: u.id, Source: q.Get("source"), Provider: registry.ProviderID(q.Get("provider")),
		Complete: is("complete"), Remove: is("remove"), AllowShrink: is("allow_shrink"), DryRun: is("dry_run"),
	}
	u.bulk = bulk.Options{Strict: is("strict"), Now: u.s.cfg.Now(), Open: u.open, Keep: maxTold}
	if err != nil {
		return err
	}
	if u.opts.Part, err = store.ParsePart(cmp.Or(q.Get("part"), "all")); err != nil {
		return err
	}
	if u.opts.Provider != "" {
		if u.opts.Provider, err = registry.ParseProviderID(string(u.opts.Provider)); err != nil {
			return err
		}
	}
	if u.bulk.Format, err = bulk.ParseFormat(cmp.Or(q.Get("format"), "auto")); err != nil {
		return err
	}
	u.bulk.Encoding, err = bulk.ParseEncoding(cmp.Or(q.Get("encoding"), "auto"))
	return err
}

// there answers with the import of the id if there is one: who asks has lost the
// answer.
func (u *upload) there() (bool, error) {
	i, err := u.s.cfg.Store.Import(u.r.Context(), u.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case i.By.Owner != u.by.Owner || u.opts.DryRun || i.State == store.ImportStaging || i.State == store.ImportDropped:
		return false, failure{http.StatusConflict, fmt.Errorf("there is an import %q, and it is %s; choose another id", u.id, i.State)}
	}
	out, err := u.s.whole(u.r.Context(), i)
	if err != nil {
		return false, err
	}
	return true, u.answer(out.Body)
}

// receive puts the files that are sent into the directory.
func (u *upload) receive() error {
	parts, err := u.r.MultipartReader()
	if err != nil {
		return failure{http.StatusUnsupportedMediaType, errors.New("expect the files as multipart/form-data, each a part called file")}
	}
	left := u.s.cfg.MaxUpload
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return failure{http.StatusBadRequest, fmt.Errorf("the upload broke off: %w", err)}
		}
		if part.FormName() != "file" || len(u.files) == maxFiles {
			return unprocessable(fmt.Errorf("part %q; expect up to %d parts called file", part.FormName(), maxFiles))
		}
		n, err := u.keep(part)
		if left -= n; left < 0 {
			return failure{http.StatusRequestEntityTooLarge, fmt.Errorf("the files have more than %d bytes; import them one by one", u.s.cfg.MaxUpload)}
		}
		if err != nil {
			return err
		}
	}
	if len(u.files) == 0 {
		return unprocessable(errors.New("there is no file"))
	}
	return nil
}

// keep puts one file into the directory.
func (u *upload) keep(part *multipart.Part) (int64, error) {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, path.Base(strings.ReplaceAll(part.FileName(), `\`, "/")))
	if name == "." || name == "/" || name == "-" || len(name) > 255 {
		name = fmt.Sprintf("file %d", len(u.files)+1)
	}
	for u.paths[name] != "" {
		name += "'"
	}
	u.files = append(u.files, name)
	u.paths[name] = filepath.Join(u.dir, strconv.Itoa(len(u.files)))
	f, err := os.OpenFile(u.paths[name], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sent := &sentErr{r: part}
	n, err := io.Copy(f, io.LimitReader(sent, u.s.cfg.MaxUpload+1))
	if sent.err != nil {
		err = failure{http.StatusBadRequest, fmt.Errorf("the upload of %q broke off: %w", name, sent.err)}
	}
	return n, err
}

// sentErr tells an error of who sends from one of who keeps.
type sentErr struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *sentErr) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

func (u *upload) open(name string) (*os.File, error) { return os.Open(u.paths[name]) }

// stage reads the files and stages the import.
func (u *upload) stage() (Import, error) {
	refused, err := os.OpenFile(filepath.Join(u.dir, "refused.csv"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Import{}, err
	}
	defer refused.Close()
	var report bulk.Report
	var more refusals
	more.to = refused
	u.bulk.Refused = refused
	u.bulk.Progress = func(p bulk.Progress) {
		if p.Of == 0 {
			u.progress("reading", int(p.Bytes), int(p.Total))
		}
	}
	u.opts.Refused = more.add
	u.opts.Progress = func(p store.ImportProgress) { u.progress(p.Step, p.Done, p.Of) }
	ctx := u.r.Context()
	defer thrifty()()
	i, err := u.s.cfg.Store.Stage(ctx, u.by, u.opts, func(adder func() func(registry.Filing) error) (err error) {
		var taken atomic.Bool // an error is the store's once filings are handed on
		report, err = bulk.ImportShared(ctx, u.files, u.bulk, func() func(registry.Filing) error {
			taken.Store(true)
			return adder()
		})
		if err != nil && !taken.Load() && ctx.Err() == nil {
			err = unprocessable(err)
		}
		return err
	})
	if err = errors.Join(err, more.flush()); err != nil {
		return Import{}, err
	}
	v := Import{Import: i, DryRun: u.opts.DryRun}
	v.Report = reportOf(&report, &more)
	return v, u.s.keepReport(&v, refused.Name())
}

// tellEvery is how often progress is told of at most.
const tellEvery = 200 * time.Millisecond

// progress tells how far the import is.
func (u *upload) progress(step string, done, of int) {
	if u.stream == nil {
		return
	}
	u.telling.Lock()
	defer u.telling.Unlock()
	now := time.Now()
	if step == u.last && now.Sub(u.told) < tellEvery {
		return
	}
	u.last, u.told = step, now
	_ = u.stream.Encode(ImportLine{Progress: &ImportProgress{step, done, of}}) // the client has gone where it fails
	u.w.(http.Flusher).Flush()
}

// answer ends the request with an import.
func (u *upload) answer(v Import) error {
	if u.stream != nil {
		_ = u.stream.Encode(ImportLine{Import: &v})
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	u.w.Header().Set("Content-Type", "application/json")
	u.w.Header().Set("Cache-Control", "no-store")
	_, _ = u.w.Write(append(text, '\n'))
	return nil
}
