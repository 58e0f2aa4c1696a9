package edge

import (
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// Generation stands for all that an Edge decides by at one moment: its
// configuration, the registry and the data beside it. Two that are equal mean
// that nothing was put in the place of anything between the calls that returned
// them. It is a value; the zero Generation is none that an Edge has.
type Generation struct {
	born  uint64 // the Edge's number in the process
	view  *index.View
	swaps uint64
}

// swaps counts what was put in force in the process beside registries, which
// number their views themselves. It is counted after the fact: who reads the
// number and then the data has data that are as new as the number, or newer.
var swaps atomic.Uint64

// Generation returns the one in force. It reports false where answers of the
// registry have a time of their own, in thin mode, or there are none: no
// registry, or one too old to decide; g stands for all but the registry then.
func (e *Edge) Generation() (g Generation, ok bool) {
	g = Generation{born: e.born, swaps: swaps.Load()}
	if e.remote != nil || e.stale.Load() {
		return g, false
	}
	g.view = e.View()
	return g, g.view != nil
}

// Asks reports whether answers of the registry are asked for name by name, in thin
// mode: they may have to be waited for, and are other ones in time without anything
// being put in force.
func (e *Edge) Asks() bool { return e.remote != nil }

// Numbers tell g from any other of the process, also from those whose registry
// is long gone.
func (g Generation) Numbers() (edge, view, data uint64) { return g.born, g.view.ID(), g.swaps }

// TimeBound reports whether the verdict on a host may be another one at another
// time though nothing is put in force: an exemption of its name ends, or a grace.
func (e *Edge) TimeBound(q *registry.Query, c *registry.Coverage) bool {
	if q.TimeBound(c) {
		return true
	}
	return e.exemptionEnds(q.Host.Name)
}

// exemptionEnds reports whether an exemption of a name has an end, be it past.
func (e *Edge) exemptionEnds(d registry.Domain) bool {
	if e.exempt.ends(d) {
		return true
	}
	for _, f := range e.exempted {
		if f.get().ends(d) {
			return true
		}
	}
	return false
}
