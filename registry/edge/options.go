package edge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// zones reads the zones behind the directive's name.
func (p *parser) zones(args []string) error {
	for _, arg := range args {
		zone, err := parseZone(arg)
		if err != nil {
			return p.d.Errf("zone %q: %s; expect a domain, \".\" or a reverse CIDR", arg, err)
		}
		if err := p.once("zone " + zone); err != nil {
			return p.d.Err(err.Error())
		}
		p.cfg.Zones = append(p.cfg.Zones, zone)
	}
	return nil
}

// parseZone makes the name of a zone canonical: one written in Chinese would
// match no question else.
func parseZone(s string) (string, error) {
	if s == "." {
		return s, nil
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return s, nil
	}
	if strings.IndexByte(s, ':') >= 0 {
		return "", errors.New("holds a colon")
	}
	d, err := registry.ParseDNSName(s)
	return d.String(), err
}

// maxConfirm is how many sources of places there can be: networks, mainland,
// built-in.
const maxConfirm = 3

func (p *parser) mainland(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errUsage("mainland", args)
	}
	full, err := p.file(args[0])
	if err != nil {
		return err
	}
	p.cfg.Mainland = full
	if len(args) == 2 {
		how, err := Word(args[1], []string{"only", "add"})
		if err != nil {
			return err
		}
		p.cfg.MainlandAdd = how == 1
	}
	return nil
}

func (p *parser) nat64(args []string) error {
	if len(args) == 0 {
		return errUsage("nat64", nil)
	}
	for _, a := range args {
		prefix, err := netip.ParsePrefix(a)
		if err != nil || !prefix.Addr().Is6() || prefix.Addr().Is4In6() || !translates(prefix.Bits()) {
			return fmt.Errorf("prefix %q; expect an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052), for example 2001:db8:64::/96", a)
		}
		if slices.Contains(p.cfg.NAT64, prefix.Masked()) {
			return fmt.Errorf("prefix %s is given twice", prefix.Masked())
		}
		p.cfg.NAT64 = append(p.cfg.NAT64, prefix.Masked())
	}
	return nil
}

// translates reports whether RFC 6052 §2.2 knows prefixes of this length.
func translates(bits int) bool {
	switch bits {
	case 32, 40, 48, 56, 64, 96:
		return true
	}
	return false
}

func (p *parser) confirm(args []string) error {
	s, err := single("confirm", args)
	if err != nil {
		return err
	}
	p.cfg.Confirm, err = Number("sources", s, 1, maxConfirm)
	return err
}

func (p *parser) block(args []string) error {
	if len(args) == 0 {
		return errUsage("block", nil)
	}
	i, err := Word(args[0], actionWords)
	if err != nil {
		return err
	}
	p.cfg.Block.Action = Action(i)
	addrs := args[1:]
	switch {
	case p.cfg.Block.Action != Redirect && len(addrs) > 0:
		return fmt.Errorf("unexpected %q; only redirect takes addresses", addrs[0])
	case p.cfg.Block.Action == Redirect && len(addrs) == 0:
		return errors.New("redirect without an address; expect one or more, as in redirect 192.0.2.1")
	}
	for _, s := range addrs {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a == broadcast {
			return fmt.Errorf("%q is no address of a notice host; expect for example 192.0.2.1 or 2001:db8::1", s)
		}
		if a = a.Unmap(); p.cfg.Block.Notice(a) {
			return fmt.Errorf("address %q is given twice", s)
		}
		p.cfg.Block.Addrs = append(p.cfg.Block.Addrs, a)
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (p *parser) clients(args []string) error {
	if len(args) < 2 {
		return errUsage("clients", args)
	}
	i, err := Word(args[0], treatmentWords[1:])
	if err != nil {
		return err
	}
	for _, s := range args[1:] {
		prefix, err := registry.ParsePrefix(s)
		if err != nil {
			return err
		}
		if err := p.once("clients " + prefix.String()); err != nil {
			return err
		}
		p.cfg.Clients = append(p.cfg.Clients, Client{prefix, Treatment(i + 1)})
	}
	return nil
}

// maxEDE is the largest code of an extended DNS error, RFC 8914 §2.
const maxEDE = 1<<16 - 1

func (p *parser) ede(args []string) error {
	s, err := single("ede", args)
	if err != nil {
		return err
	}
	code, err := Number("code", s, 1, maxEDE)
	p.cfg.EDE = uint16(code)
	return err
}

func (p *parser) stripECH(args []string) error {
	s, err := single("strip-ech", args)
	if err != nil {
		return err
	}
	i, err := Word(s, stripECHWords)
	p.cfg.StripECH = StripECH(i)
	return err
}
