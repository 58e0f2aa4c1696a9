// Package place tells where an address is and whose: in the mainland, in Hong
// Kong, Macao or Taiwan, overseas, or not public at all; and, where an operator's
// files say so, the provider, product and region behind it. It also holds the
// other two things a product follows from: CNAME suffixes and bindings.
//
//	t, err := place.Open(place.Config{Mainland: "mainland.txt", Networks: "networks.txt"})
//	…
//	w := t.Lookup(addr) // w.Place, w.Provider, w.Product, w.Region
//
// # Who decides
//
// The first source that knows an address decides its place: the networks file,
// then the mainland file (CIDR list or MMDB), then the built-in table
// (phuslu/iploc, with data of IP2Location LITE). With Confirm, that many of them
// must agree on the mainland.
//
// IPv6 addresses that carry an IPv4 one (mapped, compatible, translated, NAT64,
// 6to4, Teredo) are judged by what they carry, before any source is asked. One in
// ISATAP's form is in the mainland if its network or what it carries is: every
// network may give its hosts such addresses.
//
// Special-purpose addresses (RFC 6890 and the IANA registries) are Private: a
// list of prefixes tells where machines stand, not that the public reaches them,
// and a wrong line must not block a whole private network. Only a networks line
// that lies within the special-purpose block and has its place written out says
// otherwise. Addresses set aside for documentation are Private as long as no file
// lists them, and as the file says if one does: examples and tests live there.
//
// # What it does not do
//
// It never reads a file twice and never maps one: to follow changes, open again
// and swap the table. It looks nothing up over the network.
package place
