package spop

// For tests, which speak as HAProxy does.

func Varint(b []byte) (v uint64, rest []byte, ok bool) { return varint(b) }
func AppendVarint(b []byte, v uint64) []byte           { return appendVarint(b, v) }
func VarintLen(v uint64) int                           { return varintLen(v) }
