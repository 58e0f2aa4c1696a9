package sniff

import "bytes"

// requestParser goes through a head once.
type requestParser struct {
	b      []byte
	at     int
	limits Limits
	r      Request
	hosts  int  // Host fields
	length bool // Content-Length was there
	coding bool // Transfer-Encoding was there
	// upgrade tells that Connection names Upgrade; keep and shut that it says so.
	upgrade, keep, shut bool
	absolute            bool // the target has an authority
	authority, field    Span // with their ports
	drops, upgrades     int
}

func (p *requestParser) parse() Request {
	cause := p.requestLine()
	for n := 0; cause == NoCause; n++ {
		line, c := p.line()
		switch {
		case c != NoCause:
			cause = c
			continue
		case line.empty():
			return p.finish()
		case n == p.limits.Fields:
			cause = TooManyHeaders
			continue
		}
		cause = p.header(line)
	}
	return Request{Kind: Malformed, Cause: cause}
}

// line takes the next line without its end, which is CRLF and nothing else.
func (p *requestParser) line() (Span, Cause) {
	i := bytes.IndexByte(p.b[p.at:], '\n')
	if i < 1 || p.b[p.at+i-1] != '\r' {
		return Span{}, BadHeader
	}
	line := Span{p.at, p.at + i - 1}
	p.at += i + 1
	return line, NoCause
}

// requestLine reads METHOD SP TARGET SP HTTP/1.x.
func (p *requestParser) requestLine() Cause {
	line, cause := p.line()
	switch {
	case cause != NoCause:
		return BadRequestLine
	case line.To-line.From > p.limits.Line:
		return LineTooLong
	}
	b := line.Of(p.b)
	n := 0
	for n < len(b) && isToken[b[n]] {
		n++
	}
	rest := b[n:]
	space := bytes.LastIndexByte(rest, ' ')
	if n == 0 || n > maxMethod || space < 1 || rest[0] != ' ' {
		return BadRequestLine
	}
	p.r.Method = Span{line.From, line.From + n}
	p.r.Target = Span{line.From + n + 1, line.From + n + space}
	version := rest[space+1:]
	if len(version) != 8 || string(version[:7]) != "HTTP/1." || version[7] != '0' && version[7] != '1' {
		if len(version) == 8 && string(version[:5]) == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
			return BadVersion
		}
		return BadRequestLine
	}
	p.r.Minor = version[7] - '0'
	return p.target()
}

// target finds out where the path and, in an absolute form, the host stand.
func (p *requestParser) target() Cause {
	t := p.r.Target.Of(p.b)
	method := string(p.r.Method.Of(p.b))
	if method == "CONNECT" {
		return Connect
	}
	if !above(t, ' ') {
		return BadTarget
	}
	switch {
	case len(t) == 0:
		return BadTarget
	case t[0] == '/':
		p.r.Path = p.r.Target
		return NoCause
	case len(t) == 1 && t[0] == '*' && method == "OPTIONS":
		p.r.Path = p.r.Target
		return NoCause
	}
	skip := scheme(t)
	if skip == 0 {
		return BadTarget
	}
	end := len(t)
	if i := bytes.IndexAny(t[skip:], "/?#\\"); i >= 0 {
		end = skip + i
	}
	from := p.r.Target.From
	p.absolute, p.authority = true, Span{from + skip, from + end}
	p.r.Path = Span{from + end, p.r.Target.To}
	if end < len(t) && t[end] != '/' && t[end] != '?' {
		return BadTarget // who knows where a backslash or a fragment ends the name for others
	}
	return NoCause
}

// scheme returns the length of http:// or https:// before a target; 0 for others.
func scheme(t []byte) int {
	for _, s := range [2]string{"http://", "https://"} {
		if len(t) > len(s) && equalFold(t[:len(s)], s) {
			return len(s)
		}
	}
	return 0
}

// header reads one field: NAME ":" VALUE.
func (p *requestParser) header(line Span) Cause {
	b := line.Of(p.b)
	if b[0] == ' ' || b[0] == '\t' {
		return BadFolding
	}
	n := 0
	for n < len(b) && isToken[b[n]] {
		n++
	}
	if n == 0 || n == len(b) || b[n] != ':' {
		return BadHeader
	}
	if !isValue(b[n+1:]) {
		return BadHeader
	}
	raw := Span{line.From + n + 1, line.To}
	return p.known(b[:n], raw, Span{line.From, line.To + 2})
}

// known looks at the fields that matter; whole is the line with its end.
func (p *requestParser) known(name []byte, raw, whole Span) Cause {
	value := trim(p.b, raw)
	switch len(name) {
	case 4:
		if equalFold(name, "host") {
			p.hosts++
			p.field, p.r.HostField = value, true
			if p.hosts > 1 {
				return BadHost
			}
		}
	case 6:
		if equalFold(name, "expect") {
			return p.expect(value)
		}
	case 7:
		if equalFold(name, "upgrade") {
			return p.upgraded(value, whole)
		}
	case 10:
		if equalFold(name, "connection") {
			return p.connection(value, whole)
		}
	case 14:
		if equalFold(name, "content-length") {
			return p.contentLength(raw)
		}
		if Alike(name, "content-length") {
			return BadLength
		}
		if equalFold(name, "http2-settings") {
			return p.drop(whole)
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			return p.transferEncoding(raw)
		}
		if Alike(name, "transfer-encoding") {
			return BadLength
		}
	}
	if c := toLower(name[0]); c == 'x' || c == 'f' {
		return p.forwarded(name, whole)
	}
	return NoCause
}

// forwarded notes a line that tells of the client.
func (p *requestParser) forwarded(name []byte, whole Span) Cause {
	tells, alike := TellsOf(name)
	if tells == TellsNothing {
		return NoCause
	}
	if p.r.Forwards == maxForwarded {
		return TooManyHeaders
	}
	p.r.Forwarded[p.r.Forwards] = Told{uint32(whole.From), uint32(whole.To), tells, alike}
	p.r.Forwards++
	return NoCause
}

func (p *requestParser) drop(whole Span) Cause {
	if p.drops == len(p.r.Drop) {
		return BadConnection // each of them may come once
	}
	p.r.Drop[p.drops] = whole
	p.drops++
	return NoCause
}

func (p *requestParser) upgraded(value, whole Span) Cause {
	if !p.r.Upgrade.empty() || value.empty() {
		return BadConnection
	}
	p.r.Upgrade = value
	return p.drop(whole)
}

func (p *requestParser) expect(value Span) Cause {
	if p.r.Expect || !equalFold(value.Of(p.b), "100-continue") {
		return BadHeader // RFC 9110 §10.1.1 knows no other
	}
	p.r.Expect = true
	return NoCause
}

// contentLength takes digits and nothing else: lists, signs and blanks are read
// in several ways.
func (p *requestParser) contentLength(raw Span) Cause {
	n, ok := decimal(oneBlank(raw.Of(p.b)))
	if p.length || p.coding || !ok {
		return BadLength
	}
	p.length, p.r.ContentLength = true, n
	return NoCause
}

// transferEncoding takes "chunked" and nothing else.
func (p *requestParser) transferEncoding(raw Span) Cause {
	if p.length || p.coding || p.r.Minor == 0 || !equalFold(oneBlank(raw.Of(p.b)), "chunked") {
		return BadLength
	}
	p.coding, p.r.Chunked = true, true
	return NoCause
}

// oneBlank cuts the one space that stands behind the colon by custom.
func oneBlank(b []byte) []byte {
	if len(b) > 0 && b[0] == ' ' {
		return b[1:]
	}
	return b
}

// connection reads the options of a line. There may be several, which are one list
// (RFC 9110 §5.3). One that names a field by which a message is framed, routed or
// told whom it comes from is refused: who strips it behind us reads another request
// than we have.
func (p *requestParser) connection(value, whole Span) Cause {
	list, upgrades := value.Of(p.b), false
	for len(list) > 0 {
		option := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			option, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		option = trimBytes(option)
		switch {
		case !onlyTokens(option):
			return BadConnection
		case equalFold(option, "close"):
			p.shut = true
		case equalFold(option, "keep-alive"):
			p.keep = true
		case equalFold(option, "upgrade"):
			p.upgrade, upgrades = true, true
		case equalFold(option, "http2-settings"):
			upgrades = true
		case hopless(option):
			return BadConnection
		}
	}
	if upgrades {
		if p.upgrades == len(p.r.Connection) {
			return BadConnection // each of them need be named once
		}
		p.r.Connection[p.upgrades] = whole
		p.upgrades++
	}
	return NoCause
}

// hopless reports whether a field may not be named by Connection.
func hopless(option []byte) bool {
	switch len(option) {
	case 4:
		return equalFold(option, "host")
	case 6:
		return equalFold(option, "cookie")
	case 12:
		return equalFold(option, "content-type")
	case 13:
		return equalFold(option, "authorization")
	case 14:
		return equalFold(option, "content-length")
	case 17:
		if equalFold(option, "transfer-encoding") {
			return true
		}
	}
	tells, _ := TellsOf(option)
	return tells != TellsNothing
}
