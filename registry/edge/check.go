package edge

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// CheckEntry reports why an edge could not read an entry of a list: whoever keeps a
// registry refuses it then. A line that cannot be read keeps an edge from the whole
// list, and so from all that is changed in it later.
func CheckEntry(x registry.Entry) error {
	if err := x.Check(); err != nil || x.Gone {
		return err
	}
	const name = "entry"
	err := readList(x.List, name, strings.NewReader(x.Key+" "+x.Value+"\n"))
	if err == nil {
		return nil
	}
	// There is one line only: where it is needs not be told.
	text := strings.TrimPrefix(err.Error(), name+":1: ")
	if x.List == registry.ListServers {
		text = strings.ReplaceAll(text, "as fifth field", "as the server's place")
	}
	return errors.New(text)
}

// readList reads a list as an edge does, and tells what is wrong with it.
func readList(list registry.List, name string, r io.Reader) (err error) {
	switch list {
	case registry.ListExemptions:
		_, err = ParseExemptions(name, r)
	case registry.ListNetworks, registry.ListServers:
		_, err = place.ParseNetworks(name, r)
	case registry.ListBindings:
		_, err = place.ParseBindings(name, r)
	case registry.ListSuffixes:
		_, err = place.ParseSuffixes(name, r)
	case registry.ListProfiles:
		_, err = registry.ParseProfiles(name, r)
	case registry.ListTLDs: // edges are told of them, and read no file of them
	default:
		err = fmt.Errorf("%s: this program does not know how edges read them", list)
	}
	return err
}
