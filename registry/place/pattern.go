package place

import (
	"fmt"
	"path"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// pattern is a CNAME suffix in its three parts: the labels before the one with a
// wildcard, that label, and the labels behind it. A plain suffix is a tail alone.
type pattern struct {
	head  string // "" or literal labels with dots between them
	label string // with a wildcard; "" for none
	tail  registry.Domain
}

// wildcards are the characters that a label's glob may hold beside those of a
// host name. path.Match gives them their meaning.
const wildcards = "*?[]"

func parsePattern(s string) (p pattern, err error) {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	at := -1
	for i, label := range labels {
		if !strings.ContainsAny(label, wildcards) {
			continue
		}
		if at >= 0 {
			return p, fmt.Errorf("suffix %q has wildcards in two labels; one may have them", show(s))
		}
		at = i
	}
	if at == len(labels)-1 {
		return p, fmt.Errorf("suffix %q has a wildcard in its last label, which would match everywhere", show(s))
	}
	if p.tail, err = parseHostName(strings.Join(labels[at+1:], ".")); err != nil || at < 0 {
		return p, err
	}
	if p.label, err = parseGlob(labels[at]); err != nil || at == 0 {
		return p, err
	}
	// The head is no name by itself, since a number may stand last in it.
	whole, err := parseHostName(strings.Join(labels[:at], ".") + ".x")
	p.head = strings.TrimSuffix(whole.String(), ".x")
	return p, err
}

// CanonicalSuffix returns the one form of a CNAME suffix that a line of ParseSuffixes
// may begin with, however it is spelt.
func CanonicalSuffix(s string) (string, error) {
	p, err := parsePattern(s)
	return p.String(), err
}

// parseHostName reads a name of a file: no port, and not the root.
func parseHostName(s string) (registry.Domain, error) {
	d, err := registry.ParseDNSName(s)
	if err == nil && d.IsZero() {
		err = fmt.Errorf("%q is the root; expect a name such as example.com", s)
	}
	return d, err
}

func parseGlob(label string) (string, error) {
	label = strings.ToLower(label)
	for _, c := range label {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && !strings.ContainsRune(wildcards, c) {
			return "", fmt.Errorf("label %q holds %q; expect letters, digits, hyphen, underscore, *, ? and [1-5]", show(label), c)
		}
	}
	if _, err := path.Match(label, ""); err != nil {
		return "", fmt.Errorf("label %q has a bracket that is not closed or holds no range; write for example [1-5]", show(label))
	}
	return label, nil
}

// String returns the canonical form, which parsePattern reads.
func (p pattern) String() string {
	s := p.tail.String()
	if p.label != "" {
		s = p.label + "." + s
	}
	if p.head != "" {
		s = p.head + "." + s
	}
	return s
}

// rank orders patterns: by labels, then plain ones over globs, then by literal
// characters.
func (p pattern) rank() int {
	text := p.String()
	labels := 1 + strings.Count(text, ".")
	if p.label == "" {
		return labels<<20 | 1<<19
	}
	return labels<<20 | len(text) - len(p.label) + literals(p.label)
}

// literals counts the characters of a glob that stand for themselves.
func literals(label string) (n int) {
	in := false
	for _, c := range []byte(label) {
		switch {
		case c == '[':
			in = true
		case c == ']':
			in = false
		case !in && c != '*' && c != '?':
			n++
		}
	}
	return n
}

// glob is a pattern with a wildcard, ready to match.
type glob struct {
	head, label string
	start       string // what label begins with literally: tells nearly all names apart
	line        suffix
}

func newGlob(p pattern, line suffix) glob {
	return glob{p.head, p.label, p.label[:strings.IndexAny(p.label, wildcards)], line}
}

// match reports whether d, which ends in tail, ends in the glob's labels.
func (g *glob) match(d, tail registry.Domain) bool {
	rest := len(d.String()) - len(tail.String()) - 1
	if rest < 1 {
		return false
	}
	before := d.String()[:rest]
	label := before[strings.LastIndexByte(before, '.')+1:]
	if !strings.HasPrefix(label, g.start) {
		return false
	}
	if ok, err := path.Match(g.label, label); err != nil || !ok {
		return false
	}
	if g.head == "" {
		return true
	}
	head, ok := strings.CutSuffix(before, "."+label)
	return ok && endsInLabels(head, g.head)
}

// endsInLabels reports whether name is suffix or ends in it at a dot.
func endsInLabels(name, suffix string) bool {
	head, ok := strings.CutSuffix(name, suffix)
	return ok && (head == "" || head[len(head)-1] == '.')
}
