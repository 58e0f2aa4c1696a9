// Package cases runs the rule book's cases: queries with the filings that exist
// and the verdict that is expected of them. They are how the rules are tested,
// and how an operator tests a policy (icp-registry test-rules).
//
//	for c, err := range cases.Read("cases.jsonl", file) {
//		if err != nil { … } // names file and line
//		result, err := cases.Run(c, cases.Options{})
//		if err != nil { … }
//		for _, m := range result.Mismatches { fmt.Println(c.ID, m) }
//	}
//
// # The form of a case
//
// One JSON object a line. An absent field has its default; an unknown one is an
// error of the case.
//
//	id, description         name and sentence; every id once
//	source, decided         reference of the rule; how an open question was decided
//	query.channel           dns, http, https, quic; default dns
//	query.provider          whose edge asks; default nobody
//	query.address_provider  whose address it is; default: the asking provider's; "" is unknown
//	query.host              the name as it arrived: may be empty, an address, carry a port or a path
//	query.sni               the name in the ClientHello; where both are given both are judged
//	query.qtype             DNS: type of the question; default A
//	query.destination       mainland, hong-kong, macao, taiwan, overseas, private, unknown (default), none; mixed with answers
//	query.answers           [{ip, destination, address_provider, product}]; the last two default to the query's
//	query.dest_ip           the address itself; only the audit asks
//	query.product           product at the address; default unknown; auto: by cname_chain and the built-in suffixes
//	query.cname_chain       the CNAME targets, in order; only product auto asks
//	query.acceleration      mainland, global, overseas; default unknown
//	query.origin            this-provider-mainland, other-provider-mainland, overseas; default unknown
//	query.role              origin-pull: a CDN's edge asks the origin
//	query.policy            knobs, with an underscore for the hyphen: {"ip_literal": "block"}
//	query.exempt            exempt names; *.example.com for all names below
//	query.override          {"allow_until_hours": 24, "authority": true}: an exemption of the host
//	query.blacklisted       true: the host is; or a list of domains
//	query.registry          unavailable: no registry is loaded
//	query.tlds              the TLDs that can be filed; default: the ICANN section of the public suffix list
//	query.profiles          lines of a profiles file, over the built-in profiles
//	query.now               RFC 3339; default 2026-01-01T00:00:00Z
//	query.domain_expired, opened_days, psb    only the audit asks
//	filings                 rows of an import, as package bulk documents JSON lines; domain and
//	                        domains may stand beside each other
//	expect.verdict, reason  exactly
//	expect.page             exactly; absent: none
//	expect.advisories       exactly, as a set
//	expect.effect, product, filed    compared where given
//	expect.audit            advisories of the audit, which this package skips
//
// Filings go through the checks of the import; one that is refused there, such
// as a public suffix, is absent. A first-review-passed access without a day was
// reviewed at the case's now: unlike a row of an import, a case without one
// means an order under way.
//
// The package reads no clock and no network.
package cases
