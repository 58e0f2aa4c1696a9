package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// answer is what --json prints: the explanation of the verdict that counts, and
// the verdict at each address that was given.
type answer struct {
	explain.Explanation
	Addresses []addressVerdict `json:"addresses,omitempty"`
}

type addressVerdict struct {
	Address  string              `json:"address"`
	Place    registry.Place      `json:"place"`
	Provider registry.ProviderID `json:"address_provider"`
	Product  registry.Product    `json:"product"`
	Verdict  string              `json:"verdict"`
	Reason   registry.Reason     `json:"reason"`
}

func (x *explaining) print(l explain.Lang, e explain.Explanation, verdicts []judged) error {
	a := answer{Explanation: e}
	for _, j := range verdicts {
		if q := j.facts.Query; j.Addr.IsValid() {
			a.Addresses = append(a.Addresses, addressVerdict{
				j.Addr.String(), q.Place, q.AddressProvider, q.Product, j.facts.Verdict.String(), j.facts.Verdict.Reason})
		}
	}
	if x.json {
		out := json.NewEncoder(x.stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(a)
	}
	if err := e.WriteText(x.stdout); err != nil {
		return err
	}
	return x.printAddresses(l, a.Addresses)
}

// printAddresses lists the verdict at each address where there are several.
func (x *explaining) printAddresses(l explain.Lang, all []addressVerdict) error {
	if len(all) < 2 {
		return nil
	}
	title := "At each address"
	if l == explain.Chinese {
		title = "各地址"
	}
	w := tabwriter.NewWriter(x.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\n", title)
	for _, a := range all {
		owner := string(a.Provider)
		if owner == "" {
			owner = "-"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", a.Address, a.Place, owner, a.Product, a.Verdict, a.Reason)
	}
	return w.Flush()
}
