package edge

import (
	"bytes"
	"os"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// Lister tells the lists that a registry has beside its filings. It is safe for
// concurrent use.
type Lister interface {
	// File returns one list as the data file that an operator would write.
	File(registry.List) []byte
	// ListsState is another number after a list has changed.
	ListsState() uint64
}

// beneath is a data file of the operator with what the registry lists beneath it:
// where both say something of the same, which about tells by a line's fields, the
// operator counts. Without a file there is the registry alone.
func (e *Edge) beneath(path string, about func(fields []string) string, lists ...registry.List) ([]byte, error) {
	var own []byte
	if path != "" {
		var err error
		if own, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	said := map[string]bool{}
	for line := range bytes.Lines(own) {
		if key := keyOf(string(line), about); key != "" {
			said[key] = true
		}
	}
	all := own
	if len(all) > 0 && all[len(all)-1] != '\n' {
		all = append(all, '\n')
	}
	for _, list := range lists {
		for line := range bytes.Lines(e.lists.File(list)) {
			if key := keyOf(string(line), about); key != "" && !said[key] {
				said[key] = true
				all = append(all, line...)
			}
		}
	}
	return all, nil
}

// keyOf is what a line is about, "" for one that says nothing.
func keyOf(line string, about func(fields []string) string) string {
	line, _, _ = strings.Cut(strings.TrimPrefix(line, "\ufeff"), "#")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return ""
	}
	return about(fields)
}

// What lines of each list are about, in one form however they are spelt: two rows of
// one prefix or name that say different things are an error, and would keep the edge
// from the whole list. What cannot be read stays as it is, for the list's parser to
// refuse.

func aboutPrefix(fields []string) string {
	p, err := registry.ParsePrefix(fields[0])
	if err != nil {
		return fields[0]
	}
	return p.String()
}

func aboutName(fields []string) string {
	name, below := strings.CutPrefix(fields[0], "*.")
	d, err := registry.ParseDNSName(name)
	switch {
	case err != nil:
		return fields[0]
	case below:
		return "*." + d.String()
	}
	return d.String()
}

func aboutSuffix(fields []string) string {
	s, err := place.CanonicalSuffix(fields[0])
	if err != nil {
		return fields[0]
	}
	return s
}

// aboutProfile is provider and product; the words of products have one spelling.
func aboutProfile(fields []string) string {
	if id, err := registry.ParseProviderID(fields[0]); err == nil {
		fields[0] = string(id)
	}
	return strings.Join(fields[:min(2, len(fields))], " ")
}

// source names what beneath made, in errors.
func source(path string) string {
	if path == "" {
		return "the registry's list"
	}
	return path + " with the registry's list"
}

// openListedPlaces is place.Open with the networks of the registry.
func (e *Edge) openListedPlaces(c place.Config) (*place.Table, error) {
	text, err := e.beneath(c.Networks, aboutPrefix, registry.ListNetworks, registry.ListServers)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		c.Networks, c.NetworksText = source(c.Networks), text
	}
	return place.Open(c)
}

func (e *Edge) openListedSuffixes(path string) (*place.Suffixes, error) {
	text, err := e.beneath(path, aboutSuffix, registry.ListSuffixes)
	if err != nil {
		return nil, err
	}
	return place.ParseSuffixes(source(path), bytes.NewReader(text))
}

func (e *Edge) openListedBindings(path string) (*place.Bindings, error) {
	text, err := e.beneath(path, aboutName, registry.ListBindings)
	if err != nil {
		return nil, err
	}
	return place.ParseBindings(source(path), bytes.NewReader(text))
}

func (e *Edge) openListedProfiles(path string) (*registry.Profiles, error) {
	text, err := e.beneath(path, aboutProfile, registry.ListProfiles)
	if err != nil {
		return nil, err
	}
	return registry.ParseProfiles(source(path), bytes.NewReader(text))
}

// openListedExemptions reads those of the registry; the block's own are beside
// them.
func (e *Edge) openListedExemptions() (*Exemptions, error) {
	text, err := e.beneath("", aboutName, registry.ListExemptions)
	if err != nil {
		return nil, err
	}
	return ParseExemptions(source(""), bytes.NewReader(text))
}
