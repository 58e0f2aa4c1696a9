package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/icpgate/icpgate/registry"
)

// checkFields are those of a Check, in a query and in JSON.
const checkFields = "host, addr and product"

// ParseQuery reads host, addr and product of a query, each at most once; host
// must be there.
func ParseQuery(query string) (c Check, p *Problem) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return c, &Problem{Status: http.StatusBadRequest, Detail: "the query cannot be read: " + err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := values[name]
		if len(list) > 1 {
			return c, &Problem{Status: http.StatusBadRequest, Parameter: name, Detail: cut(name) + " is given twice; expect it once"}
		}
		if problem := c.set(name, list[0]); problem != "" {
			return c, &Problem{Status: http.StatusBadRequest, Parameter: name, Detail: problem}
		}
	}
	if !values.Has("host") {
		return c, &Problem{Status: http.StatusBadRequest, Parameter: "host", Detail: "host is missing; expect for example host=www.example.com"}
	}
	return c, nil
}

// set sets a field by its name, or says why not.
func (c *Check) set(name, value string) (problem string) {
	switch name {
	case "host":
		if c.Host = value; len(value) > maxHost || !utf8.ValidString(value) {
			return fmt.Sprintf("host %s; expect a name or an address of at most %d bytes", cut(value), maxHost)
		}
	case "addr":
		a, err := netip.ParseAddr(value)
		if err != nil || a.Zone() != "" {
			return fmt.Sprintf("addr %s; expect an address such as 203.0.113.10", cut(value))
		}
		c.Addr = a.Unmap()
	case "product":
		p, err := registry.ParseProduct(value)
		if err != nil {
			return err.Error()
		}
		c.Product = p
	default:
		return fmt.Sprintf("unknown %s; expect %s", cut(name), checkFields)
	}
	return ""
}

// maxHost is the longest name with its last dot and a port.
const maxHost = 253 + len(".:65535")

// CheckType refuses a body that does not say that it is JSON.
func CheckType(contentType []byte) *Problem {
	if media, _, err := mime.ParseMediaType(string(contentType)); err != nil || media != "application/json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: fmt.Sprintf("content type %s; expect application/json", cut(string(contentType)))}
	}
	return nil
}

// ParseChecks reads one question, an object with host, addr and product, or many,
// an array of such; many tells which. Names of fields are as they stand here, and
// each comes once; host must be there.
func ParseChecks(body []byte) (list []Check, many bool, problem *Problem) {
	if !utf8.Valid(body) {
		return nil, false, &Problem{Status: http.StatusBadRequest, Detail: "the body is not UTF-8"}
	}
	p := checkParser{dec: json.NewDecoder(bytes.NewReader(body))}
	switch t, err := p.dec.Token(); {
	case err != nil:
		return nil, false, p.bad("", err)
	case t == json.Delim('{'):
		c, problem := p.object("")
		if list = []Check{c}; problem != nil {
			return nil, false, problem
		}
	case t == json.Delim('['):
		if list, problem = p.array(); problem != nil {
			return nil, true, problem
		}
		many = true
	default:
		return nil, false, p.bad("", errWantChecks)
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, many, p.bad("", errors.New("something stands behind the end; expect one value"))
	}
	return list, many, nil
}

var errWantChecks = errors.New(`expect an object such as {"host": "www.example.com"}, or an array of such`)

// checkParser reads the body token by token: encoding/json's own way takes names
// in any case, and the last of a name that comes twice.
type checkParser struct{ dec *json.Decoder }

func (p *checkParser) bad(pointer string, err error) *Problem {
	detail := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		detail = "the JSON ends too early"
	}
	return &Problem{Status: http.StatusBadRequest, Pointer: pointer, Detail: detail}
}

func (p *checkParser) array() (list []Check, problem *Problem) {
	for p.dec.More() {
		pointer := "/" + strconv.Itoa(len(list))
		if len(list) == MaxChecks {
			return nil, p.bad(pointer, fmt.Errorf("more than %d hosts; ask about fewer at a time", MaxChecks))
		}
		t, err := p.dec.Token()
		if err != nil {
			return nil, p.bad(pointer, err)
		}
		if t != json.Delim('{') {
			return nil, p.bad(pointer, errors.New(`expect an object such as {"host": "www.example.com"}`))
		}
		c, problem := p.object(pointer)
		if problem != nil {
			return nil, problem
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, p.bad("", errors.New("no host; expect one at least"))
	}
	return list, p.end()
}

// end takes the delimiter behind the last member.
func (p *checkParser) end() *Problem {
	if _, err := p.dec.Token(); err != nil {
		return p.bad("", err)
	}
	return nil
}

// object reads the members of an object whose beginning was read.
func (p *checkParser) object(pointer string) (c Check, problem *Problem) {
	seen := map[string]bool{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return c, p.bad(pointer, err)
		}
		name, _ := t.(string)
		here := pointer + "/" + escapePointer(name)
		if t, err = p.dec.Token(); err != nil {
			return c, p.bad(here, err)
		}
		value, isString := t.(string)
		switch {
		case seen[name]:
			return c, p.bad(here, fmt.Errorf("%s is given twice; expect it once", cut(name)))
		case !isString:
			return c, p.bad(here, fmt.Errorf("%s is no string; expect %s as strings", cut(name), checkFields))
		}
		seen[name] = true
		if problem := c.set(name, value); problem != "" {
			return c, p.bad(here, errors.New(problem))
		}
	}
	if problem := p.end(); problem != nil {
		return c, problem
	}
	if !seen["host"] {
		return c, p.bad(pointer, errors.New("host is missing"))
	}
	return c, nil
}

// escapePointer writes a name as a part of a pointer, RFC 6901 §3.
func escapePointer(s string) string {
	var b []byte
	for i := range len(s) {
		switch s[i] {
		case '~':
			b = append(b, "~0"...)
		case '/':
			b = append(b, "~1"...)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}
