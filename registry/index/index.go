package index

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Index is a registry as an edge holds it: a snapshot, ready to answer. It is
// immutable and safe for concurrent use. The nil Index is a registry that was
// never loaded.
type Index struct {
	table       table
	key         key
	tops        bool // single labels are known, too
	nodes       []node
	recordIndex []byte // u64 offset into records per bucket, and one for the end
	records     []byte
	blacklist   nameSet
	gov         nameSet // names under a government suffix with a standing site
	known       int     // names and addresses in the table
	image       []byte  // the whole snapshot
	mapped      bool    // image is a mapped file
	info        Info
	id          uint64 // tells the indexes of a process apart, without keeping them
}

// lastID numbers the indexes of the process.
var lastID atomic.Uint64

// Info is what an index says of itself. The zero value is that of no index.
type Info struct {
	Revision    registry.Revision
	MadeAt      time.Time // UTC, whole milliseconds; zero where it was not given
	Filings     int       // filings, of whatever kind and status
	Names       int       // names with a filing of their own
	Addresses   int       // addresses with one
	Blacklisted int       // names on the blacklist
	Bytes       int64     // of the whole snapshot; decisions touch about a fifth of it
}

// node is what is known of one name: what lies at it, above it, and whether
// anything lies below. The answers lie ready: to put one together costs more than
// to look for it. Nodes are interned; nodes[0] stands for a TLD of which nothing
// is known.
type node struct {
	self  registry.Coverage // of the name itself
	below registry.Coverage // of the names below it of which nothing is known
	flags nodeFlags
}

type nodeFlags uint8

const (
	hasBelow    nodeFlags = 1 << iota // something is known below
	uneven                            // self and below differ
	blacklisted                       // this name or one above it
	govFiled                          // something stands under the same government registrable name
	allFlags    = hasBelow | uneven | blacklisted | govFiled
)

// Cover returns what the registry knows of a name. It does not allocate; the
// slices in the answer are shared. On a nil Index, it is the zero Coverage.
//
// # The cut
//
// All names that share Last(Cut) with d have the same coverage: Cut is the
// shallowest level, but 2 at least, at or below which nothing is known that d's
// own answer does not show. It is one more than the labels of d where even the
// names below d are answered otherwise (www.a.gov.cn may be covered where
// x.www.a.gov.cn is not), or something is filed there: then d.Last(Cut) is d and
// no other name shares it. Known are names that are filed, blacklisted, or
// singled out by a government unit's filing ("www" before it, and its hosts).
func (x *Index) Cover(d registry.Domain) registry.Coverage {
	if x == nil {
		return registry.Coverage{}
	}
	c := *x.answer(d.String())
	runtime.KeepAlive(x) // the table may be a mapping, which goes with x
	return c
}

// answer finds the coverage of a name. It is key.walk with the visit written out:
// a call for each label would be a third of a look-up.
func (x *Index) answer(name string) *registry.Coverage {
	v0, v1, v2, v3 := x.key.start()
	n := &x.nodes[0]
	level := 0
	for rest := len(name); ; rest -= 8 {
		block, last := blockOf(name, rest)
		for dots := dotsOf(block); dots != 0; {
			bits := before(dots)
			dots &= dots - 1
			if level++; level == 1 && !x.tops {
				continue
			}
			i, _ := x.table.find(finish(v0, v1, v2, v3, ending(block, bits, len(name)-rest)))
			if i == 0 && level == 1 {
				continue
			}
			if i == 0 {
				return &n.below
			}
			if n = &x.nodes[i]; last && dots == 0 {
				return &n.self
			}
			if n.flags&hasBelow == 0 {
				return &n.below
			}
		}
		if last {
			return &n.below // a single label
		}
		v3 ^= block
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0 ^= block
	}
}

// CoverAddr returns what the registry knows of an address: filings of KindIP for
// exactly it. An IPv4 address within IPv6 is the same address. Cut is 0.
func (x *Index) CoverAddr(a netip.Addr) registry.Coverage {
	if x == nil {
		return registry.Coverage{}
	}
	if !a.IsValid() {
		return x.unfiledAddr()
	}
	i, _ := x.table.find(x.key.addr(plain(a)))
	runtime.KeepAlive(x)
	if i == 0 {
		return x.unfiledAddr()
	}
	return x.nodes[i].self
}

func (x *Index) unfiledAddr() registry.Coverage {
	return registry.Coverage{Revision: x.info.Revision, Loaded: true}
}

// Info says what x holds; the zero Info on a nil Index.
func (x *Index) Info() Info {
	if x == nil {
		return Info{}
	}
	return x.info
}

// Key returns the secret of the fingerprints, so that a newer snapshot of the
// same epoch can be made with it. The zero key on a nil Index.
func (x *Index) Key() [16]byte {
	if x == nil {
		return [16]byte{}
	}
	return x.key.bytes()
}
