package spop

import "strings"

// The keys of hellos and farewells.
const (
	keyVersions     = "supported-versions"
	keyVersion      = "version"
	keyMaxFrameSize = "max-frame-size"
	keyCapabilities = "capabilities"
	keyHealthcheck  = "healthcheck"
	keyStatus       = "status-code"
	keyMessage      = "message"
)

const (
	version    = "2.0"
	pipelining = "pipelining"
)

// hello is what HAProxy begins with. Its engine-id, which is missing since
// version 3.1, told connections of one process apart for answers over others of
// them; it is passed over like every key that is not known.
type hello struct {
	versions, capabilities       []byte
	maxFrameSize                 uint64
	hasVersions, hasMaxFrameSize bool
	hasCapabilities, healthcheck bool
}

// parseHello reads a payload, and tells what is wrong with it.
func parseHello(b []byte) (h hello, s Status) {
	for len(b) > 0 {
		key, rest, ok := text(b)
		if !ok {
			return h, Invalid
		}
		d, rest, ok := data(rest)
		if !ok || !h.take(key, d) {
			return h, Invalid
		}
		b = rest
	}
	switch {
	case !h.hasVersions:
		return h, NoVersion
	case !h.hasMaxFrameSize:
		return h, NoMaxFrameSize
	case !h.hasCapabilities:
		return h, NoCapabilities
	case !lists(h.versions, version):
		return h, BadVersion
	case h.maxFrameSize < MinFrame:
		return h, BadMaxFrameSize
	}
	return h, Normal
}

// take notes one item; it reports false where the value has not its type, or
// stands for the second time.
func (h *hello) take(key []byte, d Data) (ok bool) {
	switch string(key) {
	case keyVersions:
		ok = d.Type == String && !h.hasVersions
		h.versions, h.hasVersions = d.Bytes, true
	case keyMaxFrameSize:
		ok = d.Type >= Int32 && d.Type <= Uint64 && !h.hasMaxFrameSize
		h.maxFrameSize, h.hasMaxFrameSize = d.Number, true
	case keyCapabilities:
		ok = d.Type == String && !h.hasCapabilities
		h.capabilities, h.hasCapabilities = d.Bytes, true
	case keyHealthcheck:
		ok = d.Type == Bool
		h.healthcheck = d.Number == 1
	default:
		ok = true
	}
	return ok
}

// lists reports whether a list with commas holds a word.
func lists(list []byte, word string) bool {
	for s := range strings.SplitSeq(string(list), ",") {
		if strings.TrimSpace(s) == word {
			return true
		}
	}
	return false
}

// appendAgentHello appends the answer to a hello. Of what HAProxy can, only
// pipelining is taken up.
func appendAgentHello(b []byte, h hello, max int) []byte {
	start := len(b)
	b = beginFrame(b, frameAgentHello, 0, 0)
	b = appendString(appendText(b, keyVersion), version)
	b = append(appendText(b, keyMaxFrameSize), byte(Uint32))
	b = appendVarint(b, uint64(max))
	agreed := ""
	if lists(h.capabilities, pipelining) {
		agreed = pipelining
	}
	b = appendString(appendText(b, keyCapabilities), agreed)
	return endFrame(b, start)
}

// AppendDisconnect appends the frame by which an agent ends a connection.
func AppendDisconnect(b []byte, s Status) []byte {
	start := len(b)
	b = beginFrame(b, frameAgentDisconnect, 0, 0)
	b = append(appendText(b, keyStatus), byte(Uint32))
	b = appendVarint(b, uint64(s))
	b = appendString(appendText(b, keyMessage), s.String())
	return endFrame(b, start)
}

// parseDisconnect reads why HAProxy ends a connection.
func parseDisconnect(b []byte) (s Status, ok bool) {
	s = Unknown
	for len(b) > 0 {
		key, rest, ok := text(b)
		if !ok {
			return s, false
		}
		d, rest, ok := data(rest)
		if !ok {
			return s, false
		}
		if string(key) == keyStatus && d.Type >= Int32 && d.Type <= Uint64 {
			s = Status(min(d.Number, uint64(Unknown)))
		}
		b = rest
	}
	return s, true
}

func appendString(b []byte, s string) []byte {
	return appendText(append(b, byte(String)), s)
}
