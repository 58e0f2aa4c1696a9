package gate

// The end of a connection is encrypted, so that its flow stays until nothing has come
// for as long as timeouts idle says, and many that have ended may fill the limit. Where
// it is nearly reached, flows to which the upstream has said nothing for a while make
// room for new ones, the longest silent of some that are looked at; that their client
// sends something is no sign of life, anybody can in its name. What a flood begins and
// does not prove has its share of the limit and no more of that room.

const (
	// keptShare is the part of all connections that is kept for new ones as long as
	// others are silent. So many may be unproven where it is nearly full: with a quarter,
	// as elsewhere, some tenth of the connections get through a flood (bench/quic).
	keptShare = 16
	// silentPart is the part of timeouts idle after which a flow is silent.
	silentPart = 4
	// retireLook is how many flows are looked at for one that begins.
	retireLook = 32
	// fewFlows is how many a client may have and still take the room of others: as many
	// as a browser has. With more it takes that of its own, and of clients with yet more.
	fewFlows = 16
)

// room takes one of all connections for a flow that is to begin, or reports that there
// is none left. Nobody makes room for a stray, and for a guest nobody who is proven.
func (l *quicLoop) room(s *service, t *quicTuple, how beginning) bool {
	kept := s.limiter.max / keptShare
	if how == byHello && s.limiter.open.Load() >= s.limiter.max-kept {
		if l.unproven.n >= max(kept/int64(len(l.l.loops)), 1) {
			l.pushOut()
		} else {
			l.retire(s, t)
		}
	}
	return s.limiter.acquire() || how != byNothing && l.pushOut() && s.limiter.acquire()
}

// beginning is by what a flow begins.
type beginning uint8

const (
	byHello   beginning = iota // that may pass
	byID                       // of a connection that is somewhere else
	byNothing                  // a stray
)

// retire ends a flow that is silent, in favour of a client.
func (l *quicLoop) retire(s *service, t *quicTuple) {
	client, n := s.limiter.key(t.addr()), s.limiter.held(t.addr())
	var silent *quicFlow
	for range min(retireLook, len(l.slots)) {
		if l.hand++; l.hand >= len(l.slots) {
			l.hand = 0
		}
		f := l.slots[l.hand].flow
		switch {
		case f == nil, f.doubted, f.guest, f.s.limiter != s.limiter, l.now-f.said < f.s.idle/silentPart:
		case silent != nil && silent.said <= f.said:
		case n < fewFlows, n < s.limiter.held(f.tuple.addr()), client == s.limiter.key(f.tuple.addr()):
			silent = f
		}
	}
	if silent != nil {
		l.counts.drop(quicSilent)
		l.end(silent)
	}
}
