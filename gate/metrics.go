package gate

import (
	"sync/atomic"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// counters are those of a listener.
type counters struct {
	in, out *atomic.Uint64 // bytes from clients and to them
}

func newCounters() *counters { return &counters{in: new(atomic.Uint64), out: new(atomic.Uint64)} }

func (c *counters) verdict(v registry.Verdict, enforced bool) {}
func (c *counters) sniffed(k sniff.Kind, cause sniff.Cause)   {}
func (c *counters) upstreamFailed()                           {}
func (c *counters) acceptFailed()                             {}

func (s *service) panicked(p any) {}
