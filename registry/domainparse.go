package registry

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// lookupIDNA maps one label as UTS-46 does for look-up: non-transitional, no
// STD3 rules, no hyphen check, since such labels are alive below filed names.
var lookupIDNA = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false), idna.BidiRule())

// ParseDomain reads a host name as an HTTP Host header, an SNI, a file or a
// person gives it: one trailing dot and a numeric port are stripped, labels of
// letters, digits, hyphen and underscore are lower-cased, others mapped by
// UTS-46, one by one. Escapes, addresses and anything that two programs could
// read differently are refused with a *DomainError.
//
// A name that is canonical already is returned without a copy; one that is so but
// for its case usually, too, if it was read lately.
func ParseDomain(s string) (Domain, error) {
	if isCanonical(s) {
		return Domain{s}, nil
	}
	name, err := stripPort(s)
	if err != nil {
		return Domain{}, err
	}
	return parseName(s, name)
}

// ParseDNSName reads a name in the presentation form of DNS, for example from a
// dns.Question: no port, \DDD and \X escapes decoded, raw UTF-8 labels mapped
// as ParseDomain does. A label that holds a dot, or bytes that are no UTF-8,
// is refused: no host name can be meant. The root is the zero Domain.
func ParseDNSName(s string) (Domain, error) {
	if n := len(s) - 1; n > 0 && s[n] == '.' && isCanonical(s[:n]) {
		return Domain{s[:n]}, nil
	}
	if s == "." {
		return Domain{}, nil
	}
	if strings.IndexByte(s, '\\') < 0 {
		return parseName(s, s)
	}
	name, err := unescape(s)
	if err != nil {
		return Domain{}, err
	}
	return parseName(s, name)
}

// MustParseDomain is ParseDomain for tests and tables; it panics on an error.
func MustParseDomain(s string) Domain {
	d, err := ParseDomain(s)
	if err != nil {
		panic(err)
	}
	return d
}

// stripPort cuts ":digits" from the end. A colon anywhere else stays for the
// label check to refuse.
func stripPort(s string) (string, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, nil
	}
	port := s[i+1:]
	if len(port) > 5 {
		return "", refuse(s, "the port is not a number from 0 to 65535")
	}
	n := 0
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return "", refuse(s, "the port is not a number from 0 to 65535")
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return "", refuse(s, "the port is not a number from 0 to 65535")
	}
	return s[:i], nil
}

// unescape decodes DNS presentation escapes; a dot inside a label is refused,
// since the name would be read as another one.
func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' {
			b = append(b, c)
			continue
		}
		switch {
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			n := int(s[i+1]-'0')*100 + int(s[i+2]-'0')*10 + int(s[i+3]-'0')
			if n > 255 {
				return "", refuse(s, "an escape is above \\255")
			}
			c, i = byte(n), i+3
		case i+1 < len(s) && !isDigit(s[i+1]):
			c, i = s[i+1], i+1
		default:
			return "", refuse(s, "an escape is cut short")
		}
		if c == '.' {
			return "", refuse(s, "a label holds an escaped dot")
		}
		b = append(b, c)
	}
	return string(b), nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseName makes a name canonical; orig is what an error quotes.
func parseName(orig, name string) (Domain, error) {
	if d, ok := plain(name); ok {
		return d, nil
	}
	name = strings.TrimSuffix(name, ".")
	switch scan(name) {
	case canonical:
	case upper:
		name = strings.ToLower(name)
	default:
		var err error
		if name, err = mapLabels(orig, name); err != nil {
			return Domain{}, err
		}
	}
	if err := checkLengths(orig, name); err != nil {
		return Domain{}, err
	}
	if looksLikeIPv4(name) {
		return Domain{}, refuse(orig, "is an address, not a name")
	}
	return Domain{name}, nil
}

// mapLabels maps the labels that are not plain ASCII, one by one.
func mapLabels(orig, name string) (string, error) {
	// A DNS name is at most 253 bytes; UTF-8 and escapes stretch that fourfold.
	// Beyond it nothing valid can come out, and mapping costs time per byte.
	if len(name) > 4*maxDomain {
		return "", refuse(orig, "is too long; a name has at most 253 bytes")
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		switch scan(label) {
		case canonical:
		case upper:
			labels[i] = strings.ToLower(label)
		default:
			mapped, err := mapLabel(orig, label)
			if err != nil {
				return "", err
			}
			labels[i] = mapped
		}
	}
	return strings.Join(labels, "."), nil
}

// mapLabel maps one label through UTS-46.
func mapLabel(orig, label string) (string, error) {
	if !utf8.ValidString(label) {
		return "", refuse(orig, fmt.Sprintf("label %q is not valid UTF-8", label))
	}
	if isASCII(label) {
		return "", refuse(orig, fmt.Sprintf("label %q holds %q; a host name has letters, digits, hyphen and underscore", label, firstBad(label)))
	}
	mapped, err := lookupIDNA.ToASCII(label)
	if err != nil {
		return "", refuse(orig, fmt.Sprintf("label %q cannot be mapped by UTS-46: %s", label, strings.TrimPrefix(err.Error(), "idna: ")))
	}
	mapped = strings.ToLower(mapped)
	if mapped == "" {
		return "", refuse(orig, fmt.Sprintf("label %q maps to nothing", label))
	}
	if strings.IndexByte(mapped, '.') >= 0 {
		return "", refuse(orig, fmt.Sprintf("label %q holds a dot after mapping; write labels apart with \".\"", label))
	}
	if scan(mapped) != canonical {
		return "", refuse(orig, fmt.Sprintf("label %q maps to %q, which is no host name label", label, mapped))
	}
	return mapped, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// firstBad returns the first byte that keeps an ASCII label from being LDH or underscore.
func firstBad(label string) string {
	for i := range len(label) {
		if scan(label[i:i+1]) == other {
			return label[i : i+1]
		}
	}
	return ""
}

func checkLengths(orig, name string) error {
	if name == "" {
		return refuse(orig, "is empty")
	}
	if len(name) > maxDomain {
		return refuse(orig, fmt.Sprintf("has %d bytes; a name has at most %d", len(name), maxDomain))
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			continue
		}
		switch n := i - start; {
		case n == 0:
			return refuse(orig, "has an empty label")
		case n > maxLabel:
			return refuse(orig, fmt.Sprintf("label %q has %d bytes; a label has at most %d", name[start:i], n, maxLabel))
		}
		start = i + 1
	}
	return nil
}

// looksLikeIPv4 reports whether the last label is a number, decimal or
// hexadecimal. No TLD is, and URL parsers read such a host as an address
// (WHATWG URL, "ends in a number").
func looksLikeIPv4(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.HasPrefix(last, "0x") {
		return strings.Trim(last[2:], "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}
