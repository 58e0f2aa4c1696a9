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
// where both say something of the same, which the first fields tell, the operator
// counts. Without a file there is the registry alone.
func (e *Edge) beneath(path string, fields int, lists ...registry.List) ([]byte, error) {
	var own []byte
	if path != "" {
		var err error
		if own, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	said := map[string]bool{}
	for line := range bytes.Lines(own) {
		if key := keyOf(string(line), fields); key != "" {
			said[key] = true
		}
	}
	all := own
	if len(all) > 0 && all[len(all)-1] != '\n' {
		all = append(all, '\n')
	}
	for _, list := range lists {
		for line := range bytes.Lines(e.lists.File(list)) {
			if key := keyOf(string(line), fields); key != "" && !said[key] {
				said[key] = true
				all = append(all, line...)
			}
		}
	}
	return all, nil
}

// keyOf is what a line is about: its first fields in lower case, without a
// comment.
func keyOf(line string, fields int) string {
	line, _, _ = strings.Cut(strings.TrimPrefix(line, "\ufeff"), "#")
	words := strings.Fields(strings.ToLower(line))
	return strings.Join(words[:min(fields, len(words))], " ")
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
	text, err := e.beneath(c.Networks, 1, registry.ListNetworks, registry.ListServers)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		c.Networks, c.NetworksText = source(c.Networks), text
	}
	return place.Open(c)
}

func (e *Edge) openListedSuffixes(path string) (*place.Suffixes, error) {
	text, err := e.beneath(path, 1, registry.ListSuffixes)
	if err != nil {
		return nil, err
	}
	return place.ParseSuffixes(source(path), bytes.NewReader(text))
}

func (e *Edge) openListedBindings(path string) (*place.Bindings, error) {
	text, err := e.beneath(path, 1, registry.ListBindings)
	if err != nil {
		return nil, err
	}
	return place.ParseBindings(source(path), bytes.NewReader(text))
}

func (e *Edge) openListedProfiles(path string) (*registry.Profiles, error) {
	text, err := e.beneath(path, 2, registry.ListProfiles)
	if err != nil {
		return nil, err
	}
	return registry.ParseProfiles(source(path), bytes.NewReader(text))
}

// openListedExemptions reads those of the registry; the block's own are beside
// them.
func (e *Edge) openListedExemptions() (*Exemptions, error) {
	text, err := e.beneath("", 1, registry.ListExemptions)
	if err != nil {
		return nil, err
	}
	return ParseExemptions(source(""), bytes.NewReader(text))
}
