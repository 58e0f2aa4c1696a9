package feed

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Resign makes length, key, signature and checksum of b right, whatever else it
// holds; b itself where it is too short to hold them.
func Resign(b []byte, s *Signer) []byte {
	if len(b) < frameHead+1+frameSignature {
		return b
	}
	copy(b[16:], s.id[:])
	b[8] = HighestFormat
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	end := len(b) - frameSignature
	copy(b[end:], s.sign(b[frameSigned:end]))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b
}

// LimitSegments sets where a segment of l ends.
func (l *Log) LimitSegments(bytes int64) { l.limit = bytes }

// HeardFile is what the file says that the registry was heard of at a revision.
func HeardFile(at registry.Revision, until time.Time) []byte {
	return (&heard{at: at, until: until}).append(nil)
}

// StallAfter sets for how long nothing of an answer may come.
func (c *Client) StallAfter(d time.Duration) { c.stall = d }
