package authz

import "github.com/icpgate/icpgate/gate/sniff"

// field is one of those that proxies ask by, beside Host.
type field uint8

const (
	forwardedHost field = iota
	originalHost
	forwardedProto
	forwardedFor
	forwardedURI
	originalURI
	realIP
	icpAddr
	fieldCount
)

// fields are those of a request: the last value of each, and how often it came.
type fields struct {
	value [fieldCount][]byte
	count [fieldCount]uint8
}

// read goes through a head once.
func (f *fields) read(r *sniff.Request, b []byte) {
	for name, value := range r.Fields(b) {
		if i := fieldOf(name); i < fieldCount {
			f.value[i] = value
			f.count[i] = min(f.count[i], 1) + 1
		}
	}
}

// fieldOf finds a field by its name; fieldCount is any other.
func fieldOf(name []byte) field {
	if len(name) < 9 || name[1] != '-' {
		return fieldCount
	}
	switch len(name) {
	case 9:
		return oneOf(name, "x-real-ip", realIP)
	case 10:
		return oneOf(name, "x-icp-addr", icpAddr)
	case 14:
		return oneOf(name, "x-original-uri", originalURI)
	case 15:
		if name[3]|0x20 == 'r' {
			return oneOf(name, "x-original-host", originalHost)
		}
		if name[14]|0x20 == 'i' {
			return oneOf(name, "x-forwarded-uri", forwardedURI)
		}
		return oneOf(name, "x-forwarded-for", forwardedFor)
	case 16:
		return oneOf(name, "x-forwarded-host", forwardedHost)
	case 17:
		return oneOf(name, "x-forwarded-proto", forwardedProto)
	}
	return fieldCount
}

// oneOf returns f if a name, which is a token, is the known one, in lower case.
func oneOf(name []byte, known string, f field) field {
	for i := range len(known) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != known[i] {
			return fieldCount
		}
	}
	return f
}
