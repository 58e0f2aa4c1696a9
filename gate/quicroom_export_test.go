package gate

import "time"

// Silent has the upstreams of all flows of QUIC be silent for so much longer.
func (g *Gate) Silent(d time.Duration) {
	g.eachQUICLoop(func(loop *quicLoop) {
		for _, s := range loop.slots {
			if s.flow != nil {
				s.flow.said -= d
			}
		}
	})
}

// Untimed has nothing of QUIC happen because time has passed.
func (g *Gate) Untimed() {
	g.eachQUICLoop(func(loop *quicLoop) {
		loop.ticked += time.Hour
	})
}

// SilentPart is the part of timeouts idle after which a flow is silent.
const SilentPart = silentPart

// eachQUICLoop does something with each loop of QUIC while it does nothing itself.
func (g *Gate) eachQUICLoop(do func(*quicLoop)) {
	g.mu.Lock()
	list := g.allQUIC()
	g.mu.Unlock()
	for _, l := range list {
		for _, loop := range l.loops {
			loop.mu.Lock()
			do(loop)
			loop.mu.Unlock()
		}
	}
}
