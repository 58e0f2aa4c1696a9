package gate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// switchOption makes the function of a directive with two values, the first of
// which is the default.
func switchOption(field func(*Server) *bool, off, on string) func(*parser, []string) error {
	return func(p *parser, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s; expect %s or %s", edge.Given(args), off, on)
		}
		i, err := edge.Word(args[0], []string{off, on})
		*field(&p.s) = i == 1
		return err
	}
}

// serves reads what address the block stands for.
func (p *parser) serves(args []string) error {
	addrs := args
	if i := slices.Index(args, "product"); i >= 0 {
		if len(args) != i+2 {
			return errors.New("product takes one word and stands last, as in mainland product ecs")
		}
		product, err := registry.ParseProduct(args[i+1])
		if err != nil {
			return err
		}
		p.s.Serves.Product, addrs = product, args[:i]
	}
	if len(addrs) > 0 && addrs[0] == "asked" {
		if p.s.Serves.Asked, addrs = true, addrs[1:]; len(addrs) == 0 {
			return nil
		}
	}
	if len(addrs) == 0 {
		return errUsage("serves", addrs)
	}
	if addrs[0] == "mainland" {
		if len(addrs) > 1 {
			return fmt.Errorf("unexpected %q; mainland stands alone", addrs[1])
		}
		p.s.Serves.Mainland = true
		return nil
	}
	return p.servesAddrs(addrs)
}

func (p *parser) servesAddrs(addrs []string) error {
	for _, s := range addrs {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("%q is no address; expect for example 203.0.113.10, or mainland", s)
		}
		if a = a.Unmap(); !public(a) {
			return fmt.Errorf("address %q is not public: nothing would be blocked; expect the public address that clients connect to, or mainland", s)
		}
		if slices.Contains(p.s.Serves.Addrs, a) {
			return fmt.Errorf("address %q is given twice", s)
		}
		p.s.Serves.Addrs = append(p.s.Serves.Addrs, a)
	}
	return nil
}

// peers reads who may ask.
func (p *parser) peers(args []string) (err error) {
	if len(args) == 0 {
		return errUsage("peers", nil)
	}
	p.s.Peers, err = prefixes(args)
	return err
}

// proxyProtocol reads which peers send a PROXY header.
func (p *parser) proxyProtocol(args []string) (err error) {
	if len(args) < 2 {
		return errUsage("proxy-protocol", args)
	}
	if _, err := edge.Word(args[0], []string{"require"}); err != nil {
		return err
	}
	p.s.ProxyFrom, err = prefixes(args[1:])
	return err
}

// originalDst reads how connections are turned to the gate.
func (p *parser) originalDst(args []string) error {
	if len(args) == 0 {
		return errUsage("original-dst", nil)
	}
	i, err := edge.Word(args[0], originalWords)
	if err != nil {
		return err
	}
	if !originalSupported {
		return errors.New("only Linux tells the original destination of a connection; use serves and upstream here")
	}
	if len(args) == 1 {
		return fmt.Errorf("%s without networks would be an open proxy; expect the networks behind the gate, as in %s 192.0.2.0/24", args[0], args[0])
	}
	within, err := prefixes(args[1:])
	if err != nil {
		return err
	}
	for _, w := range within {
		if w.Bits() == 0 {
			return fmt.Errorf("network %s would be an open proxy; expect the networks behind the gate", w)
		}
	}
	p.s.OriginalDst = OriginalDst{OriginalMode(i), within}
	return nil
}

// tls reads one certificate.
func (p *parser) tls(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errUsage("tls", args)
	}
	if len(args) == 3 {
		if _, err := edge.Word(args[2], []string{"page"}); err != nil {
			return err
		}
	}
	cert, err := p.file(args[0])
	if err != nil {
		return err
	}
	key, err := p.file(args[1])
	if err != nil {
		return err
	}
	if err := p.once("certificate " + cert); err != nil {
		return err
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return fmt.Errorf("certificate %q with key %q: %w; expect a PEM certificate and the key that belongs to it", cert, key, err)
	}
	c := Certificate{cert, key, len(args) == 3}
	if old := p.s.Certificates; len(old) > 0 && old[0].PageOnly != c.PageOnly {
		return fmt.Errorf("one certificate is for the page only and another is not; give %q to all or to none", "page")
	}
	p.s.Certificates = append(p.s.Certificates, c)
	return nil
}

// block reads what a blocked client gets.
func (p *parser) block(args []string) error {
	if len(args) == 0 {
		return errUsage("block", nil)
	}
	i, err := edge.Word(args[0], blockWords)
	if err != nil {
		return err
	}
	p.s.Block.Action = BlockAction(i)
	rest := args[1:]
	if p.s.Block.Action == BlockRedirect {
		if len(rest) == 0 {
			return errors.New("redirect without a URL; expect for example redirect https://notice.example.com/")
		}
		if p.s.Block.URL, err = redirectURL(rest[0]); err != nil {
			return err
		}
		rest = rest[1:]
	}
	return p.blockPage(rest)
}

// blockPage reads what only a page has.
func (p *parser) blockPage(args []string) error {
	b := &p.s.Block
	for len(args) > 0 {
		switch name := args[0]; {
		case name != "status" && name != "template":
			return fmt.Errorf("unexpected %q; expect %s", name, "[status 403|451] [template FILE]")
		case b.Action != BlockPage:
			return fmt.Errorf("%s goes with a page only, not with %s; expect block page %s …", name, b.Action, name)
		case len(args) < 2:
			return fmt.Errorf("%s without a value; expect status 403, status 451 or template FILE", name)
		case name == "status" && b.Status == 0:
			if args[1] != "403" && args[1] != "451" {
				return fmt.Errorf("status %q; expect 403 or 451", args[1])
			}
			b.Status, _ = edge.Number("status", args[1], 403, 451)
		case name == "template" && b.Template == "":
			full, err := p.file(args[1])
			if err != nil {
				return err
			}
			b.Template = full
		default:
			return fmt.Errorf("%s is given twice", name)
		}
		args = args[2:]
	}
	return nil
}

// redirectURL takes an absolute URL. Parameters are added to it, so a fragment
// would hide them.
func redirectURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("URL %q; expect an absolute http or https URL without user and fragment, as in https://notice.example.com/", s)
	}
	return u.String(), nil
}

func (p *parser) established(args []string) (err error) {
	e := &p.s.Established
	switch {
	case len(args) == 1 && args[0] == "keep":
		e.Keep = true
		return nil
	case len(args) == 2 && args[0] == "close":
		e.After, err = duration("close", args[1], time.Millisecond, time.Hour)
		return err
	case len(args) > 0:
		if _, err := edge.Word(args[0], []string{"close", "keep"}); err != nil {
			return err
		}
	}
	return errUsage("established", args)
}

func (p *parser) upgrade(args []string) error {
	if len(args) == 0 {
		return errUsage("upgrade", nil)
	}
	for _, token := range args {
		i, err := edge.Word(token, []string{"websocket", "off"})
		if err != nil {
			return fmt.Errorf("%w; what a tunnel of another protocol carries would not be judged", err)
		}
		if len(args) > 1 {
			return fmt.Errorf("unexpected %q; websocket and off stand alone", args[1])
		}
		p.s.UpgradeOff = i == 1
	}
	return nil
}

func (p *parser) forwarded(args []string) error {
	if len(args) != 1 {
		return errUsage("forwarded", args)
	}
	i, err := edge.Word(args[0], forwardedWords)
	p.s.Forwarded = Forwarded(i)
	return err
}
