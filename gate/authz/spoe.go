package authz

import (
	"net/netip"

	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// SPOE answers HAProxy. The arguments of a message, by their names, are:
//
//	host       the header Host as a whole: req.fhdr(host)
//	sni        the name in the hello: ssl_fc_sni, or req.ssl_sni
//	src, dst   addresses, of the client and where it went
//	path       of which only challenges of ACME are told apart
//	product    a word that the configuration holds
//	page       true if the page is wanted, where there is one
//	accept, language   the headers, for that page
//
// At least one of host and sni must be among them, even without a value: a
// message that asks for nobody is a mistake and is refused. Arguments of other
// names are passed over. Those of all messages of a group add up; two hosts that
// differ are refused.
//
// The variables that it sets:
//
//	block      whether HAProxy must not serve the client
//	verdict    pass or block, also where that is only counted
//	reason     the reason's word
//	id         what the client and the log name the refusal by
//	url        where the client is to be sent, if it is
//	page, type the page, in one line, and its type
//
// The last four are set with a refusal only. SPOE is for one connection, and used
// by one goroutine.
type SPOE struct {
	Judge Judge
	Pages Pages
	Names *Names

	q              Question
	host, sni      bool // the argument was among them
	acme, page     bool
	accept, speaks []byte
}

// Begin implements spop.Asker.
func (s *SPOE) Begin() {
	s.q = Question{}
	s.host, s.sni, s.acme, s.page, s.accept, s.speaks = false, false, false, false, nil, nil
}

// Arg implements spop.Asker.
func (s *SPOE) Arg(_, name []byte, d spop.Data) {
	switch string(name) {
	case "host":
		s.host = true
		s.named(&s.q.Host, d, sniff.BadHost, s.Names.Authority)
	case "sni":
		s.sni = true
		s.named(&s.q.SNI, d, sniff.BadServerName, s.Names.Name)
	case "src":
		s.address(&s.q.Client, d)
	case "dst":
		s.address(&s.q.Addr, d)
	case "path":
		s.acme = sniff.IsACME(d.Bytes)
	case "product":
		s.product(d)
	case "page":
		s.page = d.Number == 1
	case "accept":
		s.accept = d.Bytes
	case "language":
		s.speaks = d.Bytes
	}
}

// named reads whom the client means; nobody where there is no value.
func (s *SPOE) named(to *registry.Host, d spop.Data, wrong sniff.Cause, read func([]byte) (registry.Host, sniff.Cause)) {
	if d.Type == spop.Null {
		return
	}
	if !d.IsText() {
		s.refuse(wrong)
		return
	}
	host, cause := read(d.Bytes)
	switch {
	case cause != sniff.NoCause:
		s.refuse(cause)
	case host.Kind() == registry.NoHost:
	case to.Kind() != registry.NoHost && *to != host:
		s.refuse(sniff.HostDiffers)
	default:
		*to = host
	}
}

func (s *SPOE) address(to *netip.Addr, d spop.Data) {
	if d.Type == spop.Null {
		return
	}
	a, ok := d.Addr()
	if !ok {
		s.refuse(sniff.BadAddress)
	}
	*to = a
}

func (s *SPOE) product(d spop.Data) {
	switch {
	case d.Type == spop.Null:
	case !d.IsText():
		s.refuse(sniff.BadProduct)
	default:
		s.q.ReadProduct(string(d.Bytes))
	}
}

// refuse notes the first cause.
func (s *SPOE) refuse(c sniff.Cause) {
	if s.q.Cause == sniff.NoCause {
		s.q.Cause = c
	}
}

// Answer implements spop.Asker.
func (s *SPOE) Answer(a *spop.Ack) {
	q := &s.q
	switch {
	case !s.host && !s.sni:
		s.refuse(sniff.BadHost)
	case !s.host:
		q.Host, q.SNI, q.Unread = q.SNI, registry.Host{}, true
	}
	q.Host.ACME = s.acme && s.host && q.Host.Kind() == registry.NameHost
	q.Channel = registry.ChannelHTTP
	if q.Unread || q.SNI.Kind() != registry.NoHost {
		q.Channel = registry.ChannelHTTPS
	}
	answer := s.Judge.Ask(q)
	a.SetBool("block", answer.Refused)
	a.SetString("verdict", answer.Verdict.String())
	a.SetString("reason", answer.Verdict.Reason.String())
	if answer.Refused {
		s.refusal(a, answer)
	}
}

// refusal tells what to do with a client that is refused.
func (s *SPOE) refusal(a *spop.Ack, answer Answer) {
	if answer.ID != "" {
		a.SetString("id", answer.ID)
	}
	if !s.host {
		return // nobody can be shown anything
	}
	p := s.Pages.Page(&s.q, answer, Reader{Accept: string(s.accept), Language: string(s.speaks)})
	if url := p.Field("Location"); url != "" {
		a.SetString("url", url)
		return
	}
	if s.page && a.SetBytes("page", oneLine(p.Body)) {
		a.SetString("type", p.Field("Content-Type"))
	}
}

// oneLine has a space for every control character, in place: HAProxy's log-format
// strings, the only way to send a variable as a body, write those as %0A.
func oneLine(page []byte) []byte {
	for i, c := range page {
		if c < ' ' || c == 0x7f {
			page[i] = ' '
		}
	}
	return page
}
