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

// HMAC is HMAC-SHA-256 of a short key and message.
func HMAC(key, msg []byte) [32]byte { return hmac256(key, msg) }
