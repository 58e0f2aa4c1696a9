package gate

import "time"

// Silent has the upstreams of all flows of QUIC be silent for so much longer.
func (g *Gate) Silent(d time.Duration) {
	g.mu.Lock()
	list := g.allQUIC()
	g.mu.Unlock()
	for _, l := range list {
		for _, loop := range l.loops {
			loop.mu.Lock()
			for _, s := range loop.slots {
				if s.flow != nil {
					s.flow.said -= d
				}
			}
			loop.mu.Unlock()
		}
	}
}

// Untimed has nothing of QUIC happen because time has passed.
func (g *Gate) Untimed() {
	g.mu.Lock()
	list := g.allQUIC()
	g.mu.Unlock()
	for _, l := range list {
		for _, loop := range l.loops {
			loop.mu.Lock()
			loop.ticked += time.Hour
			loop.mu.Unlock()
		}
	}
}

// SilentPart is the part of timeouts idle after which a flow is silent.
const SilentPart = silentPart
