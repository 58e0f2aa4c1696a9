package sniff

import "bytes"

// Response is what ReadResponse found.
type Response struct {
	// Kind is More, Name for a response that can be followed to its end, or
	// Malformed for one that cannot: then it ends with the connection.
	Kind   Kind
	Status int
	Framing
	// Interim tells of a response before the final one (1xx, but not 101).
	Interim bool
	Length  int // bytes of the head
}

// ReadResponse reads the head of a response to a request of a method, as far as
// must be known to find its end; its bytes are forwarded whatever they are. b
// begins with it, scanned is as in ReadRequest, limit is how long a head may be.
func ReadResponse(b []byte, scanned int, head bool, limit int) (r Response) {
	end := HeadEnd(b, scanned)
	if end == 0 {
		if len(b) >= limit || len(b) >= 5 && string(b[:5]) != "HTTP/" {
			r.Kind = Malformed
		}
		return r
	}
	r.Length = end
	line, rest, _ := bytes.Cut(b[:end], []byte{'\n'})
	if !r.statusLine(line) {
		return Response{Kind: Malformed}
	}
	f := responseFields{minor: line[7]}
	if !f.all(rest) {
		return Response{Kind: Malformed, Status: r.Status, Length: end}
	}
	r.Kind = Name
	r.frame(&f, head)
	return r
}

// statusLine reads HTTP/1.x SP 3DIGIT, and whatever reason follows.
func (r *Response) statusLine(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return false
	}
	n, ok := decimal(line[9:12])
	r.Status = int(n)
	return ok && n >= 100 && (len(line) == 12 || line[12] == ' ')
}

// responseFields are the fields by which a response is framed.
type responseFields struct {
	minor       byte
	length      int64
	hasLength   bool
	chunked     bool
	coded       bool // Transfer-Encoding is there
	close, keep bool
}

// all reads the fields; false where two readers may find two ends.
func (f *responseFields) all(b []byte) bool {
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		line = bytes.TrimSuffix(line, []byte{'\r'})
		name, value, ok := bytes.Cut(line, []byte{':'})
		if len(line) == 0 {
			continue
		}
		if isBlank(line[0]) || !ok {
			return false
		}
		if !f.take(name, trimBytes(value)) {
			return false
		}
	}
	return true
}

func (f *responseFields) take(name, value []byte) bool {
	switch {
	case equalFold(name, "content-length"):
		n, ok := decimal(value)
		if !ok || f.hasLength && n != f.length {
			return false
		}
		f.length, f.hasLength = n, true
	case equalFold(name, "transfer-encoding"):
		if f.coded {
			return false
		}
		f.coded, f.chunked = true, equalFold(value, "chunked")
	case equalFold(name, "connection"):
		for list := value; len(list) > 0; {
			option, rest, _ := bytes.Cut(list, []byte{','})
			list = rest
			f.close = f.close || equalFold(trimBytes(option), "close")
			f.keep = f.keep || equalFold(trimBytes(option), "keep-alive")
		}
	case bytes.ContainsAny(name, " \t"):
		return false // "Content-Length : 5" is read by some
	}
	return true
}

// frame follows RFC 9112 §6.3, in its order.
func (r *Response) frame(f *responseFields, head bool) {
	r.Close = f.close || f.minor == '0' && !f.keep
	switch {
	case r.Status == 101:
		r.Close, r.ContentLength = true, -1
	case r.Status < 200:
		r.Interim = true
	case head, r.Status == 204, r.Status == 304:
	case f.coded && f.hasLength:
		// The longer reading is forwarded and nothing after it: a response that
		// smuggles another has no one to smuggle it to.
		r.Chunked, r.Close = f.chunked, true
		r.unframed(!f.chunked)
	case f.coded:
		// HTTP/1.0 knows no Transfer-Encoding: some clients read until the end of
		// the connection, which must come then.
		r.Chunked, r.Close = f.chunked, r.Close || f.minor == '0'
		r.unframed(!f.chunked)
	case f.hasLength:
		r.ContentLength = f.length
	default:
		r.unframed(true)
	}
}

func (r *Response) unframed(yes bool) {
	if yes {
		r.ContentLength, r.Close = -1, true
	}
}
