package gate

import "slices"

// A client that goes on with its handshake once the server has answered has
// probably received the answer: it is where it says it is. Until then its flow is
// unproven. Whoever knows a filed name can begin such flows in the name of any
// address, so they are bounded, apart from all others, and new ones push the oldest
// out: a true client needs the time of one answer only. More cannot be asked for:
// all that a client could prove is encrypted, the ids that servers tell later too.

// quicUnproven are the flows of a loop that are unproven, the oldest first. The
// zero value is ready.
type quicUnproven struct {
	oldest, newest *quicFlow
	n              int64
}

// unprovenShare is the part of all connections that may be unproven.
const unprovenShare = 4

// doubt has a flow that has begun be unproven, and makes room for it.
func (l *quicLoop) doubt(f *quicFlow) {
	q := &l.unproven
	if f.older = q.newest; f.older != nil {
		f.older.newer = f
	} else {
		q.oldest = f
	}
	q.newest, f.doubted = f, true
	if q.n++; q.n > f.s.limiter.max/unprovenShare/int64(len(l.l.loops))+1 {
		l.pushOut()
	}
}

// pushOut ends the oldest flow that is unproven, and reports whether there was one.
func (l *quicLoop) pushOut() bool {
	f := l.unproven.oldest
	if f == nil {
		return false
	}
	l.counts.drop(quicPushedOut)
	if !f.heard {
		l.waitAgain(f)
	}
	l.end(f)
	return true
}

// waitAgain has the connections of a flow wait as before they were judged, since its
// upstream has not answered yet: in a flood it may take longer than the flow lasts.
// Their clients repeat what they have sent, and are judged anew by that and by what
// was read of them; from others the ids begin nothing.
func (l *quicLoop) waitAgain(f *quicFlow) {
	f.conns = slices.DeleteFunc(f.conns, func(c *quicConn) bool {
		if c.hello == nil {
			return false
		}
		c.begun, c.passed = l.now, true
		l.pending.add(l, &quicPending{conn: c})
		return true
	})
}

// prove has a flow be proven, if it was not.
func (l *quicLoop) prove(f *quicFlow) {
	if !f.doubted {
		return
	}
	q := &l.unproven
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		q.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		q.newest = f.older
	}
	f.older, f.newer, f.doubted = nil, nil, false
	q.n--
}
