package store

import (
	"fmt"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// parseEntry reads the fields of an entry and makes its key and value canonical.
func parseEntry(x *registry.Entry) ([]string, error) {
	l := listTables[x.List]
	key := strings.Fields(x.Key)
	if len(key) != l.keys {
		return nil, fmt.Errorf("the key has %d words; expect %d", len(key), l.keys)
	}
	fields := make([]string, len(l.columns))
	copy(fields, key)
	if err := parseKey(x.List, fields); err != nil {
		return nil, err
	}
	if x.Gone {
		x.Key, x.Value = strings.Join(fields[:l.keys], " "), ""
		return fields, nil
	}
	if err := parseValue(x.List, strings.Fields(x.Value), fields); err != nil {
		return nil, err
	}
	*x = entryOf(x.List, fields)
	return fields, nil
}

func parseKey(list registry.List, fields []string) error {
	switch list {
	case registry.ListNetworks:
		p, err := registry.ParsePrefix(fields[0])
		fields[0] = registry.PrefixText(p)
		return err
	case registry.ListProfiles:
		if fields[0] != "*" {
			id, err := registry.ParseProviderID(fields[0])
			if err != nil {
				return err
			}
			fields[0] = string(id)
		}
		_, err := registry.ParseProduct(fields[1])
		return err
	case registry.ListTLDs:
		d, err := registry.ParseDomain(fields[0])
		if err == nil && d.Labels() != 1 {
			err = fmt.Errorf("%q has more than one label", fields[0])
		}
		fields[0] = d.String()
		return err
	}
	name, below := strings.CutPrefix(fields[0], "*.")
	d, err := registry.ParseDNSName(name)
	if err == nil && d.IsZero() {
		err = fmt.Errorf("%q is the root; expect a name such as example.com", fields[0])
	}
	fields[0] = d.String()
	if below {
		fields[0] = "*." + fields[0]
		if list == registry.ListSuffixes {
			return fmt.Errorf("%q: a suffix stands without *", fields[0])
		}
	}
	return err
}

// productOfNetwork is what a network is besides the products of filings: where a
// CDN fetches from origins.
const productOfNetwork = "origin-pull"

func parseValue(list registry.List, says []string, fields []string) error {
	least, most := 1, 3
	switch list {
	case registry.ListNetworks:
		least, most = 3, 4
	case registry.ListSuffixes:
		least, most = 2, 2
	case registry.ListProfiles:
		most = 2
	case registry.ListTLDs:
		least, most = 0, 0
	}
	if len(says) < least || len(says) > most {
		return fmt.Errorf("it says %d words; expect %d to %d", len(says), least, most)
	}
	switch list {
	case registry.ListNetworks:
		return parseNetwork(says, fields)
	case registry.ListSuffixes:
		return parseOwned(says, fields, 1)
	case registry.ListBindings:
		return parseBinding(says, fields)
	case registry.ListProfiles:
		return parseProfile(says, fields)
	}
	return nil
}

// parseOwned reads PROVIDER PRODUCT into fields from at on. "-" is unknown.
func parseOwned(says, fields []string, at int) error {
	fields[at], fields[at+1] = says[0], says[1]
	if says[0] != "-" {
		id, err := registry.ParseProviderID(says[0])
		if err != nil {
			return err
		}
		fields[at] = string(id)
	}
	if says[1] == "-" || says[1] == productOfNetwork {
		return nil
	}
	_, err := registry.ParseProduct(says[1])
	return err
}

func parseNetwork(says, fields []string) error {
	if err := parseOwned(says, fields, 1); err != nil {
		return err
	}
	fields[3] = says[2]
	if len(says) < 4 {
		return nil
	}
	fields[4] = says[3]
	_, err := registry.ParsePlace(says[3])
	return err
}

func parseBinding(says, fields []string) error {
	fields[1] = says[0]
	if _, err := registry.ParseProduct(says[0]); err != nil {
		return err
	}
	for _, s := range says[1:] {
		what, value, _ := strings.Cut(s, "=")
		switch {
		case what == "acceleration" && oneOf(value, "mainland", "global", "overseas"):
			fields[2] = value
		case what == "origin" && oneOf(value, "here", "elsewhere", "overseas"):
			fields[3] = value
		default:
			return fmt.Errorf("unexpected %q; expect acceleration=mainland|global|overseas or origin=here|elsewhere|overseas", s)
		}
	}
	return nil
}

func parseProfile(says, fields []string) error {
	if fields[2] = says[0]; !oneOf(says[0], "access", "filing") {
		return fmt.Errorf("unknown demand %q; expect access or filing", says[0])
	}
	if len(says) == 1 {
		return nil
	}
	value, ok := strings.CutPrefix(says[1], "origin-here=")
	if fields[3] = value; !ok || !oneOf(value, "access", "filing") {
		return fmt.Errorf("unexpected %q; expect origin-here=access or origin-here=filing", says[1])
	}
	return nil
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}
