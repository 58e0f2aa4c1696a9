package edge

const (
	// sightBuckets have room for three times as many rows as a shard has, or a full
	// one would be met now and then.
	sightBuckets = 128
	bucketSlots  = 16
	// rowMask has the bits of a slot that are the number of a row, from 1.
	rowMask = 1<<10 - 1
	// newcomers is how many of those that found no row are remembered at most.
	newcomers = 1024
)

// sightIndex finds the rows of a shard by their hash, in one cache line. A map would
// take two or three, and more to let one row take the place of another. Its zero
// value is empty. It holds nothing that the garbage collector has to look at.
type sightIndex struct {
	// slots hold the number of a row from 1, and bits of its hash. Behind the first
	// free one, which is 0, all are.
	slots [sightBuckets][bucketSlots]uint32
	// seen are parts of the hashes of those that lately found no row, each in the
	// place that its hash has.
	seen [newcomers]uint32
}

// bucket returns the slots in which a hash is, if it is anywhere. The lowest bits
// are those of the shard.
func (x *sightIndex) bucket(h uint64) *[bucketSlots]uint32 {
	return &x.slots[h/sightShards%sightBuckets]
}

// full reports whether there is no slot left for a hash.
func (x *sightIndex) full(h uint64) bool { return x.bucket(h)[bucketSlots-1] != 0 }

// indexed is the slot of a row.
func indexed(h uint64, row int) uint32 {
	return uint32(h>>32)&^rowMask | uint32(row+1)
}

// add puts a row in, unless its bucket is full.
func (x *sightIndex) add(h uint64, row int) {
	b := x.bucket(h)
	for i := range b {
		if b[i] == 0 {
			b[i] = indexed(h, row)
			return
		}
	}
}

// remove takes a row out.
func (x *sightIndex) remove(h uint64, row int) {
	b := x.bucket(h)
	last := bucketSlots - 1
	for last > 0 && b[last] == 0 {
		last--
	}
	for i := range b[:last+1] {
		if b[i] == indexed(h, row) {
			b[i], b[last] = b[last], 0
			return
		}
	}
}

// again remembers a hash, and reports whether it was remembered.
func (x *sightIndex) again(h uint64) bool {
	at := &x.seen[h/sightShards/sightBuckets%newcomers]
	known := *at == uint32(h>>32)
	*at = uint32(h >> 32)
	return known
}
