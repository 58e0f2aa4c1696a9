package registry

// ICANNTLDs is the generated table.
var ICANNTLDs = icannTLDs[:]

// What is read eight bytes at a time, and its slow twin.
var (
	IsCanonical     = isCanonical
	IsCanonicalSlow = isCanonicalSlow
)
