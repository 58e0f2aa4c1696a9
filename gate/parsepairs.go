package gate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// Bounds of numbers, so that a slip of the finger is told.
const (
	maxConnections = 100_000_000
	minHead        = 1 << 10
	maxInitials    = 1_000_000
	maxTimeout     = 24 * time.Hour
	minCheck       = 100 * time.Millisecond
)

// pair is a word with values in a directive that is a list of such.
type pair struct {
	name   string
	values int
	parse  func(p *parser, v []string) error
}

// pairs reads a list of words with values, each word once in the block.
func (p *parser) pairs(directive string, args []string, legal []pair) error {
	if len(args) == 0 {
		return errUsage(directive, nil)
	}
	for len(args) > 0 {
		i := slices.IndexFunc(legal, func(l pair) bool { return l.name == args[0] })
		if i < 0 {
			return fmt.Errorf("unexpected %q; expect %s", args[0], registry.AnyOf(pairNames(legal)))
		}
		l := legal[i]
		if err := p.once(directive + " " + l.name); err != nil {
			return err
		}
		if len(args) <= l.values {
			return fmt.Errorf("%s lacks a value; expect %d", l.name, l.values)
		}
		if err := l.parse(p, args[1:1+l.values]); err != nil {
			return err
		}
		args = args[1+l.values:]
	}
	return nil
}

func pairNames(legal []pair) []string {
	names := make([]string, len(legal))
	for i, l := range legal {
		names[i] = l.name
	}
	return names
}

func (p *parser) limits(args []string) error { return p.pairs("limits", args, limitPairs) }

var limitPairs = []pair{
	{"connections", 1, func(p *parser, v []string) (err error) {
		p.s.Limits.Connections, err = edge.Number("connections", v[0], 1, maxConnections)
		return err
	}},
	{"per-client", 1, func(p *parser, v []string) (err error) {
		p.s.Limits.PerClient, err = edge.Number("per-client", v[0], 1, maxConnections)
		return err
	}},
	{"prefix", 2, func(p *parser, v []string) (err error) {
		p.s.Limits.PrefixV4, p.s.Limits.PrefixV6, err = prefixBits(v)
		return err
	}},
	{"head", 1, func(p *parser, v []string) (err error) {
		p.s.Limits.Head, err = size("head", v[0], minHead, MaxHead)
		return err
	}},
	{"body-rate", 1, func(p *parser, v []string) (err error) {
		if v[0] == "off" {
			p.s.Limits.BodyRate = -1
			return nil
		}
		p.s.Limits.BodyRate, err = size("body-rate", v[0], 1, 1<<30)
		return err
	}},
	{"initials", 1, func(p *parser, v []string) (err error) {
		p.s.Limits.Initials, err = edge.Number("initials", v[0], 1, maxInitials)
		return err
	}},
}

func (p *parser) timeouts(args []string) error { return p.pairs("timeouts", args, timeoutPairs) }

var timeoutPairs = []pair{
	timeoutPair("head", func(t *Timeouts) *time.Duration { return &t.Head }),
	timeoutPair("idle", func(t *Timeouts) *time.Duration { return &t.Idle }),
	timeoutPair("dial", func(t *Timeouts) *time.Duration { return &t.Dial }),
	timeoutPair("drain", func(t *Timeouts) *time.Duration { return &t.Drain }),
}

func timeoutPair(name string, field func(*Timeouts) *time.Duration) pair {
	return pair{name, 1, func(p *parser, v []string) (err error) {
		*field(&p.s.Timeouts), err = duration(name, v[0], time.Millisecond, maxTimeout)
		return err
	}}
}

// upstream reads the web servers of one line with what goes for all of them.
func (p *parser) upstream(args []string) error {
	n := slices.IndexFunc(args, func(s string) bool { return s == "tls" || s == "proxy-protocol" || s == "check" })
	if n < 0 {
		n = len(args)
	}
	if n == 0 {
		return errors.New("no address; expect HOST:PORT or unix:PATH, as in 192.0.2.1:8080")
	}
	var how Upstream
	if err := how.options(args[n:]); err != nil {
		return err
	}
	for _, s := range args[:n] {
		u, err := p.upstreamAddr(s)
		if err != nil {
			return err
		}
		if u.Network == "unix" && how.TLS && how.TLSName == "" {
			return fmt.Errorf("tls to %q without a name to verify; expect tls NAME", s)
		}
		if err := p.once("upstream " + u.Address); err != nil {
			return err
		}
		u.TLS, u.TLSName, u.ProxyProtocol, u.Check = how.TLS, how.TLSName, how.ProxyProtocol, how.Check
		p.s.Upstreams = append(p.s.Upstreams, u)
	}
	return nil
}

// options reads what stands behind the addresses.
func (u *Upstream) options(args []string) (err error) {
	for len(args) > 0 {
		name := args[0]
		args = args[1:]
		switch {
		case name == "tls" && !u.TLS:
			u.TLS = true
			if len(args) > 0 && args[0] != "proxy-protocol" && args[0] != "check" {
				if !validHost(args[0]) {
					return fmt.Errorf("tls name %q; expect a host name or an IP address", args[0])
				}
				u.TLSName, args = args[0], args[1:]
			}
		case name == "proxy-protocol" && u.ProxyProtocol == 0 && len(args) > 0:
			i, err := edge.Word(args[0], []string{"v1", "v2"})
			if err != nil {
				return err
			}
			u.ProxyProtocol, args = uint8(i+1), args[1:]
		case name == "check" && u.Check == 0 && len(args) > 0:
			if u.Check, err = duration("check", args[0], minCheck, maxTimeout); err != nil {
				return err
			}
			args = args[1:]
		default:
			return fmt.Errorf("unexpected %q; expect [tls [NAME]] [proxy-protocol v1|v2] [check INTERVAL], each once and with its value", name)
		}
	}
	return nil
}

// log reads the connection log: a file, which no word of the directive is, then
// pairs.
func (p *parser) log(args []string) error {
	p.s.Log.On = true
	if len(args) > 0 && !slices.Contains(pairNames(logPairs), args[0]) {
		p.s.Log.File, args = p.join(args[0]), args[1:]
	}
	if len(args) == 0 {
		return nil
	}
	return p.pairs("log", args, logPairs)
}

var logPairs = []pair{
	{"sample", 1, func(p *parser, v []string) (err error) {
		p.s.Log.Sample, err = edge.Number("sample", v[0], 1, math.MaxInt32)
		return err
	}},
	{"client-prefix", 2, func(p *parser, v []string) (err error) {
		p.s.Log.PrefixV4, p.s.Log.PrefixV6, err = prefixBits(v)
		return err
	}},
}
