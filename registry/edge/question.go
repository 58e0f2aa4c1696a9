package edge

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/icpgate/icpgate/registry"
)

const (
	maxAddrs  = 32
	maxCNAMEs = 16
)

// ReadQuestion reads a question from parameters as those of /explain; ch is the
// channel where they name none. An error names the parameter.
func ReadQuestion(params url.Values, ch registry.Channel) (q Question, err error) {
	q.Channel = ch
	if params.Get("host") == "" {
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
		{"address_provider", func(s string) (err error) { q.Told.AddressProvider, err = registry.ParseProviderID(s); return err }},
		{"product", func(s string) (err error) { q.Told.Product, err = registry.ParseProduct(s); return err }},
		{"acceleration", func(s string) (err error) { q.Told.Acceleration, err = registry.ParseAcceleration(s); return err }},
		{"origin", func(s string) (err error) { q.Told.Origin, err = registry.ParseOrigin(s); return err }},
		{"origin_pull", func(s string) (err error) { q.OriginPull, err = yes(s); return err }},
	} {
		for _, s := range params[read.param] {
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
