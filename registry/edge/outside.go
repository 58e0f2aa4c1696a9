package edge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Log is how the block log is written. The zero value writes none.
type Log struct {
	On bool
	// File is appended to, and made if it is not there. Optional: the standard
	// output.
	File string
	// Sample: one of so many blocks is logged. Default 1.
	Sample int
	// ClientV4 and ClientV6 are how many bits of the client's address are logged.
	// 0 logs none of it. The block's default is 24 and 48.
	ClientV4, ClientV6 int
}

// The bits of a client's address that the block's log line shows unless told
// otherwise: a network, and not a person. RFC 7871 §11.1 advises the 24 for what
// is handed on; 48 is what one site gets (RFC 6177).
const (
	DefaultClientV4 = 24
	DefaultClientV6 = 48
)

// Structured is how errors are told as draft-ietf-dnsop-structured-dns-error has
// it: JSON in the text of the extended error, for clients that ask for it. The
// zero value tells nobody.
type Structured struct {
	// Code is the EDNS option by which clients ask; IANA has not assigned one yet.
	Code         uint16
	Contacts     []string // whom to ask: tel: and mailto: URIs, one at least
	Organisation string   // who withholds. Optional.
	Lang         string   // of Organisation, RFC 5646. Default "en".
}

// DefaultAdminPort is not assigned: the port of the exporters next to CoreDNS's.
const DefaultAdminPort = 9154

// admin reads an address to listen on, and whether profiles are served there. A
// port alone, with or without a colon, is one of loopback: what is shown there is
// not for everybody, so everybody has to be written out.
func (p *parser) admin(args []string) error {
	if len(args) == 2 {
		if args[1] != "pprof" {
			return fmt.Errorf("%q behind the address; expect pprof or nothing", args[1])
		}
		p.cfg.AdminProfiles, args = true, args[:1]
	}
	s, err := single("admin", args)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "", s
	}
	n, err := Number("port", port, 1, 1<<16-1)
	if err != nil {
		return fmt.Errorf("%q is no address to listen on; expect a port of loopback such as :%d, or an address such as 192.0.2.1:%[2]d", s, DefaultAdminPort)
	}
	addr := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if host != "" && host != "localhost" {
		if addr, err = netip.ParseAddr(host); err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is no address to listen on; expect an IP address, localhost or nothing before the port", s)
		}
	}
	p.cfg.Admin = netip.AddrPortFrom(addr.Unmap(), uint16(n))
	return nil
}

// log reads [FILE] [sample N] [client-prefix V4 V6]. A file that is named like
// one of the words is written with a slash, as in ./sample.
func (p *parser) log(args []string) error {
	l := Log{On: true, Sample: 1, ClientV4: DefaultClientV4, ClientV6: DefaultClientV6}
	if len(args) > 0 && args[0] != "sample" && args[0] != "client-prefix" {
		if args[0] == "" {
			return errors.New("\"\" is no file; expect the path of one, or none for the standard output")
		}
		l.File = p.join(args[0])
		args = args[1:]
	}
	given := map[string]bool{}
	for len(args) > 0 {
		word := args[0]
		if given[word] {
			return fmt.Errorf("%s is given twice", word)
		}
		given[word] = true
		var err error
		if args, err = l.word(word, args[1:]); err != nil {
			return err
		}
	}
	p.cfg.Log = l
	return nil
}

// maxSample bounds sample: more than that is no log.
const maxSample = 1_000_000

// word reads what follows a word of the log line, and returns the rest.
func (l *Log) word(word string, args []string) ([]string, error) {
	var err error
	switch {
	case word == "sample" && len(args) > 0:
		l.Sample, err = Number("sample", args[0], 1, maxSample)
		return args[1:], err
	case word == "client-prefix" && len(args) > 1:
		if l.ClientV4, err = Number("bits of IPv4", args[0], 0, 32); err != nil {
			return nil, err
		}
		l.ClientV6, err = Number("bits of IPv6", args[1], 0, 128)
		return args[2:], err
	case word == "sample":
		return nil, errors.New("sample without a number; expect for example sample 100")
	case word == "client-prefix":
		return nil, errors.New("client-prefix without two numbers; expect for example client-prefix 24 48")
	}
	return nil, fmt.Errorf("unexpected %q; expect [FILE] [sample N] [client-prefix V4 V6]", word)
}

const (
	// minOption and maxOption bound the code: below are assigned ones, of which the
	// server makes something else, above is a reserved one (RFC 6891 §9).
	minOption = 21
	maxOption = 1<<16 - 2
	// maxTold bounds organisation and contacts, in bytes each: all has to fit into
	// a packet.
	maxTold     = 128
	maxContacts = 4
)

// structured reads CODE contact URI... [organisation TEXT] [lang TAG].
func (p *parser) structured(args []string) error {
	if len(args) == 0 {
		return errUsage("structured-error", nil)
	}
	code, err := Number("code", args[0], minOption, maxOption)
	if err != nil {
		return err
	}
	s := Structured{Code: uint16(code), Lang: "en"}
	given := map[string]bool{}
	for args = args[1:]; len(args) > 0; {
		word := args[0]
		if given[word] {
			return fmt.Errorf("%s is given twice", word)
		}
		given[word] = true
		if args, err = s.word(word, args[1:]); err != nil {
			return err
		}
	}
	if len(s.Contacts) == 0 {
		return errors.New("no contact; expect for example contact mailto:icp@example.com")
	}
	p.cfg.Structured = s
	return nil
}

// word reads what follows a word of the line, and returns the rest.
func (s *Structured) word(word string, args []string) ([]string, error) {
	switch word {
	case "contact":
		return s.contacts(args)
	case "organisation", "lang":
		if len(args) == 0 {
			return nil, fmt.Errorf("%s without a value", word)
		}
		if word == "lang" {
			s.Lang = args[0]
			return args[1:], checkTag(args[0])
		}
		s.Organisation = args[0]
		return args[1:], checkTold(args[0])
	}
	return nil, fmt.Errorf("unexpected %q; expect contact URI..., organisation TEXT or lang TAG", word)
}

// contacts reads URIs up to the next word.
func (s *Structured) contacts(args []string) ([]string, error) {
	for len(args) > 0 && args[0] != "organisation" && args[0] != "lang" {
		scheme, rest, _ := strings.Cut(args[0], ":")
		if scheme != "tel" && scheme != "mailto" || rest == "" {
			return nil, fmt.Errorf("contact %q; expect a mailto: or tel: URI, for example mailto:icp@example.com", args[0])
		}
		if err := checkTold(args[0]); err != nil {
			return nil, err
		}
		if s.Contacts = append(s.Contacts, args[0]); len(s.Contacts) > maxContacts {
			return nil, fmt.Errorf("more than %d contacts", maxContacts)
		}
		args = args[1:]
	}
	return args, nil
}

// checkTold refuses what cannot stand in I-JSON, or not in a packet.
func checkTold(s string) error {
	bad := func(r rune) bool { return r < ' ' || r == utf8.RuneError }
	if s == "" || len(s) > maxTold || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("%q; expect 1 to %d bytes of UTF-8 without control characters", s, maxTold)
	}
	return nil
}

// checkTag checks the form of a language tag, not that there is such a language.
func checkTag(s string) error {
	for i, part := range strings.Split(s, "-") {
		other := func(r rune) bool {
			letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
			return !letter && (i == 0 || r < '0' || r > '9')
		}
		if part == "" || len(part) > 8 || strings.ContainsFunc(part, other) {
			return fmt.Errorf("language %q; expect a tag of RFC 5646 such as en or zh-Hans", s)
		}
	}
	return nil
}
