package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// Explained is an explanation of the verdict that counts, with the verdict at
// each address that was given. It is made for JSON; WriteText prints it.
type Explained struct {
	explain.Explanation
	Addresses []AddressVerdict `json:"addresses,omitempty"`
}

// AddressVerdict is the verdict at one address.
type AddressVerdict struct {
	Addr     string              `json:"addr"`
	Place    registry.Place      `json:"place"`
	Provider registry.ProviderID `json:"address_provider"`
	Product  registry.Product    `json:"product"`
	Verdict  string              `json:"verdict"`
	Reason   registry.Reason     `json:"reason"`
}

// Explain puts what Judge found into words.
func Explain(l explain.Lang, all []Judged) Explained {
	return Explained{explain.Explain(l, Worst(all)), AddressVerdicts(all)}
}

// AddressVerdicts are the verdicts at the addresses that were given.
func AddressVerdicts(all []Judged) (list []AddressVerdict) {
	for _, j := range all {
		if q := j.Facts.Query; j.Addr.IsValid() {
			list = append(list, AddressVerdict{
				j.Addr.String(), q.Place, q.AddressProvider, q.Product, j.Facts.Verdict.String(), j.Facts.Verdict.Reason})
		}
	}
	return list
}

// WriteJSON prints x as indented JSON.
func (x Explained) WriteJSON(w io.Writer) error { return writeJSON(w, x) }

// writeJSON prints for people too: indented, and with the signs of HTML as they
// are.
func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// WriteText prints x for people, in its language.
func (x Explained) WriteText(w io.Writer) error {
	if err := x.Explanation.WriteText(w); err != nil || len(x.Addresses) < 2 {
		return err
	}
	title := "At each address"
	if x.Lang == explain.Chinese {
		title = "各地址"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s\n", title)
	for _, a := range x.Addresses {
		owner := string(a.Provider)
		if owner == "" {
			owner = "-"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", a.Addr, a.Place, owner, a.Product, a.Verdict, a.Reason)
	}
	return t.Flush()
}
