package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Exempted is one exemption: a name, or the names below it.
type Exempted struct {
	Name  registry.Domain
	Below bool // written *.NAME: all names below Name, and not Name itself
	registry.Exemption
}

// ExemptFile is a file of exemptions with what its line in the block adds.
type ExemptFile struct {
	Path string
	// Until ends all exemptions of the file that do not end before; 0 is never.
	Until int64
	// Authority is given to all exemptions of the file.
	Authority bool
}

// Exemptions are the exemptions of one source. NAME exempts that name alone,
// *.NAME the names below it. The zero value and the nil pointer hold none. They
// are immutable once made and then safe for concurrent use.
type Exemptions struct {
	exact map[registry.Domain]registry.Exemption
	below map[registry.Domain]registry.Exemption
}

// ParseExemptions reads a file of exemptions, one a line:
//
//	NAME|*.NAME [until TIME] [authority]
//
// "#" begins a comment. TIME is RFC 3339, or a day, which is meant whole, in
// China's time. Errors name file (name) and line.
func ParseExemptions(name string, r io.Reader) (*Exemptions, error) {
	x := &Exemptions{}
	first := map[string]int{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		e, err := parseExempted(fields)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if m, dup := first[e.String()]; dup {
			return nil, fmt.Errorf("%s:%d: %s was given in line %d already", name, n, e, m)
		}
		first[e.String()] = n
		x.add(e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x, nil
}

// openExemptions reads one of the block's files.
func openExemptions(f ExemptFile) (*Exemptions, error) {
	r, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	x, err := ParseExemptions(f.Path, r)
	if err != nil {
		return nil, err
	}
	for _, m := range []map[registry.Domain]registry.Exemption{x.exact, x.below} {
		for d, e := range m {
			m[d] = f.apply(e)
		}
	}
	return x, nil
}

func (f ExemptFile) apply(e registry.Exemption) registry.Exemption {
	if f.Until != 0 && (e.Until == 0 || f.Until < e.Until) {
		e.Until = f.Until
	}
	e.Authority = e.Authority || f.Authority
	return e
}

func (x *Exemptions) add(e Exempted) {
	m := &x.exact
	if e.Below {
		m = &x.below
	}
	if *m == nil {
		*m = map[registry.Domain]registry.Exemption{}
	}
	(*m)[e.Name] = e.Exemption
}

// best returns the more useful of old and the exemptions for d at now: one that
// holds over one that does not, one by authority over another.
func (x *Exemptions) best(old registry.Exemption, d registry.Domain, now int64) registry.Exemption {
	if x == nil || len(x.exact) == 0 && len(x.below) == 0 {
		return old
	}
	if e, ok := x.exact[d]; ok {
		old = better(old, e, now)
	}
	if len(x.below) == 0 {
		return old
	}
	for up := d.Parent(); !up.IsZero(); up = up.Parent() {
		if e, ok := x.below[up]; ok {
			old = better(old, e, now)
		}
	}
	return old
}

// ends reports whether an exemption for d has an end, be it past.
func (x *Exemptions) ends(d registry.Domain) bool {
	if x == nil || len(x.exact) == 0 && len(x.below) == 0 {
		return false
	}
	if x.exact[d].Until != 0 {
		return true
	}
	for up := d.Parent(); len(x.below) > 0 && !up.IsZero(); up = up.Parent() {
		if x.below[up].Until != 0 {
			return true
		}
	}
	return false
}

func better(a, b registry.Exemption, now int64) registry.Exemption {
	switch {
	case !a.Granted, !a.Holds(now) && b.Holds(now):
		return b
	case b.Holds(now) && b.Authority && !a.Authority:
		return b
	}
	return a
}

// String returns the name as it was written.
func (e Exempted) String() string {
	if e.Below {
		return "*." + e.Name.String()
	}
	return e.Name.String()
}

// parseExempted reads the fields of one exemption.
func parseExempted(fields []string) (e Exempted, err error) {
	name, below := strings.CutPrefix(fields[0], "*.")
	if strings.IndexByte(name, '*') >= 0 {
		return e, fmt.Errorf("%q: a star may only stand first, as in *.example.com", fields[0])
	}
	e.Below = below
	if e.Name, err = registry.ParseDomain(name); err != nil {
		return e, err
	}
	e.Until, e.Authority, err = parseGrant(fields[1:])
	e.Granted = true
	return e, err
}

// parseGrant reads what may stand behind the name of an exemption.
func parseGrant(words []string) (until int64, authority bool, err error) {
	for len(words) > 0 {
		switch {
		case words[0] == "authority" && !authority:
			authority, words = true, words[1:]
		case words[0] == "until" && until == 0:
			if len(words) < 2 {
				return 0, false, errors.New("until without a time; expect until TIME, for example until 2027-06-30")
			}
			if until, err = parseUntil(words[1]); err != nil {
				return 0, false, err
			}
			words = words[2:]
		default:
			return 0, false, fmt.Errorf("unexpected %q; expect [until TIME] [authority], each once", words[0])
		}
	}
	return until, authority, nil
}

// china is the time that the filing regime's days are meant in.
var china = time.FixedZone("CST", 8*3600)

// parseUntil reads the end of an exemption; a day alone ends as the day does.
func parseUntil(s string) (int64, error) {
	if day, err := time.ParseInLocation(time.DateOnly, s, china); err == nil {
		return day.AddDate(0, 0, 1).Unix(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Unix() <= 0 {
		return 0, fmt.Errorf("time %q; expect a day such as 2027-06-30, or RFC 3339 such as 2027-06-30T18:00:00+08:00", s)
	}
	return t.Unix(), nil
}

// exempt reads an exempt line. A file is told from a name by a slash in it, as
// in ./exempt.txt, so that "example.com" never depends on whether a zone file of
// that name happens to lie there.
func (p *parser) exempt(args []string) error {
	if len(args) == 0 {
		return errUsage("exempt", nil)
	}
	if strings.ContainsRune(args[0], '/') || strings.ContainsRune(args[0], filepath.Separator) {
		return p.exemptFile(args)
	}
	e, err := parseExempted(args)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(args[0], ".") && !e.Below && !registry.TLDs(nil).Fileable(e.Name) {
		return fmt.Errorf("%q has no known top-level domain; expect %q for a file, or %q if the name is meant",
			args[0], "./"+args[0], args[0]+".")
	}
	if err := p.once("exempt " + e.String()); err != nil {
		return err
	}
	p.cfg.Exempt = append(p.cfg.Exempt, e)
	return nil
}

func (p *parser) exemptFile(args []string) error {
	full, err := p.file(args[0])
	if err != nil {
		return err
	}
	f := ExemptFile{Path: full}
	if f.Until, f.Authority, err = parseGrant(args[1:]); err != nil {
		return err
	}
	if err := p.once("exempt " + full); err != nil {
		return err
	}
	p.cfg.ExemptFiles = append(p.cfg.ExemptFiles, f)
	return nil
}
