package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// Row is a filing with the keys of import rows. In a change, what is absent stays
// as it is.
type Row struct {
	Domains      *[]string `json:"domains,omitempty" doc:"Registrable names; several on old sites only."`
	Number       *string   `json:"number,omitempty" doc:"The number of the site, with its ordinal."`
	EntityNumber *string   `json:"entity_number,omitempty"`
	EntityName   *string   `json:"entity_name,omitempty" doc:"Shown of individuals to who has the scope personal alone."`
	EntityNature *string   `json:"entity_nature,omitempty"`
	SiteName     *string   `json:"site_name,omitempty"`
	Kind         *string   `json:"kind,omitempty" doc:"site, app, mini-program, fast-app or ip."`
	Status       *string   `json:"status,omitempty" doc:"normal, cancelled and others."`
	FiledAt      *string   `json:"filed_at,omitempty" doc:"RFC 3339, or YYYY-MM-DD in China."`
	UpdatedAt    *string   `json:"updated_at,omitempty"`
	Restricted   *bool     `json:"restricted,omitempty" doc:"The authority has restricted access."`
	Covers       *[]string `json:"covers,omitempty" doc:"Hosts below a government name that the filing covers, too."`
	Address      *string   `json:"address,omitempty"`
	Accesses     *[]Access `json:"accesses,omitempty" doc:"All accesses; absent where they are not known."`
}

// Access is the access of a filing with one provider.
type Access struct {
	Provider   string `json:"provider"`
	Status     string `json:"status,omitempty" doc:"active, first-review-passed, submitted or cancelled; default active."`
	AccessedAt string `json:"accessed_at,omitempty" doc:"Of the last change of the status."`
}

// rowOf returns the row of a filing.
func rowOf(f *registry.Filing) (r Row, err error) {
	text, err := lineOf(f)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// lineOf writes a filing as a JSON line.
func lineOf(f *registry.Filing) ([]byte, error) {
	var b bytes.Buffer
	w, err := bulk.NewWriter("jsonl", &b)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.Write(f), w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// over returns the filing that was, with what r says put over it; was is nil where
// there was none. What cannot be is refused as an import would.
func (r *Row) over(ctx context.Context, was *registry.Filing, now time.Time) (f registry.Filing, warnings []string, err error) {
	line := map[string]json.RawMessage{}
	if was != nil {
		text, err := lineOf(was)
		if err != nil {
			return f, nil, err
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return f, nil, err
		}
	}
	said, err := json.Marshal(r)
	if err != nil {
		return f, nil, err
	}
	if err := json.Unmarshal(said, &line); err != nil {
		return f, nil, err
	}
	text, err := json.Marshal(line)
	if err != nil {
		return f, nil, err
	}
	n := 0
	opts := bulk.Options{Format: bulk.FormatJSONL, Strict: true, Now: now, Stdin: bytes.NewReader(text)}
	report, err := bulk.Import(ctx, []string{"-"}, opts, func(x registry.Filing) error { f = x; n++; return nil })
	if bad := (*bulk.RowError)(nil); errors.As(err, &bad) {
		p := bad.Problem
		p.File = ""
		return f, nil, failure{http.StatusUnprocessableEntity, errors.New(p.String())}
	}
	if err != nil {
		return f, nil, err
	}
	if n != 1 {
		return f, nil, failure{http.StatusUnprocessableEntity, errors.New("there is no filing in it")}
	}
	for _, w := range report.WarningList {
		w.File = ""
		warnings = append(warnings, fmt.Sprintf("%s: %s", w.Kind, w.Problem))
	}
	return f, warnings, nil
}
