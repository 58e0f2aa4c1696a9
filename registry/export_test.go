package registry

// ICANNTLDs and ICANNRules are the generated tables.
var (
	ICANNTLDs  = icannTLDs[:]
	ICANNRules = icannRules
)

// PublicSuffix is the suffix of a name by the list's own package.
var PublicSuffix = publicSuffix

// What is read eight bytes at a time, and its slow twin.
var (
	IsCanonical     = isCanonical
	IsCanonicalSlow = isCanonicalSlow
)
