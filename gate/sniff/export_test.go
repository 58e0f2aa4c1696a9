package sniff

// Frame is a frame of an Initial packet, as the walker sees it.
type Frame struct {
	Kind   byte
	Offset uint64
	Data   []byte
}

// Frames walks a payload.
func Frames(b []byte) (all []Frame, c Cause) {
	for len(b) > 0 {
		f, rest, cause := nextFrame(b)
		if cause != NoCause {
			return all, cause
		}
		all = append(all, Frame{f.kind, f.offset, f.data})
		b = rest
	}
	return all, NoCause
}

// Nearest is the packet number that ends in cut.
func Nearest(cut, largest, window int64) int64 { return nearest(cut, largest, window) }

// MaxMAC is how long a message of a MAC may be.
const MaxMAC = maxMAC

// Chained: MACs need no Sum.
func Chained() bool { return chained }

// MACs makes MACs with the memory of those before; slowly is by Sum.
type MACs struct {
	work  macWork
	state macState
}

func (m *MACs) MAC(key, msg []byte, slowly bool) [32]byte {
	m.work.slow = slowly
	m.work.key(&m.state, key)
	return m.work.mac(&m.state, msg)
}
