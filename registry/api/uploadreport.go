package api

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/store"
)

// refusals are the filings that the store refused, behind the rows in the file.
type refusals struct {
	to   *os.File
	w    *csv.Writer
	n    int
	list []string
}

func (r *refusals) add(f *registry.Filing, err error) {
	if r.w == nil {
		r.w = csv.NewWriter(r.to)
		if info, err := r.to.Stat(); err == nil && info.Size() == 0 {
			_ = r.w.Write([]string{"file", "line", "column", "value", "reason", "hint"}) // flush tells of errors
		}
	}
	r.n++
	key := store.KeyOf(f)
	_ = r.w.Write([]string{"", "", "", strconv.Quote(key), err.Error(), ""})
	if len(r.list) < maxTold {
		r.list = append(r.list, fmt.Sprintf("%q: %s", key, err))
	}
}

func (r *refusals) flush() error {
	if r.w == nil {
		return nil
	}
	r.w.Flush()
	return r.w.Error()
}

func reportOf(r *bulk.Report, more *refusals) *ImportReport {
	out := &ImportReport{
		Files: []ImportFile{}, Rows: r.Rows, Merged: r.Merged, Duplicates: r.Duplicates, Refused: r.Refused + more.n, Conflicts: r.Conflicts, Warnings: map[string]int{},
	}
	for _, f := range r.Files {
		encoding := f.Encoding.String()
		if f.Encoding == bulk.EncodingAuto {
			encoding = "ascii"
		}
		out.Files = append(out.Files, ImportFile{f.Name, f.Format.String(), encoding, f.Rows})
	}
	for kind, n := range r.Warnings {
		out.Warnings[kind.String()] = n
	}
	for _, p := range r.RefusedRows {
		out.RefusedList = append(out.RefusedList, p.String())
	}
	out.RefusedList = append(out.RefusedList, more.list[:min(len(more.list), maxTold-min(maxTold, len(out.RefusedList)))]...)
	for _, c := range r.ConflictList {
		out.ConflictList = append(out.ConflictList, c.String())
	}
	for _, w := range r.WarningList {
		out.WarningList = append(out.WarningList, fmt.Sprintf("%s: %s", w.Kind, w.Problem))
	}
	return out
}

// keepReport keeps what was found in the files, and the refused rows, for who asks
// for the import later.
func (s *Service) keepReport(v *Import, refused string) error {
	path := s.kept(v.ID, "report.json")
	if path == "" {
		return nil
	}
	text, err := json.Marshal(v.Report)
	if err != nil {
		return err
	}
	if v.Report.Refused > 0 {
		if err := os.Rename(refused, s.kept(v.ID, "refused.csv")); err != nil {
			return err
		}
	}
	return os.WriteFile(path, text, 0o600)
}

// report is what was found in the files of an import; nil if it is not kept.
func (s *Service) report(id string) *ImportReport {
	path := s.kept(id, "report.json")
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	r := &ImportReport{}
	if json.Unmarshal(text, r) != nil {
		return nil
	}
	return r
}
