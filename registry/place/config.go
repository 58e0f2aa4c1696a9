package place

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Config says what a table is made of. The zero value is the built-in table.
type Config struct {
	// Mainland is the file of what is in the mainland: a CIDR list, or a country
	// database if its name ends in ".mmdb". Optional.
	Mainland string
	// MainlandAdd: what Mainland does not list is left to the built-in table. By
	// default it is outside the mainland.
	MainlandAdd bool
	// Networks is the file of providers' networks. Optional.
	Networks string
	// NetworksText is what the file Networks would hold, in place of reading it; its
	// name is used in errors. Optional.
	NetworksText []byte
	// Confirm is how many sources must agree that an address is in the mainland;
	// 0 and 1 are one. See Sources.
	Confirm int
	// NAT64 are the network's own translation prefixes, in a length of RFC 6052.
	// The well-known prefix is always among them. Optional.
	NAT64 []netip.Prefix
}

// Open reads the files of c and makes the table. The files are read once.
func Open(c Config) (*Table, error) {
	s := Sources{MainlandAdd: c.MainlandAdd, Confirm: c.Confirm, NAT64: c.NAT64}
	var err error
	if c.Mainland != "" {
		parse := ParseMainland
		if strings.EqualFold(filepath.Ext(c.Mainland), ".mmdb") {
			parse = ParseMMDB
		}
		if s.Mainland, err = parseFile(c.Mainland, parse); err != nil {
			return nil, fmt.Errorf("mainland file: %w", err)
		}
	}
	if c.NetworksText != nil {
		if s.Networks, err = ParseNetworks(c.Networks, bytes.NewReader(c.NetworksText)); err != nil {
			return nil, fmt.Errorf("networks: %w", err)
		}
	} else if c.Networks != "" {
		if s.Networks, err = parseFile(c.Networks, ParseNetworks); err != nil {
			return nil, fmt.Errorf("networks file: %w", err)
		}
	}
	return s.Table()
}

// parseFile hands a file to one of the Parse functions.
func parseFile[T any](path string, parse func(string, io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	return parse(path, f)
}

// Sources are a table's sources, read. The zero value is the built-in table
// alone.
type Sources struct {
	Networks    *Networks // Optional
	Mainland    *List     // Optional
	MainlandAdd bool      // as in Config
	// Confirm counts the networks file, the mainland file and the built-in table,
	// which is asked for this even where Mainland decides alone. An address whose
	// deciding source says mainland, but less than Confirm of them, is unknown.
	Confirm int
	NAT64   []netip.Prefix // as in Config
}

// configured returns how many sources there are.
func (s Sources) configured() int {
	n := 1 // the built-in table
	if s.Networks != nil {
		n++
	}
	if s.Mainland != nil {
		n++
	}
	return n
}

// Table merges the sources into one table.
func (s Sources) Table() (*Table, error) {
	if have := s.configured(); s.Confirm < 0 || s.Confirm > have {
		return nil, fmt.Errorf("confirm %d: there are %d sources that could agree; configure mainland and networks files, or ask for 1 to %d", s.Confirm, have, have)
	}
	nat64, err := checkNAT64(s.NAT64)
	if err != nil {
		return nil, err
	}
	loadBuiltin()
	return s.merge(nat64), nil
}
