package gate

import (
	"bytes"
	"net/netip"

	"github.com/icpgate/icpgate/gate/sniff"
)

// headEdit is a part of a head that is not forwarded as it came: with stands in
// its place.
type headEdit struct {
	sniff.Span
	with edited
}

// edited is what stands in the place of a part.
type edited uint8

const (
	dropped        edited = iota
	connectionOnly        // the options that are left of Connection
	forPlain              // the client's address, behind those that came
	forElement            // the same as an element of Forwarded
)

// maxEdits: the lines of an upgrade, and those that tell of the client.
const maxEdits = 4 + 16

// headEdits are in the order of the head.
type headEdits struct {
	list [maxEdits]headEdit
	n    int
}

func (e *headEdits) add(s sniff.Span, with edited) {
	i := e.n
	for ; i > 0 && e.list[i-1].From > s.From; i-- {
		e.list[i] = e.list[i-1]
	}
	e.list[i] = headEdit{s, with}
	e.n++
}

// appendHead appends the head of a request as it is forwarded: as it came, but
// for an upgrade that is not granted and the fields that tell of the client.
func (h *httpConn) appendHead(out []byte, r *sniff.Request, b []byte, upgrade bool) []byte {
	var e headEdits
	if !upgrade {
		e.noUpgrade(r)
	}
	told := h.forwardEdits(&e, r)
	at := r.Start
	for _, x := range e.list[:e.n] {
		out = append(out, b[at:x.From]...)
		at = x.To
		switch x.with {
		case connectionOnly:
			out = appendConnection(out, x.Of(b))
		case forPlain:
			out = appendAddr(append(out, ", "...), h.from.Addr())
		case forElement:
			out = appendElement(append(out, ", "...), h.from.Addr(), h.scheme)
		}
	}
	end := r.Length - len("\r\n")
	out = append(out, b[at:end]...)
	out = h.appendForwarded(out, told)
	return append(out, "\r\n"...)
}

// noUpgrade takes out what asks for another protocol.
func (e *headEdits) noUpgrade(r *sniff.Request) {
	for _, s := range r.Drop {
		if s.To > s.From {
			e.add(s, dropped)
		}
	}
	if e.n == 0 {
		return
	}
	for _, s := range r.Connection {
		if s.To > s.From {
			e.add(s, connectionOnly)
		}
	}
}

// appendConnection appends what is left of a line of Connection.
func appendConnection(out, line []byte) []byte {
	_, options, _ := bytes.Cut(line[:len(line)-len("\r\n")], []byte{':'})
	from, separator := len(out), "Connection: "
	for len(options) > 0 {
		option, rest, _ := bytes.Cut(options, []byte{','})
		options, option = rest, bytes.Trim(option, " \t")
		if len(option) > 0 && !asciiFold(option, "upgrade") && !asciiFold(option, "http2-settings") {
			out = append(append(out, separator...), option...)
			separator = ", "
		}
	}
	if len(out) > from {
		out = append(out, "\r\n"...)
	}
	return out
}

// told are the fields that tell of the client already.
type told struct{ addr, proto, element bool }

// forwardEdits takes out the fields that tell of the client, or adds to the last
// of each. What would pass beside one of them for the same is taken out.
func (h *httpConn) forwardEdits(e *headEdits, r *sniff.Request) (t told) {
	if h.s.forwarded == ForwardedOff {
		return told{true, true, true}
	}
	var addr, element sniff.Span
	for _, s := range r.Forwarded[:r.Forwards] {
		if h.s.forwarded == ForwardedReplace || s.Alike {
			e.add(s.Span(), dropped)
			continue
		}
		switch s.Tells {
		case sniff.TellsElement:
			element = s.Span()
		case sniff.TellsAddr:
			addr = s.Span()
		case sniff.TellsProto:
			t.proto = true
		}
	}
	t.addr, t.element = e.behind(addr, forPlain), e.behind(element, forElement)
	return t
}

// behind adds to the end of a line, if there is one.
func (e *headEdits) behind(line sniff.Span, with edited) bool {
	if line.To == line.From {
		return false
	}
	end := line.To - len("\r\n")
	e.add(sniff.Span{From: end, To: end}, with)
	return true
}

// appendForwarded appends the fields that nobody has told yet.
func (h *httpConn) appendForwarded(out []byte, t told) []byte {
	if !t.addr {
		out = appendAddr(append(out, "X-Forwarded-For: "...), h.from.Addr())
		out = append(out, "\r\n"...)
	}
	if !t.proto {
		out = append(append(out, "X-Forwarded-Proto: "...), h.scheme...)
		out = append(out, "\r\n"...)
	}
	if !t.element {
		out = appendElement(append(out, "Forwarded: "...), h.from.Addr(), h.scheme)
		out = append(out, "\r\n"...)
	}
	return out
}

// appendElement appends what RFC 7239 §4 calls a forwarded-element.
func appendElement(out []byte, from netip.Addr, scheme string) []byte {
	out = append(out, "for="...)
	if from.Is6() {
		out = append(from.AppendTo(append(out, `"[`...)), `]"`...)
	} else {
		out = appendAddr(out, from)
	}
	out = append(out, ";proto="...)
	return append(out, scheme...)
}

// appendAddr appends a client's address; "unknown" where there is none, as for a
// socket of the file system.
func appendAddr(out []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(out, "unknown"...)
	}
	return a.AppendTo(out)
}
