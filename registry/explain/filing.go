package explain

import (
	"time"

	"github.com/icpgate/icpgate/registry"
)

// FilingFacts is one filing that reaches the host, as JSON tells it.
type FilingFacts struct {
	Filed        string          `json:"filed"` // name or address
	Decides      bool            `json:"decides"`
	Inherited    bool            `json:"inherited,omitempty"` // above the name, but another government unit's
	Kind         registry.Kind   `json:"kind"`
	Status       registry.Status `json:"status"`
	Restricted   bool            `json:"restricted,omitempty"`
	Number       string          `json:"number,omitempty"`
	EntityNumber string          `json:"entity_number,omitempty"`
	Entity       string          `json:"entity,omitempty"`
	SiteName     string          `json:"site_name,omitempty"`
	FiledAt      string          `json:"filed_at,omitempty"`
	UpdatedAt    string          `json:"updated_at,omitempty"`
	// Accesses is null where they are unknown, empty where there are none.
	Accesses []AccessFacts `json:"accesses"`
}

// AccessFacts is one access of a filing.
type AccessFacts struct {
	Provider registry.ProviderID   `json:"provider"`
	Status   registry.AccessStatus `json:"status"`
	At       string                `json:"accessed_at,omitempty"`
}

// filings tells of every filing that reaches the host, the deciding one marked.
func filings(f Facts) []FilingFacts {
	all := make([]FilingFacts, 0, len(f.Coverage.Filings))
	for i, c := range f.Coverage.Filings {
		x := FilingFacts{
			Filed: filedName(f.Query.Host, c), Decides: decides(f, c), Inherited: c.Inherited,
			Kind: c.Kind, Status: c.Status, Restricted: c.Restricted, Accesses: accesses(c),
		}
		if len(f.Filings) == len(f.Coverage.Filings) {
			x.tell(f.Filings[i])
		}
		all = append(all, x)
	}
	return all
}

// tell adds what a coverage does not carry.
func (x *FilingFacts) tell(f Filing) {
	x.Number, x.EntityNumber = f.Number.String(), f.EntityNumber.String()
	x.Entity, x.SiteName = f.EntityName, f.SiteName
	x.FiledAt, x.UpdatedAt = day(f.FiledAt), day(f.UpdatedAt)
}

func filedName(h registry.Host, c registry.Covering) string {
	if c.Filed == 0 {
		return h.Addr.String()
	}
	return h.Name.Last(int(c.Filed)).String()
}

// decides reports whether the verdict rests on c: it is filed where the verdict
// says, and alone it leads to the same verdict.
func decides(f Facts, c registry.Covering) bool {
	if c.Filed != f.Verdict.Filed || c.Kind.App() {
		return false
	}
	alone := f.Coverage
	alone.Filings = []registry.Covering{c}
	v := registry.Decide(f.Query, alone)
	return v.Reason == f.Verdict.Reason && v.Filed == f.Verdict.Filed && restsOnFiling(v)
}

// restsOnFiling reports whether a filing was looked at for v.
func restsOnFiling(v registry.Verdict) bool {
	switch v.Reason {
	case registry.Accessed, registry.AccessPending, registry.Filed, registry.Cancelled, registry.NotAccessed,
		registry.AccessCancelledHere, registry.Shell, registry.Restricted:
		return true
	case registry.Unfiled:
		return v.Advisories.Has(registry.PendingReview)
	}
	return false
}

func accesses(c registry.Covering) []AccessFacts {
	if !c.AccessesKnown {
		return nil
	}
	all := make([]AccessFacts, 0, len(c.Accesses))
	for _, a := range c.Accesses {
		x := AccessFacts{Provider: a.Provider, Status: a.Status}
		if a.At != 0 {
			x.At = day(time.Unix(a.At, 0))
		}
		all = append(all, x)
	}
	return all
}

// day writes a date as the regime counts it, in China's time.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(chinaTime).Format(time.DateOnly)
}

var chinaTime = time.FixedZone("CST", 8*3600)
