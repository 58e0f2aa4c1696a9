package corpus

import (
	"fmt"
	"io"
)

// WriteFilings writes the first n filings as an import file: one CSV row for each
// access of each filing.
func WriteFilings(w io.Writer, n int) {
	fmt.Fprintln(w, "domain,number,entity_number,entity_name,entity_nature,site_name,status,filed_at,updated_at,provider,access_status")
	for i := range n {
		f := Filing(i)
		row := fmt.Sprintf("%s,%s,%s,%s,%s,%s,%s,%s,%s", f.Site.Domains[0], f.Site.Number, f.Entity.Number, f.Entity.Name,
			f.Entity.Nature, f.Site.Name, f.Status, f.Site.FiledAt.Format("2006-01-02"), f.UpdatedAt.Format("2006-01-02"))
		switch {
		case !f.AccessesKnown:
			fmt.Fprintf(w, "%s,,\n", row)
		case len(f.Accesses) == 0:
			fmt.Fprintf(w, "%s,none,\n", row)
		}
		for _, a := range f.Accesses {
			fmt.Fprintf(w, "%s,%s,%s\n", row, a.Provider, a.Status)
		}
	}
}
