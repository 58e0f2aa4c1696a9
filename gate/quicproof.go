package gate

import "slices"

// A client that goes on with its handshake by an id that the server has told it has
// received the answer: it is where it says it is. Servers may have ids that can be
// guessed, and clients may go on by one that was told in secret; then that the server
// goes on too shows that it was satisfied. Until then a flow is unproven. Whoever knows
// a filed name can begin such flows in the name of any address, so they are bounded,
// apart from all others, and new ones push the oldest out: a true client needs the time
// of one answer only. All else that a client could prove is encrypted.

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

// minToldID is the least of an id that nobody guesses: quic-go's have four bytes.
const minToldID = 4

// goOn notes that a client has gone on with its handshake; told says that it did by an
// id that only it and its server know.
func (l *quicLoop) goOn(f *quicFlow, told bool) {
	switch {
	case !f.doubted || !f.heard:
	case told:
		l.prove(f)
	default:
		f.goesOn = true
	}
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
