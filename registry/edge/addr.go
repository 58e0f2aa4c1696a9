package edge

import (
	"net/netip"

	"github.com/icpgate/icpgate/registry"
)

// CoverageAddr returns what the registry knows of an address; of the zero Addr,
// only whether there is a registry.
func (e *Edge) CoverageAddr(a netip.Addr) registry.Coverage { return e.Index().CoverAddr(a) }
