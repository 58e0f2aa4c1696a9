package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/store"
)

// ExportPath is where all filings are fetched in a form that import reads.
const ExportPath = "/v1/export"

// exportTypes are the forms of an export with their media types.
var exportTypes = map[string]string{
	"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// exportRoute is how all filings are fetched.
func (s *Service) exportRoute(mux *http.ServeMux) {
	ok := &huma.Response{Description: "The filings, in the order in which they were made.", Content: map[string]*huma.MediaType{}, Headers: map[string]*huma.Param{
		"X-ICP-Revision": {Description: "The revision that it shows.", Schema: &huma.Schema{Type: "string"}},
		"X-ICP-Filings":  {Description: "How many filings there are.", Schema: &huma.Schema{Type: "integer"}},
	}}
	for _, kind := range exportTypes {
		ok.Content[kind] = &huma.MediaType{}
	}
	s.route(mux, store.ScopeRead, huma.Operation{
		OperationID: "export", Method: http.MethodGet, Path: ExportPath, Summary: "All filings with their accesses, at one revision, in a form that import reads",
		Description: "An answer that ends early is not whole. Names of individuals are left out, unless personal is asked for, which takes that scope.",
		Parameters: []*huma.Param{
			{Name: "format", In: "query", Description: "csv (default), jsonl or xlsx. What a spreadsheet would take for a formula has an apostrophe before it in csv and xlsx.", Schema: &huma.Schema{Type: "string", Enum: []any{"csv", "jsonl", "xlsx"}}},
			{Name: "personal", In: "query", Description: "With names of individuals.", Schema: &huma.Schema{Type: "boolean"}},
		},
		Responses: map[string]*huma.Response{"200": ok},
	}, s.long(s.export))
}

// exportQuery is what is asked of an export.
func exportQuery(q url.Values) (format string, personal bool, err error) {
	format = "csv"
	for key, values := range q {
		switch {
		case len(values) != 1:
			err = fmt.Errorf("%d values of %s; give one", len(values), key)
		case key == "format":
			if format = values[0]; exportTypes[format] == "" {
				err = fmt.Errorf("format %q; expect csv, jsonl or xlsx", format)
			}
		case key == "personal":
			if personal, err = strconv.ParseBool(values[0]); err != nil {
				err = fmt.Errorf("personal %q; expect true or false", values[0])
			}
		default:
			err = fmt.Errorf("unknown parameter %q", key)
		}
		if err != nil {
			return "", false, unprocessable(err)
		}
	}
	return format, personal, nil
}

// export streams all filings. One that cannot be ended is cut off. One is under way
// at a time: each holds one of the database's readers for as long as it takes.
func (s *Service) export(w http.ResponseWriter, r *http.Request) error {
	format, personal, err := exportQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if personal && !IdentityOf(r.Context()).Has(store.ScopePersonal) {
		s.guard.denied("scope")
		return failure{http.StatusForbidden, fmt.Errorf("the token does not have the scope %q", store.ScopePersonal)}
	}
	release, err := s.jobs.take("export", 1)
	if err != nil {
		return err
	}
	defer release()
	out := &counted{w: w}
	err = s.cfg.Store.View(r.Context(), func(v *store.View) error {
		h := w.Header()
		h.Set("Content-Type", exportTypes[format])
		h.Set("Content-Disposition", `attachment; filename="filings.`+format+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-ICP-Revision", v.Revision.String())
		h.Set("X-ICP-Filings", strconv.Itoa(v.Count))
		return writeFilings(r.Context(), v, format, personal, out)
	})
	if err == nil {
		return nil
	}
	if out.n > 0 {
		if r.Context().Err() == nil {
			s.cfg.Failed(err)
		}
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Disposition", "X-ICP-Revision", "X-ICP-Filings"} {
		w.Header().Del(name)
	}
	return err
}

// exportBuffer is how much is written at once.
const exportBuffer = 64 << 10

// writeFilings writes all filings of a view.
func writeFilings(ctx context.Context, v *store.View, format string, personal bool, to *counted) error {
	b := bufio.NewWriterSize(to, exportBuffer)
	out, err := bulk.NewWriter(format, b)
	if err != nil {
		return err
	}
	one := func(f registry.Filing) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return out.Write(&f)
	}
	if personal {
		err = v.Records(func(r store.Record) error { return one(r.Filing) })
	} else {
		err = v.Filings(one)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return b.Flush()
}
