package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// CoveragePath is where a registry service answers for coverages.
const CoveragePath = "/v1/coverage"

// Limits of a request and its answer.
const (
	// MaxNames is how many names one request may hold.
	MaxNames = 1000
	// manyFilings: of a name that has more, filings that are alike are told once.
	manyFilings = 64
	// fairShare is how many bytes every answer of a request may have; what is longer
	// takes what the others leave of maxAnswer.
	fairShare = maxAnswer / 2 / MaxNames
	// maxAccesses is how many accesses a filing may have; bulk takes 200.
	maxAccesses = 200
)

// coverageRequest is the body of a request.
type coverageRequest struct {
	Names []string `json:"names"`
}

// coverageAnswer is the body of an answer: one entry a name, in their order.
type coverageAnswer struct {
	Revision registry.Revision `json:"revision"`
	Answers  []coverage        `json:"answers"`
}

// encodedAnswer is a coverageAnswer whose entries are JSON already.
type encodedAnswer struct {
	Revision registry.Revision `json:"revision"`
	Answers  []json.RawMessage `json:"answers"`
}

type coverage struct {
	// Untold: there is more under the name than an answer holds, so nothing is told.
	Untold      bool       `json:"untold,omitempty"`
	Cut         uint8      `json:"cut,omitempty"`
	Filings     []covering `json:"filings,omitempty"`
	Blacklisted bool       `json:"blacklisted,omitempty"`
	GovFiled    bool       `json:"gov_filed,omitempty"`
}

type covering struct {
	Filed         uint8           `json:"filed"` // labels of the filed name
	Kind          registry.Kind   `json:"kind"`
	Status        registry.Status `json:"status"`
	Restricted    bool            `json:"restricted,omitempty"`
	Inherited     bool            `json:"inherited,omitempty"`
	AccessesKnown bool            `json:"accesses_known,omitempty"`
	Accesses      []access        `json:"accesses,omitempty"`
}

type access struct {
	Provider string                `json:"provider"`
	Status   registry.AccessStatus `json:"status"`
	At       int64                 `json:"at,omitempty"` // Unix seconds
}

// appendRequest appends the body of a request for the coverages of names.
func appendRequest(b []byte, names []registry.Domain) ([]byte, error) {
	r := coverageRequest{Names: make([]string, len(names))}
	for i, d := range names {
		r.Names[i] = d.String()
	}
	text, err := json.Marshal(r)
	return append(b, text...), err
}

// parseRequest reads what appendRequest wrote. Names must be canonical.
func parseRequest(b []byte) ([]registry.Domain, error) {
	var r coverageRequest
	if err := strict(b, &r); err != nil {
		return nil, fmt.Errorf("request for coverages: %w", err)
	}
	if len(r.Names) == 0 || len(r.Names) > MaxNames {
		return nil, fmt.Errorf("request for coverages: %d names; expect 1 to %d", len(r.Names), MaxNames)
	}
	names := make([]registry.Domain, len(r.Names))
	for i, s := range r.Names {
		d, err := registry.ParseDomain(s)
		if err == nil && d.String() != s {
			err = fmt.Errorf("%q is not canonical; expect %q", s, d)
		}
		if err != nil {
			return nil, fmt.Errorf("request for coverages: name %d: %w", i+1, err)
		}
		names[i] = d
	}
	return names, nil
}

// AppendAnswer appends the body of an answer: the coverages of a request's names
// in their order, all of one revision. Of a name whose filings are more than an
// answer holds nothing is told; the others do not suffer from it.
func AppendAnswer(b []byte, rev registry.Revision, answers []registry.Coverage) ([]byte, error) {
	a := encodedAnswer{Revision: rev, Answers: make([]json.RawMessage, len(answers))}
	left := maxAnswer / 2
	for i := range answers {
		w := wireOf(&answers[i])
		if w.overfull() {
			w = coverage{Untold: true}
		}
		text, err := json.Marshal(w)
		if err != nil {
			return nil, err
		}
		switch more := len(text) - fairShare; {
		case more > left:
			text, _ = json.Marshal(coverage{Untold: true}) // a struct of plain values
		case more > 0:
			left -= more
		}
		a.Answers[i] = text
	}
	text, err := json.Marshal(a)
	return append(b, text...), err
}

// overfull reports whether a filing has more accesses than are believed.
func (w *coverage) overfull() bool {
	return slices.ContainsFunc(w.Filings, func(c covering) bool { return len(c.Accesses) > maxAccesses })
}

// alike leaves one of the filings that are alike in all that is told.
func alike(list []covering) []covering {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(c covering) bool {
		key := fmt.Sprint(c)
		was := seen[key]
		seen[key] = true
		return was
	})
}

func wireOf(c *registry.Coverage) coverage {
	if !c.Loaded {
		return coverage{Untold: true}
	}
	w := coverage{Cut: c.Cut, Blacklisted: c.Blacklisted, GovFiled: c.GovFiled}
	for i := range c.Filings {
		f := &c.Filings[i]
		v := covering{
			Filed: f.Filed, Kind: f.Kind, Status: f.Status, Restricted: f.Restricted, Inherited: f.Inherited,
			AccessesKnown: f.AccessesKnown,
		}
		for _, a := range f.Accesses {
			v.Accesses = append(v.Accesses, access{string(a.Provider), a.Status, a.At})
		}
		w.Filings = append(w.Filings, v)
	}
	if len(w.Filings) > manyFilings {
		w.Filings = alike(w.Filings)
	}
	return w
}

// ParseAnswer reads what AppendAnswer wrote for names. The coverage of a name of
// which nothing is told has a revision and is not Loaded.
func ParseAnswer(b []byte, names []registry.Domain) ([]registry.Coverage, error) {
	var a coverageAnswer
	if err := strict(b, &a); err != nil {
		return nil, fmt.Errorf("answer with coverages: %w", err)
	}
	if len(a.Answers) != len(names) {
		return nil, fmt.Errorf("answer with coverages: %d answers for %d names", len(a.Answers), len(names))
	}
	answers := make([]registry.Coverage, len(names))
	for i := range a.Answers {
		c, err := a.Answers[i].read(names[i].Labels())
		if err != nil {
			return nil, fmt.Errorf("answer with coverages: answer %d: %w", i+1, err)
		}
		c.Revision = a.Revision
		answers[i] = c
	}
	return answers, nil
}

// read checks an answer for a name of so many labels. What a name may have is
// bounded by the bytes of the whole answer alone.
func (w *coverage) read(labels int) (c registry.Coverage, err error) {
	if w.Untold {
		return c, nil
	}
	c = registry.Coverage{Cut: w.Cut, Blacklisted: w.Blacklisted, GovFiled: w.GovFiled, Loaded: true}
	switch {
	case w.Cut == 0 || int(w.Cut) > labels+1:
		return c, fmt.Errorf("cut %d of a name of %d labels", w.Cut, labels)
	}
	for i := range w.Filings {
		f, err := w.Filings[i].read(labels)
		if err != nil {
			return c, fmt.Errorf("filing %d: %w", i+1, err)
		}
		if n := len(c.Filings); n > 0 && c.Filings[n-1].Filed < f.Filed {
			return c, fmt.Errorf("filing %d: it is more specific than the one before", i+1)
		}
		if f.Filed > w.Cut {
			return c, fmt.Errorf("filing %d: filed under %d labels, while all names that share %d have this answer", i+1, f.Filed, w.Cut)
		}
		c.Filings = append(c.Filings, f)
	}
	return c, nil
}

func (w *covering) read(labels int) (c registry.Covering, err error) {
	switch {
	case w.Filed == 0 || int(w.Filed) > labels:
		return c, fmt.Errorf("filed under %d labels of a name of %d", w.Filed, labels)
	case w.Kind == registry.KindIP:
		return c, errors.New("a name cannot be filed as an address")
	case len(w.Accesses) > maxAccesses:
		return c, fmt.Errorf("%d accesses; expect at most %d", len(w.Accesses), maxAccesses)
	case len(w.Accesses) > 0 && !w.AccessesKnown:
		return c, errors.New("accesses that are not known")
	}
	c = registry.Covering{
		Filed: w.Filed, Kind: w.Kind, Status: w.Status, Restricted: w.Restricted, Inherited: w.Inherited,
		AccessesKnown: w.AccessesKnown,
	}
	for _, a := range w.Accesses {
		p, err := registry.ParseProviderID(a.Provider)
		if err != nil {
			return c, err
		}
		c.Accesses = append(c.Accesses, registry.Access{Provider: p, Status: a.Status, At: a.At})
	}
	return c, nil
}

// strict decodes one JSON value with known keys and nothing behind it.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more behind the value")
	}
	return nil
}
