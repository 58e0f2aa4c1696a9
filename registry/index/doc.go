// Package index is the registry as an edge holds it: a snapshot, an immutable
// table of what is filed, that says which filings cover a name.
//
//	b := index.NewBuilder(index.Options{Revision: rev, MadeAt: now})
//	for _, f := range filings {
//		if err := b.Add(f); err != nil { … }
//	}
//	x, err := b.Build()
//	err = index.WriteFile("registry.icpidx", x)
//	…
//	x, err := index.ReadFile("registry.icpidx") // or Map, of a file that this host wrote itself
//	live.Swap(x)
//	c := live.Load().Cover(name) // for registry.Decide
//
// A look-up costs one pass over the name and, as a rule, one access to memory
// that is not in a cache, also for names that are not filed; it does not
// allocate. Names stand in the table as keyed fingerprints, 15 bytes a filing;
// the comment above the layout in table.go derives how seldom they err. The
// names themselves, numbers and dates lie in the same file for Records, which
// decisions do not touch.
//
// Merge makes the next snapshot of one and the changes since, without holding
// either in memory.
//
// The package does not fetch.
//
// # The snapshot file
//
// All numbers are little-endian. The file begins with a header of 512 bytes;
// sections follow in the order below, each at the next multiple of 64 bytes, the
// gaps filled with zeros. The file ends with the padding of the last section.
//
//	  0  8 bytes  magic 89 69 63 70 69 64 78 0A ("\x89icpidx\n")
//	  8  u32      format version, 1
//	 12  u32      byte order mark 0A0B0C0D
//	 16  u64      length of the file
//	 24  u32      length of the header, 512
//	 28  u32      number of sections, 10
//	 32  16 bytes secret key of the fingerprints
//	 48  i64      epoch: Unix milliseconds of its making
//	 56  u64      epoch: random part
//	 64  u64      revision within the epoch
//	 72  i64      when the snapshot was made, Unix milliseconds; 0 is unknown
//	 80  4 × u64  filings, filed names, filed addresses, blacklisted names
//	112  u64      home buckets of the table
//	120  u32      how far an entry lies from its home at most, in buckets (≤ 63)
//	124  u32      bit 0: single labels are known, too
//	128  10 × 32  sections: u32 number (from 1), u32 CRC-32C, u64 offset, u64 length, u64 zero
//	448           zeros
//	508  u32      CRC-32C of the bytes before
//
// The sections:
//
//	 1 table         buckets of 64 bytes, 63 more than home buckets; table.go has their layout
//	 2 record index  u64 offset into records per bucket, and one for their end
//	 3 records       per slot: a group, below
//	 4 providers     u32 count; uvarint length and bytes each
//	 5 accesses      u32 count; sets of u32 count and, each, u32 provider, u32 status, i64 Unix seconds
//	 6 coverings     u32 count; u8 labels of the filed name, u8 kind, u8 status, u8 flags, u32 accesses;
//	                 flags: 1 inherited, 2 restricted, 4 accesses known
//	 7 lists         u32 count; lists of u32 count and u32 coverings
//	 8 nodes         u32 count; u32 list for the name itself, u32 list for names below, u8 flags, u8 labels, u16 zero;
//	                 flags: 1 something known below, 2 the lists differ, 4 blacklisted, 8 government name with a filing
//	 9 blacklist     names
//	10 government    names under a government suffix with a standing filing of a site
//
// Names are a u32 count, a u32 0, the u32 end of each name, counted from the
// first, and the names one after the other; they are sorted from their last byte
// to their first, so that what lies below a name lies together.
//
// A group is: u8 slot (8 more for an address), uvarint length of the rest; the
// name, or the 16 bytes of the address; and a record for each of its filings, in
// the order of the coverings of the name's own list. A name that only leads to
// others has no record. What a covering says (kind, status, restricted, accesses
// with providers) is not said again.
//
// A record is: u8 nature and flags (32 entity number follows, 64 times of accesses
// follow, 128 more follows); number; entity number, if it is not that of number;
// uvarint length of the entity's name and this; 0 where the site's name is the
// same, else uvarint 1 + length and this; time of filing, counted from
// 2017-01-01; time of the last change, counted from the time of filing if there is
// one; for each access of the covering its time, if the covering does not have
// it, counted likewise; and u8 flags, with 1 for a uvarint count of hosts that the
// filing covers and these with their lengths, 2 for a filing that is counted under
// another of its names and this. Names of individuals are left out: the file holds no
// personal data of theirs.
//
// A name is packed as u8, with the number of its suffix in the low three bits
// (none, .com, .cn, .com.cn, .net, .gov.cn, .org, .top; the longest that fits) and
// the length of what stands before it above these (31: uvarint length − 31
// follows), and that. A number is u8: 0 none; 1 a text with its uvarint length; 2 +
// 2·province, in the order of the codes of GB/T 2260, + 1 for ICP证, and then
// uvarint digits with a 1 before them and uvarint 4·ordinal + letter (none, A, X,
// K). A time is uvarint: 0 unknown, else 1 + 3·distance + unit, where unit 0 are
// days that begin at 0:00 UTC, 1 days that begin in China, 2 seconds, and the
// distance is zigzag.
//
// The file is a function of filings, blacklist, key, revision and time of making,
// to the byte. It holds the secret key: WriteFile gives it mode 0640.
package index
