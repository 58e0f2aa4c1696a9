package place_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/phuslu/iploc"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// slowTable is the slow twin of Table: linear scans over the lines of the files,
// with the order of the sources written out for one address.
type slowTable struct {
	nets, pulls []slowNetwork
	list        []netip.Prefix
	hasList     bool
	add         bool
	confirm     int
}

type slowNetwork struct {
	prefix  netip.Prefix
	where   place.Where
	written bool
}

func slowLines(text string) (lines [][]string) {
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if fields := strings.Fields(strings.SplitN(line, "#", 2)[0]); len(fields) > 0 {
			lines = append(lines, fields)
		}
	}
	return lines
}

func slowPrefix(s string) netip.Prefix {
	if strings.Contains(s, "/") {
		return netip.MustParsePrefix(s)
	}
	a := netip.MustParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen())
}

func slowSources(networks, mainland string, add bool, confirm int) (s slowTable) {
	s.hasList, s.add, s.confirm = mainland != "", add, confirm
	for _, fields := range slowLines(mainland) {
		s.list = append(s.list, slowPrefix(fields[0]))
	}
	for _, fields := range slowLines(networks) {
		n := slowNetwork{prefix: slowPrefix(fields[0]), written: len(fields) == 5}
		n.where.Provider = registry.ProviderID(strings.ToLower(strings.Trim(fields[1], "-")))
		if fields[1] != "-" {
			n.where.Provider = registry.ProviderID(strings.ToLower(fields[1]))
		}
		if fields[3] != "-" {
			n.where.Region = strings.ToLower(fields[3])
		}
		if n.written {
			n.where.Place, _ = registry.ParsePlace(fields[4])
		} else {
			n.where.Place, _ = place.OfRegion(n.where.Provider, n.where.Region)
		}
		if n.where.OriginPull = fields[2] == "origin-pull"; n.where.OriginPull {
			s.pulls = append(s.pulls, n)
			continue
		}
		n.where.Product, _ = registry.ParseProduct(fields[2])
		s.nets = append(s.nets, n)
	}
	return s
}

// longest finds the row of the longest prefix that contains a.
func longest(rows []slowNetwork, a netip.Addr) (best slowNetwork) {
	for _, n := range rows {
		if n.prefix.Contains(a) && (!best.prefix.IsValid() || n.prefix.Bits() > best.prefix.Bits()) {
			best = n
		}
	}
	return best
}

func (s slowTable) row(a netip.Addr) slowNetwork {
	n, pull := longest(s.nets, a), longest(s.pulls, a)
	if !pull.prefix.IsValid() || n.prefix.IsValid() && n.prefix.Bits() > pull.prefix.Bits() {
		return n
	}
	if n.prefix.IsValid() && n.where.Provider == pull.where.Provider {
		pull.where.Product = n.where.Product
	}
	pull.written = pull.written || n.prefix == pull.prefix && n.written
	return pull
}

func (s slowTable) lookup(a netip.Addr) place.Where {
	w := s.one(slowCarried(a))
	if digits := strings.ReplaceAll(a.WithZone("").StringExpanded(), ":", ""); strings.HasPrefix(digits, "0064ff9b0001") && a.Is6() {
		for _, v4 := range []string{digits[12:16] + digits[18:22], digits[14:16] + digits[18:24], digits[18:26]} {
			if r := s.at(slowHex(v4)); w.Place != registry.Mainland && r.Place == registry.Mainland {
				w = r
			}
		}
	}
	return w
}

// slowHex reads an IPv4 address from eight hexadecimal digits.
func slowHex(digits string) netip.Addr {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return netip.AddrFrom4([4]byte(b))
}

func (s slowTable) one(a netip.Addr) place.Where {
	w := s.at(a)
	text := a.StringExpanded()
	if a.Is6() && w.Place != registry.Mainland && (text[20:29] == "0000:5efe" || text[20:29] == "0200:5efe" ||
		text[20:29] == "0100:5efe" || text[20:29] == "0300:5efe") {
		b := a.As16()
		if behind := s.at(netip.AddrFrom4([4]byte(b[12:]))); behind.Place == registry.Mainland {
			return behind
		}
	}
	return w
}

func (s slowTable) at(a netip.Addr) place.Where {
	row := s.row(a)
	w := row.where
	block, documentation := slowSpecial(a)
	listed := false
	for _, p := range s.list {
		listed = listed || p.Contains(a)
	}
	builtin := slowCountryPlace(iploc.IPCountry(a))
	if block.IsValid() && !documentation {
		if !row.written || w.Place == registry.PlaceUnknown || row.prefix.Bits() < block.Bits() {
			w.Place = registry.Private
			return w
		}
		listed = false
	}
	votes := 0
	for _, yes := range []bool{w.Place == registry.Mainland, listed, builtin == registry.Mainland} {
		if yes {
			votes++
		}
	}
	if w.Place == registry.PlaceUnknown {
		switch {
		case listed:
			w.Place = registry.Mainland
		case block.IsValid():
			w.Place = registry.Private
		case !s.hasList || s.add:
			w.Place = builtin
		case builtin.Outside():
			w.Place = builtin
		default:
			w.Place = registry.Overseas
		}
	}
	if w.Place == registry.Mainland && votes < s.confirm {
		w.Place = registry.PlaceUnknown
	}
	return w
}

// slowCarried reads carried addresses from their written form.
func slowCarried(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if a.Is4() {
		return a
	}
	b := a.As16()
	text := a.StringExpanded()
	switch {
	case strings.HasPrefix(text, "2002:"):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case strings.HasPrefix(text, "2001:0000:"):
		return netip.AddrFrom4([4]byte{255 - b[12], 255 - b[13], 255 - b[14], 255 - b[15]})
	case strings.HasPrefix(text, "0064:ff9b:0000:0000:0000:0000:"), strings.HasPrefix(text, "0064:ff9b:0001:"),
		strings.HasPrefix(text, "0000:0000:0000:0000:ffff:0000:"),
		strings.HasPrefix(text, "0000:0000:0000:0000:0000:0000:") && b[12] != 0:
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// slowSpecial finds the block of non-public space around an address.
func slowSpecial(a netip.Addr) (block netip.Prefix, documentation bool) {
	in := func(list string) (found netip.Prefix) {
		for s := range strings.FieldsSeq(list) {
			if p := netip.MustParsePrefix(s); p.Contains(a) && (!found.IsValid() || p.Bits() > found.Bits()) {
				found = p
			}
		}
		return found
	}
	if p := in("192.0.0.9/32 192.0.0.10/32 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28"); p.IsValid() {
		return netip.Prefix{}, false
	}
	if p := in("192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20"); p.IsValid() {
		return p, true
	}
	return in(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16
		198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 ::/8 100::/64 100:0:0:1::/64 2001::/23 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8`), false
}

func slowCountryPlace(code string) registry.Place {
	p, ok := map[string]registry.Place{"CN": registry.Mainland, "HK": registry.HongKong, "MO": registry.Macao, "TW": registry.Taiwan, "ZZ": registry.PlaceUnknown}[code]
	if !ok {
		return registry.Overseas
	}
	return p
}

// FuzzTable compares the merged table with its slow twin at the address given
// and at the edges of all prefixes.
func FuzzTable(f *testing.F) {
	f.Add("203.0.113.0/24 aliyun cdn cn-beijing\n203.0.113.128/25 aliyun origin-pull cn-beijing\n", "203.0.113.0/24\n192.0.2.0/24", []byte{203, 0, 113, 1}, false, 0)
	f.Add("0.0.0.0/0 - - - mainland\n10.2.0.0/16 a ecs - mainland\n10.2.3.0/24 a ecs - unknown\n::/0 b - - overseas", "::/0\n10.0.0.0/8", []byte{10, 2, 3, 4}, true, 2)
	f.Add("2001:db8::/32 tencent slb ap-hongkong\n", "2001:db8:1::/48\n2002::/16\n0.0.0.0/0", []byte("\x20\x01\x0d\xb8\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), false, 3)
	f.Add("10.0.0.0/8 a waf - mainland\n10.0.0.0/8 a origin-pull - mainland\n192.0.0.9 a - - unknown", "1.0.0.0/8\n", []byte{1, 0, 1, 0}, false, 1)
	f.Add("1.0.1.0/24 a ecs - mainland", "", []byte("\x00\x64\xff\x9b\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"), false, 0)
	f.Fuzz(func(t *testing.T, networks, mainland string, addr []byte, add bool, confirm int) {
		s := place.Sources{MainlandAdd: add, Confirm: confirm}
		var err error
		if networks != "" {
			if s.Networks, err = place.ParseNetworks("networks", strings.NewReader(networks)); err != nil {
				return
			}
		}
		if mainland != "" {
			if s.Mainland, err = place.ParseMainland("mainland", strings.NewReader(mainland)); err != nil {
				return
			}
		}
		fast, err := s.Table()
		if err != nil {
			return
		}
		slow := slowSources(networks, mainland, add, confirm)
		var probes []netip.Addr
		if a, ok := netip.AddrFromSlice(addr); ok {
			probes = append(probes, a)
		}
		for _, p := range append(append([]netip.Prefix(nil), slow.list...), slow.prefixes()...) {
			last := lastOf(p)
			probes = append(probes, p.Addr(), p.Addr().Prev(), last, last.Next())
		}
		for _, a := range probes {
			if !a.IsValid() {
				continue
			}
			if got, want := fast.Lookup(a), slow.lookup(a); got != want {
				t.Errorf("Lookup(%s) = %+v; want %+v\nnetworks %q\nmainland %q, add %t, confirm %d", a, got, want, networks, mainland, add, confirm)
			}
		}
	})
}

func (s slowTable) prefixes() (ps []netip.Prefix) {
	for _, n := range append(append([]slowNetwork(nil), s.nets...), s.pulls...) {
		ps = append(ps, n.prefix)
	}
	return ps
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
