package gate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// size reads a number of bytes, which k and m multiply.
func size(what, s string, low, high int) (int, error) {
	digits, unit := s, 1
	switch {
	case strings.HasSuffix(s, "k"):
		digits, unit = s[:len(s)-1], 1<<10
	case strings.HasSuffix(s, "m"):
		digits, unit = s[:len(s)-1], 1<<20
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > high/unit || n*unit < low {
		return 0, fmt.Errorf("%s %q; expect bytes from %d to %d, as in 16384 or 16k", what, s, low, high)
	}
	return n * unit, nil
}

// duration reads a duration within bounds. Zero is refused: in a Config it
// stands for the default.
func duration(what, s string, low, high time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < low || d > high {
		return 0, fmt.Errorf("%s %q; expect a duration from %s to %s, as in 5s or 2m", what, s, low, high)
	}
	return d, nil
}

// prefixes reads networks, each once.
func prefixes(args []string) (all []netip.Prefix, err error) {
	for _, s := range args {
		prefix, err := registry.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p == prefix {
				return nil, fmt.Errorf("network %q is given twice", s)
			}
		}
		all = append(all, prefix)
	}
	return all, nil
}

// prefixBits reads the two lengths of client prefixes.
func prefixBits(args []string) (v4, v6 int, err error) {
	if len(args) < 2 {
		return 0, 0, fmt.Errorf("%d lengths; expect two, for IPv4 and IPv6, as in 24 56", len(args))
	}
	if v4, err = edge.Number("IPv4 prefix length", args[0], 1, 32); err != nil {
		return 0, 0, err
	}
	v6, err = edge.Number("IPv6 prefix length", args[1], 1, 128)
	return v4, v6, err
}

// cgnat is shared between carriers and their customers, RFC 6598.
var cgnat = netip.MustParsePrefix("100.64.0.0/10")

// public reports whether an address can be one that the public reaches. The
// documentation prefixes count as such: an example must start. What is in force
// at run time is the table of places.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !cgnat.Contains(a)
}
