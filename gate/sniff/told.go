package sniff

import (
	"bytes"
	"iter"
)

// Tells is what a field tells of the client and its request, by the word of
// whoever stood in between, or of the client itself. The zero value is nothing.
type Tells uint8

// What fields tell.
const (
	TellsNothing Tells = iota
	TellsAddr          // X-Forwarded-For
	TellsProto         // X-Forwarded-Proto
	TellsHost          // X-Forwarded-Host
	TellsElement       // Forwarded, RFC 7239
	TellsMore          // X-Real-IP, and whatever else begins with X-Forwarded-
)

// Told is a line that tells something. Alike means that its name is another one,
// which is the same to programs behind CGI, WSGI and their like: they know fields as
// variables, in whose names - is _ (RFC 3875 §4.1.18), and so is what is neither
// letter nor digit with lighttpd.
type Told struct {
	from, to uint32 // a Request has many, and heads are short
	Tells    Tells
	Alike    bool
}

// Span is the line, with its end.
func (t Told) Span() Span { return Span{int(t.from), int(t.to)} }

// toldPrefix is what most of the names begin with.
const toldPrefix = "x-forwarded-"

// TellsOf returns what the field of a name tells, and whether it is Alike as in Told.
func TellsOf(name []byte) (t Tells, alike bool) {
	switch n := len(name); {
	case n == 9 && equalFold(name, "forwarded"):
		return TellsElement, false
	case n == 9 && Alike(name, "x-real-ip"):
		return TellsMore, !equalFold(name, "x-real-ip")
	case n <= len(toldPrefix) || !Alike(name[:len(toldPrefix)], toldPrefix):
		return TellsNothing, false
	}
	rest := name[len(toldPrefix):]
	switch {
	case equalFold(rest, "for"):
		t = TellsAddr
	case equalFold(rest, "proto"):
		t = TellsProto
	case equalFold(rest, "host"):
		t = TellsHost
	default:
		t = TellsMore
	}
	return t, !equalFold(name[:len(toldPrefix)], toldPrefix)
}

// Alike reports whether a field's name makes the same variable as lower, which is
// in lower case. A name is like itself.
func Alike(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		c = toLower(c)
		if c != lower[i] && (lower[i] != '-' || isDigit(c) || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}

// HostsTold lists the hosts that lines of a request tell beside the one that it is
// for: of X-Forwarded-Host and of Forwarded, and with alike of lines that are Alike. Each
// comes with its kind, Malformed for what cannot be read in one way. Hosts that are the
// request's own are left out, and those that are none. b is what the request was read
// from.
func (r *Request) HostsTold(b []byte, alike bool) iter.Seq2[Kind, []byte] {
	return func(yield func(Kind, []byte) bool) {
		for _, line := range r.Forwarded[:r.Forwards] {
			if line.Alike && !alike {
				continue
			}
			_, value, _ := bytes.Cut(bytes.TrimSuffix(line.Span().Of(b), []byte("\r\n")), []byte{':'})
			for kind, host := range HostsOf(line.Tells, trimBytes(value)) {
				if (kind != r.Kind || !sameHost(host, r.Host.Of(b))) && !yield(kind, host) {
					return
				}
			}
		}
	}
}

// HostsOf lists the hosts in the value of a field that tells t, without ports, each
// with its kind, as HostsTold does.
func HostsOf(t Tells, value []byte) iter.Seq2[Kind, []byte] {
	return func(yield func(Kind, []byte) bool) {
		switch t {
		case TellsHost:
			for len(value) > 0 {
				var host []byte
				if host, value, _ = bytes.Cut(value, []byte{','}); !yieldHost(trimBytes(host), yield) {
					return
				}
			}
		case TellsElement:
			elementHosts(value, yield)
		}
	}
}

// yieldHost yields one; it reports whether to go on.
func yieldHost(authority []byte, yield func(Kind, []byte) bool) bool {
	host, kind := (&requestParser{b: authority}).host(Span{0, len(authority)})
	return kind == NoName || yield(kind, host.Of(authority))
}

// elementHosts yields the parameters host of a Forwarded, and others whose names end
// so: who looks for "host=" takes them for it (Spring, Vert.x). Whatever looks like one
// must be one: who splits at every semicolon finds them in quotes too, and who takes
// quotes and backslashes out of names (Symfony, Jetty) makes it of a name with them. Nor
// may a quote stay open, which would swallow what is added behind it.
func elementHosts(value []byte, yield func(Kind, []byte) bool) {
	left := countHosts(value)
	for len(value) > 0 {
		name, arg, rest, ok := nextParameter(value)
		if !ok {
			yield(Malformed, nil)
			return
		}
		value = rest
		if n := len(name) - len(toldHost); n < 0 || !equalFold(name[n:], toldHost) {
			continue
		}
		left--
		if !yieldHost(arg, yield) {
			return
		}
	}
	if left > 0 {
		yield(Malformed, nil)
	}
}

// toldHost is the name of the parameter that tells a host.
const toldHost = "host"

// countHosts counts what may be a parameter host. Blanks may stand before its sign, and
// whatever else somebody takes off the end of a name.
func countHosts(value []byte) (n int) {
	for i, c := range value {
		if c != '=' {
			continue
		}
		for i > 0 && !isToken[value[i-1]] && value[i-1] != '=' {
			i--
		}
		if i >= len(toldHost) && equalFold(value[i-len(toldHost):i], toldHost) {
			n++
		}
	}
	return n
}

// nextParameter cuts the next parameter off a Forwarded. Of one in quotes arg is
// what is within. ok is false where it does not end, or its name is none.
func nextParameter(value []byte) (name, arg, rest []byte, ok bool) {
	quoted, i := false, 0
	for ; i < len(value) && (quoted || value[i] != ',' && value[i] != ';'); i++ {
		switch {
		case value[i] == '"':
			quoted = !quoted
		case value[i] == '\\' && quoted:
			i++
		}
	}
	i = min(i, len(value))
	name, arg, ok = bytes.Cut(value[:i], []byte{'='})
	name, arg = trimBytes(name), trimBytes(arg)
	ok = !quoted && (!ok || onlyTokens(name))
	if n := len(arg); n >= 2 && arg[0] == '"' && arg[n-1] == '"' {
		arg = arg[1 : n-1]
	}
	return name, arg, value[min(i+1, len(value)):], ok
}
