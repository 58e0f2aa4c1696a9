package icp

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// asksStructured reports whether a client asks for structured errors: by the
// option of draft-ietf-dnsop-structured-dns-error, which is empty.
func asksStructured(opt *dns.OPT, code uint16) bool {
	return code != 0 && slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool {
		local, ok := o.(*dns.EDNS0_LOCAL)
		return ok && local.Code == code && len(local.Data) == 0
	})
}

// structuredText is the extended error's text for a client that asks for
// structured errors. It has no member "s": there is none for Censored.
type structuredText struct {
	Contacts      []string `json:"c"`
	Justification string   `json:"j,omitempty"`
	Organisation  string   `json:"o,omitempty"`
	Lang          string   `json:"l,omitempty"` // of j and o
}

func (s structuredText) String() string {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	out.Encode(s) // of strings: it cannot fail
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// structuredCodes are the extended errors that the draft gives a structured text.
var structuredCodes = []uint16{dns.ExtendedErrorCodeBlocked, dns.ExtendedErrorCodeCensored, dns.ExtendedErrorCodeFiltered}

// structuredEDE is the extended error for a client that asks for structured ones.
// An answer that would not fit its packet with all of the text goes out with the
// contacts alone.
func (in *inspector) structuredEDE(m *dns.Msg, opt *dns.OPT, reason registry.Reason) {
	cfg := in.icp.cfg.Structured
	code := in.code()
	if !slices.Contains(structuredCodes, code) {
		code = edge.DefaultEDE
	}
	full := structuredText{cfg.Contacts, in.text(reason), cfg.Organisation, cfg.Lang}
	ede := &dns.EDNS0_EDE{InfoCode: code, ExtraText: full.String()}
	opt.Option = append(opt.Option, ede)
	if _, udp := in.RemoteAddr().(*net.UDPAddr); udp && m.Len() > max(int(in.size), dns.MinMsgSize) {
		ede.ExtraText = structuredText{Contacts: cfg.Contacts}.String()
	}
}
