package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// The words of the form that the registry's own types do not read.
type (
	channel       registry.Channel
	acceleration  registry.Acceleration
	origin        registry.Origin
	role          bool // true: origin-pull
	registryState bool // true: unavailable
	verdictWord   string
)

// destination is a place, or that of each answer.
type destination struct {
	place registry.Place
	mixed bool
}

// product is a product, or the one that the CNAME chain leads to.
type product struct {
	product registry.Product
	auto    bool
}

func (c *channel) UnmarshalText(b []byte) error {
	x, err := registry.ParseChannel(string(b))
	*c = channel(x)
	return err
}

func (a *acceleration) UnmarshalText(b []byte) error {
	x, err := registry.ParseAcceleration(string(b))
	*a = acceleration(x)
	return err
}

func (o *origin) UnmarshalText(b []byte) error {
	x, err := registry.ParseOrigin(string(b))
	*o = origin(x)
	return err
}

func (r *role) UnmarshalText(b []byte) error {
	*r = string(b) == "origin-pull"
	if !*r {
		return fmt.Errorf("unknown role %q; expect origin-pull, or leave it out", b)
	}
	return nil
}

func (s *registryState) UnmarshalText(b []byte) error {
	*s = string(b) == "unavailable"
	if !*s {
		return fmt.Errorf("unknown state of the registry %q; expect unavailable, or leave it out", b)
	}
	return nil
}

func (v *verdictWord) UnmarshalText(b []byte) error {
	*v = verdictWord(b)
	if *v != "pass" && *v != "block" {
		return fmt.Errorf("unknown verdict %q; expect pass or block", b)
	}
	return nil
}

func (d *destination) UnmarshalText(b []byte) (err error) {
	if d.mixed = string(b) == "mixed"; d.mixed {
		return nil
	}
	d.place, err = registry.ParsePlace(string(b))
	return err
}

func (p *product) UnmarshalText(b []byte) (err error) {
	if p.auto = string(b) == "auto"; p.auto {
		return nil
	}
	p.product, err = registry.ParseProduct(string(b))
	return err
}

// exempt is an exempt name, or all names below it.
type exempt struct {
	name  registry.Domain
	below bool
}

func (x *exempt) UnmarshalText(b []byte) (err error) {
	name, below := strings.CutPrefix(string(b), "*.")
	x.below = below
	x.name, err = registry.ParseDomain(name)
	return err
}

// Policy holds the knobs that a case sets; the others stand as the runner has them.
type Policy map[string]string

// UnmarshalJSON checks every knob and its value.
func (p *Policy) UnmarshalJSON(b []byte) error {
	var knobs map[string]string
	if err := json.Unmarshal(b, &knobs); err != nil {
		return err
	}
	*p = knobs
	_, err := p.over(registry.Policy{})
	return err
}

// over lays the knobs over a base.
func (p Policy) over(base registry.Policy) (registry.Policy, error) {
	for knob, word := range p {
		if err := base.Set(strings.ReplaceAll(knob, "_", "-"), word); err != nil {
			return base, err
		}
	}
	return base, nil
}

// Profiles are product profiles that a case brings; the zero value is none.
type Profiles struct{ set *registry.Profiles }

// UnmarshalJSON reads lines of a profiles file.
func (p *Profiles) UnmarshalJSON(b []byte) (err error) {
	var lines []string
	if err := json.Unmarshal(b, &lines); err != nil {
		return err
	}
	p.set, err = registry.ParseProfiles("profiles", strings.NewReader(strings.Join(lines, "\n")))
	return err
}

// Blacklist is what of a case is on the authority's blacklist: the host, or
// domains. The zero value is nothing.
type Blacklist struct {
	Host    bool
	Domains []registry.Domain
}

// UnmarshalJSON reads true, false or a list of domains.
func (l *Blacklist) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &l.Host) == nil {
		return nil
	}
	if err := json.Unmarshal(b, &l.Domains); err != nil {
		return fmt.Errorf("blacklisted %s: expect true, false or a list of domains", b)
	}
	return nil
}

// filingForm are the keys of a filing, to find those that are misspelt; words
// are checked where a misspelt one would make the import refuse the row, and
// thus the filing absent.
type filingForm struct {
	Domain              string          `json:"domain"`
	Domains             []string        `json:"domains"`
	Number              string          `json:"number"`
	EntityNumber        string          `json:"entity_number"`
	Entity              string          `json:"entity"`
	EntityName          string          `json:"entity_name"`
	Nature              registry.Nature `json:"nature"`
	EntityNature        registry.Nature `json:"entity_nature"`
	SiteName            string          `json:"site_name"`
	Kind                registry.Kind   `json:"kind"`
	Status              registry.Status `json:"status"`
	Province            string          `json:"province"`
	FiledAt             string          `json:"filed_at"`
	UpdatedAt           string          `json:"updated_at"`
	Accesses            []accessForm    `json:"accesses"`
	Restricted          bool            `json:"restricted"`
	Covers              []string        `json:"covers"`
	Address             string          `json:"address"`
	FiledIP             netip.Addr      `json:"filed_ip"`
	CancelledWithEntity bool            `json:"cancelled_with_entity"`
}

type accessForm struct {
	Provider   registry.ProviderID   `json:"provider"`
	Status     registry.AccessStatus `json:"status"`
	AccessedAt string                `json:"accessed_at"`
}

// UnmarshalJSON checks the keys and words of a filing and keeps it as it is.
func (f *Filing) UnmarshalJSON(b []byte) error {
	var form filingForm
	if err := strict(b, &form); err != nil {
		return fmt.Errorf("filing: %w", err)
	}
	f.raw = slices.Clone(b)
	return nil
}

// strict decodes one JSON value without unknown fields and with nothing behind it.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the object; expect one object a line")
	}
	return nil
}
