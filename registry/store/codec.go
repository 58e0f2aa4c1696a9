package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/icpgate/icpgate/registry"
)

// The states of filings and the operations of revisions stand in the database as
// bytes of this form: numbers as uvarints, texts with their length before them.

// errBytes: bytes of the database are not what this package wrote.
var errBytes = errors.New("bytes of the database cannot be read; restore it from a backup")

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) text(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) byte(c byte)   { e.b = append(e.b, c) }
func (e *encoder) number(n registry.Number) {
	from := len(e.b)
	e.b = append(e.b, 0)
	e.b, _ = n.AppendBinary(e.b) // never fails
	e.b[from] = byte(len(e.b) - from - 1)
}

// time keeps seconds; 0 is the zero time.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.uint(0)
		return
	}
	e.uint(1 + zigzag(t.Unix()))
}

func (e *encoder) addr(a netip.Addr) {
	if !a.IsValid() {
		e.byte(0)
		return
	}
	raw := a.Unmap().WithZone("").AsSlice()
	e.byte(byte(len(raw)))
	e.b = append(e.b, raw...)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Flags of a filing.
const (
	flagRestricted = 1 << iota
	flagAccessesKnown
	flagsEnd
)

func flag(b bool, f byte) byte {
	if b {
		return f
	}
	return 0
}

// facts writes all of a filing but its accesses.
func (e *encoder) facts(f *registry.Filing) {
	e.byte(byte(f.Site.Kind))
	e.byte(byte(f.Status))
	e.byte(byte(f.Entity.Nature))
	e.byte(flag(f.Restricted, flagRestricted) | flag(f.AccessesKnown, flagAccessesKnown))
	e.number(f.Site.Number)
	e.number(f.Entity.Number)
	e.text(f.Site.Name)
	e.text(f.Entity.Name)
	e.time(f.Site.FiledAt)
	e.time(f.UpdatedAt)
	e.addr(f.Addr)
	e.addr(f.FiledAddr)
	e.uint(uint64(len(f.Site.Domains)))
	for _, d := range f.Site.Domains {
		e.text(d.String())
	}
	e.uint(uint64(len(f.Covers)))
	for _, c := range f.Covers {
		e.text(c)
	}
}

func (e *encoder) accesses(list []registry.Access) {
	e.uint(uint64(len(list)))
	for _, a := range list {
		e.text(string(a.Provider))
		e.byte(byte(a.Status))
		e.uint(zigzag(a.At))
	}
}

func (e *encoder) filing(f *registry.Filing) {
	e.facts(f)
	e.accesses(f.Accesses)
}

// decoder reads what an encoder wrote. What is not there reads as zero and sets
// bad, which stays. Its texts share no memory with b.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) text() string { return string(d.bytes(d.uint())) }

func (d *decoder) byte() byte {
	if p := d.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

// enum reads a byte below end.
func (d *decoder) enum(end byte) byte {
	c := d.byte()
	d.bad = d.bad || c >= end
	return c
}

// count reads how many things follow, each of a byte at least.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) number() (n registry.Number) {
	if err := n.UnmarshalBinary(d.bytes(uint64(d.byte()))); err != nil {
		d.bad = true
	}
	return n
}

func (d *decoder) time() time.Time {
	v := d.uint()
	if v == 0 {
		return time.Time{}
	}
	sec := unzigzag(v - 1)
	if sec > math.MaxInt32*128 || sec < math.MinInt32*128 { // the year 10680
		d.bad = true
		return time.Time{}
	}
	return fromUnix(sec)
}

func (d *decoder) addr() netip.Addr {
	n := d.byte()
	if n == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(d.bytes(uint64(n)))
	d.bad = d.bad || !ok || a.Is4In6()
	return a
}

func (d *decoder) domain() registry.Domain {
	text := d.text()
	name, err := registry.ParseDomain(text)
	d.bad = d.bad || err != nil || name.String() != text
	return name
}

// Ends of the enumerations, for what is read.
const (
	kindEnd   = byte(registry.KindIP) + 1
	statusEnd = byte(registry.StatusCancelled) + 1
	natureEnd = byte(registry.NotaryOffice) + 1
	accessEnd = byte(registry.AccessCancelled) + 1
)

func (d *decoder) filing() (f registry.Filing) {
	f.Site.Kind = registry.Kind(d.enum(kindEnd))
	f.Status = registry.Status(d.enum(statusEnd))
	f.Entity.Nature = registry.Nature(d.enum(natureEnd))
	flags := d.enum(flagsEnd)
	f.Restricted, f.AccessesKnown = flags&flagRestricted != 0, flags&flagAccessesKnown != 0
	f.Site.Number, f.Entity.Number = d.number(), d.number()
	f.Site.Name, f.Entity.Name = d.text(), d.text()
	f.Site.FiledAt, f.UpdatedAt = d.time(), d.time()
	f.Addr, f.FiledAddr = d.addr(), d.addr()
	for n := d.count(); n > 0 && !d.bad; n-- {
		f.Site.Domains = append(f.Site.Domains, d.domain())
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		f.Covers = append(f.Covers, d.text())
	}
	f.Accesses = d.accesses()
	return f
}

func (d *decoder) accesses() (list []registry.Access) {
	for n := d.count(); n > 0 && !d.bad; n-- {
		a := registry.Access{Provider: registry.ProviderID(d.text()), Status: registry.AccessStatus(d.enum(accessEnd))}
		a.At = told(unzigzag(d.uint()))
		list = append(list, a)
	}
	return list
}

// whole reports an error unless all was read.
func (d *decoder) whole() error {
	if d.bad || len(d.b) > 0 {
		return errBytes
	}
	return nil
}

// The kinds of operations in the log.
const (
	opName  = byte(iota) // a change of a name
	opAddr               // a change of an address
	opEntry              // an entry of a list
	opEnd
)

func (e *encoder) change(c *registry.Change) {
	if c.Addr.IsValid() {
		e.byte(opAddr)
		e.byte(byte(c.Kind))
		e.addr(c.Addr)
	} else {
		e.byte(opName)
		e.byte(byte(c.Kind))
		e.text(c.Name.String())
	}
	e.uint(uint64(len(c.Filings)))
	for i := range c.Filings {
		e.filing(&c.Filings[i])
	}
}

func (e *encoder) entry(x *registry.Entry) {
	e.byte(opEntry)
	e.byte(byte(x.List))
	e.byte(flag(x.Gone, 1))
	e.text(x.Key)
	e.text(x.Value)
}

// operation reads one operation into p.
func (d *decoder) operation(p *Published) error {
	if kind := d.enum(opEnd); kind == opEntry {
		x := registry.Entry{List: registry.List(d.enum(byte(listEnd))), Gone: d.enum(2) == 1, Key: d.text(), Value: d.text()}
		p.Entries = append(p.Entries, x)
	} else {
		c := registry.Change{Revision: p.Revision, Kind: registry.ChangeKind(d.enum(byte(registry.ChangeUnlisted) + 1))}
		if kind == opAddr {
			c.Addr = d.addr()
		} else {
			c.Name = d.domain()
		}
		for n := d.count(); n > 0 && !d.bad; n-- {
			c.Filings = append(c.Filings, d.filing())
		}
		p.Changes = append(p.Changes, c)
		if err := c.Check(); !d.bad && err != nil {
			return fmt.Errorf("%w: %w", errBytes, err)
		}
	}
	if d.bad {
		return errBytes
	}
	return nil
}

// tidy makes a text fit for every database: UTF-8 without the byte 0.
func tidy(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", " ")
}
