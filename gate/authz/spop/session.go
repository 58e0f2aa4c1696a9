package spop

// Asker answers what HAProxy asks. Of every NOTIFY its Session tells Begin, then
// Arg for each argument of each message, and then Answer; that is not told of a
// NOTIFY that cannot be read. What Arg gets is lent until Answer returns.
type Asker interface {
	Begin()
	Arg(message, name []byte, d Data)
	Answer(a *Ack)
}

// Session is what one connection has agreed on. The zero value waits for the
// hello. It is used by one goroutine.
type Session struct {
	max   int // the longest frame, 0 before the hello
	ended Status
	ack   Ack // of the running answer; here, since it would escape anew each time
}

// Ready reports whether the hellos were exchanged.
func (s *Session) Ready() bool { return s.max > 0 }

// Ended is why the connection ends, once Take has said that it does: what HAProxy
// was told, or else what it told. It is Normal after a health check.
func (s *Session) Ended() Status { return s.ended }

// Take answers the frames that are whole at the beginning of in: n is how many
// bytes they take, and out has the answers appended, in the same order. With done
// the connection is to be closed after that; out ends with the reason then, if
// HAProxy does not know it.
//
// Of a frame that is not whole, what is there is looked at as far as it must be
// to tell that it never will be.
func (s *Session) Take(in, out []byte, asker Asker) (n int, answers []byte, done bool) {
	for {
		f, size, status := split(in[n:], s.limit())
		if status != Normal {
			return n, s.end(out, status), true
		}
		if size == 0 {
			return n, out, false
		}
		n += size
		if f.kind == frameNotify && s.max > 0 {
			if out, status = s.notify(f, out, asker); status != Normal {
				return n, s.end(out, status), true
			}
			continue
		}
		if out, done = s.other(f, out); done {
			return n, out, true
		}
	}
}

// limit is the longest frame that is taken.
func (s *Session) limit() int {
	if s.max > 0 {
		return s.max
	}
	return maxHello
}

// end tells HAProxy why the connection ends.
func (s *Session) end(out []byte, status Status) []byte {
	s.ended = status
	return AppendDisconnect(out, status)
}

// other takes a frame that asks nothing.
func (s *Session) other(f frame, out []byte) (answers []byte, done bool) {
	switch {
	case f.flags&flagFIN == 0 || f.kind == 0:
		return s.end(out, Fragmented), true
	case f.stream != 0 || f.id != 0:
		return s.end(out, Invalid), true
	case f.kind == frameHello && s.max == 0:
		return s.hello(f.payload, out)
	case f.kind == frameDisconnect:
		status, ok := parseDisconnect(f.payload)
		if !ok {
			return s.end(out, Invalid), true
		}
		// HAProxy wants to be answered, and closes then.
		out = s.end(out, Normal)
		s.ended = status
		return out, true
	}
	return s.end(out, Invalid), true
}

func (s *Session) hello(payload, out []byte) (answers []byte, done bool) {
	h, status := parseHello(payload)
	if status != Normal {
		return s.end(out, status), true
	}
	s.max = int(min(h.maxFrameSize, MaxFrame))
	return appendAgentHello(out, h, s.max), h.healthcheck
}

// notify answers a question.
func (s *Session) notify(f frame, out []byte, asker Asker) ([]byte, Status) {
	if f.flags != flagFIN {
		return out, Fragmented
	}
	asker.Begin()
	if !messages(f.payload, asker) {
		return out, Invalid
	}
	s.ack = Ack{b: beginFrame(out, frameAck, f.stream, f.id), start: len(out), max: s.max}
	asker.Answer(&s.ack)
	out = endFrame(s.ack.b, s.ack.start)
	s.ack = Ack{}
	return out, Normal
}

// messages tells asker of all arguments of a payload, and reports whether it
// could be read to its end.
func messages(b []byte, asker Asker) bool {
	for len(b) > 0 {
		message, rest, ok := text(b)
		if !ok || len(rest) == 0 {
			return false
		}
		n := rest[0]
		b = rest[1:]
		for ; n > 0; n-- {
			name, rest, ok := text(b)
			if !ok {
				return false
			}
			d, rest, ok := data(rest)
			if !ok {
				return false
			}
			asker.Arg(message, name, d)
			b = rest
		}
	}
	return true
}
