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
//	x, err := index.ReadFile("registry.icpidx")
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
// The package does not follow changes, does not fetch, and does not map files.
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
//	 28  u32      number of sections, 8
//	 32  16 bytes secret key of the fingerprints
//	 48  i64      epoch: Unix milliseconds of its making
//	 56  u64      epoch: random part
//	 64  u64      revision within the epoch
//	 72  i64      when the snapshot was made, Unix milliseconds; 0 is unknown
//	 80  4 × u64  filings, filed names, filed addresses, blacklisted names
//	112  u64      home buckets of the table
//	120  u32      how far an entry lies from its home at most, in buckets (≤ 63)
//	124  u32      bit 0: single labels are known, too
//	128  8 × 32   sections: u32 number (from 1), u32 CRC-32C, u64 offset, u64 length, u64 zero
//	384           zeros
//	508  u32      CRC-32C of the bytes before
//
// The sections:
//
//	1 table         buckets of 64 bytes; table.go has their layout
//	2 record index  u64 offset into records per bucket, and one for their end
//	3 records       per slot with filings: u8 slot, uvarint length, and per filing uvarint length and record
//	4 providers     u32 count; uvarint length and bytes each
//	5 accesses      u32 count; sets of u32 count and, each, u32 provider, u32 status, i64 Unix seconds
//	6 coverings     u32 count; u8 labels of the filed name, u8 kind, u8 status, u8 flags, u32 accesses;
//	                flags: 1 inherited, 2 restricted, 4 accesses known
//	7 lists         u32 count; lists of u32 count and u32 coverings
//	8 nodes         u32 count; u32 list for the name itself, u32 list for names below, u8 flags, u8 labels, u16 zero;
//	                flags: 1 something known below, 2 the lists differ, 4 blacklisted, 8 government name with a filing
//
// A record is: u8 kind, u8 status, u8 flags (1 address, 2 restricted, 4 accesses
// known, 8 entity number follows, 16 day of filing follows, 32 last change
// follows), u8 nature; the name with its uvarint length, or the 16 bytes of the
// address; number, entity number, entity name and site name with their lengths,
// days as varint Unix seconds; uvarint accesses of provider with its length, u8
// status, varint Unix seconds; and, to its end, hosts that the filing covers,
// with their lengths. Names of individuals are left out: the file holds no
// personal data of theirs.
//
// The file is a function of filings, blacklist, key, revision and time of making,
// to the byte. It holds the secret key: WriteFile gives it mode 0640.
package index
