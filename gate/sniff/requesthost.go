package sniff

import "bytes"

// finish puts together what depends on several fields.
func (p *requestParser) finish() Request {
	r := &p.r
	switch {
	case r.Minor == 1 && p.hosts == 0:
		return r.malformed(BadHost)
	case p.coding && p.length:
		return r.malformed(BadLength)
	case !r.Upgrade.empty() && !p.upgrade:
		return r.malformed(BadConnection) // it would be end-to-end, and is not
	}
	r.Close = p.shut || r.Minor == 0 && !p.keep
	host, kind := p.host(p.field)
	if p.absolute {
		of, k := p.host(p.authority)
		switch {
		case k == Malformed || k == NoName:
			return r.malformed(BadTarget)
		case r.HostField && !sameHost(p.authority.Of(p.b), p.field.Of(p.b)):
			return r.malformed(HostDiffers)
		}
		host, kind = of, k
	}
	if kind == Malformed {
		return r.malformed(BadHost)
	}
	r.Host, r.Kind = host, kind
	return *r
}

// sameHost compares an authority with a Host field. RFC 9112 §3.2.2 wants them
// equal; the case of letters says nothing.
func sameHost(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if toLower(a[i]) != toLower(b[i]) {
			return false
		}
	}
	return true
}

// host takes the port off an authority and tells what the rest is.
func (p *requestParser) host(s Span) (Span, Kind) {
	b := s.Of(p.b)
	if len(b) == 0 {
		return s, NoName
	}
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !isPort(b[end+1:]) {
			return s, Malformed
		}
		in := Span{s.From + 1, s.From + end}
		if bytes.IndexByte(in.Of(p.b), ':') < 0 || KindOf(in.Of(p.b)) != Literal {
			return s, Malformed
		}
		return in, Literal
	}
	n := len(b)
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		n = i
	}
	if n == 0 || !isPort(b[n:]) {
		return s, Malformed
	}
	s.To = s.From + n
	return s, KindOf(b[:n])
}

// isPort reports whether b is nothing or ":" and a number up to 65535, which may
// be missing (RFC 3986 §3.2.3).
func isPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > 6 {
		return false
	}
	n := 0
	for _, c := range b[1:] {
		if !isDigit(c) {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// Authority reads a host with an optional port, as it stands in the field Host,
// or in :authority of HTTP/2. host is without both port and brackets.
func Authority(s string) (kind Kind, host string, cause Cause) {
	b := []byte(s)
	span, kind := (&requestParser{b: b}).host(Span{0, len(b)})
	if kind == Malformed {
		return kind, "", BadHost
	}
	return kind, s[span.From:span.To], NoCause
}

// Token reports whether s is one, as a method must be.
func Token(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

// PathTarget reports whether a target is a path, with or without a query, or *
// for OPTIONS, of bytes that stand in a request line as they are. It is for
// targets that come by themselves, as :path of HTTP/2: whom they are for is said
// elsewhere, so that one with an authority is none.
func PathTarget(method, target string) bool {
	if target == "*" {
		return method == "OPTIONS"
	}
	return len(target) > 0 && target[0] == '/' && above([]byte(target), ' ')
}
