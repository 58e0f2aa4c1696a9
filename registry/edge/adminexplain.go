package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/icpgate/icpgate/registry"
)

// explainParams are the parameters of /explain.
var explainParams = []string{
	"host", "addr", "channel", "provider", "address-provider", "product", "acceleration", "origin", "origin-pull", "cname", "block",
}

const (
	maxAddrs  = 32
	maxCNAMEs = 16
)

// explained is the answer of /explain: an explanation, and by which block.
type explained struct {
	Block blockName `json:"block"`
	Explained
}

// blockName names a block among several.
type blockName struct {
	Number int    `json:"number"` // as /status lists them, from 1
	Of     int    `json:"of"`
	Label  string `json:"label,omitempty"`
}

func (n blockName) String() string { return fmt.Sprintf("%d/%d %s", n.Number, n.Of, n.Label) }

// explainPage judges a host as one of the blocks does.
func explainPage(k ask) (answer, error) {
	e, name, err := k.block()
	if err != nil {
		return answer{}, err
	}
	q, err := k.question(e)
	if err != nil {
		return answer{}, err
	}
	x := explained{name, Explain(k.lang, e.Judge(q))}
	return answer{value: x, text: func(w io.Writer) error {
		if err := x.WriteText(w); err != nil || name.Of == 1 {
			return err
		}
		_, err := fmt.Fprintf(w, "\nblock %s\n", name)
		return err
	}}, nil
}

// block is the Edge that is asked: the first, or the one that is named by its
// number or label.
func (k ask) block() (*Edge, blockName, error) {
	all := openEdges()
	if len(all) == 0 {
		return nil, blockName{}, &problem{http.StatusServiceUnavailable, "", errors.New("no block is open")}
	}
	s := k.query.Get("block")
	for i, e := range all {
		if s == "" || s == strconv.Itoa(i+1) || s == e.cfg.Label {
			return e, blockName{i + 1, len(all), e.cfg.Label}, nil
		}
	}
	return nil, blockName{}, badParam("block", fmt.Errorf("there is no block %q; expect a number from 1 to %d, or a label of /status", s, len(all)))
}

// question reads the parameters.
func (k ask) question(e *Edge) (q Question, err error) {
	q.Channel = e.cfg.Channel
	if k.query.Get("host") == "" {
		return q, badParam("host", errors.New("is missing; expect a name or an address, as in /explain?host=www.example.com"))
	}
	for _, read := range []struct {
		param string
		set   func(string) error
	}{
		{"host", func(s string) (err error) { q.Host, err = registry.ParseHost(s); return err }},
		{"addr", q.addAddr},
		{"cname", q.addCNAME},
		{"channel", func(s string) (err error) { q.Channel, err = registry.ParseChannel(s); return err }},
		{"provider", func(s string) (err error) { q.Told.Provider, err = registry.ParseProviderID(s); return err }},
		{"address-provider", func(s string) (err error) { q.Told.AddressProvider, err = registry.ParseProviderID(s); return err }},
		{"product", func(s string) (err error) { q.Told.Product, err = registry.ParseProduct(s); return err }},
		{"acceleration", func(s string) (err error) { q.Told.Acceleration, err = registry.ParseAcceleration(s); return err }},
		{"origin", func(s string) (err error) { q.Told.Origin, err = registry.ParseOrigin(s); return err }},
		{"origin-pull", func(s string) (err error) { q.OriginPull, err = yes(s); return err }},
	} {
		for _, s := range k.query[read.param] {
			if err := read.set(s); err != nil {
				return q, badParam(read.param, err)
			}
		}
	}
	return q, nil
}

func yes(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("value %q; expect true or false", s)
	}
	return s == "true", nil
}

func (q *Question) addAddr(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return fmt.Errorf("address %q; expect an IPv4 or IPv6 address", s)
	}
	if len(q.Addrs) == maxAddrs {
		return fmt.Errorf("more than %d addresses", maxAddrs)
	}
	q.Addrs = append(q.Addrs, a)
	return nil
}

func (q *Question) addCNAME(s string) error {
	d, err := registry.ParseDNSName(s)
	if err != nil {
		return err
	}
	if len(q.CNAMEs) == maxCNAMEs {
		return fmt.Errorf("more than %d aliases", maxCNAMEs)
	}
	q.CNAMEs = append(q.CNAMEs, d)
	return nil
}
