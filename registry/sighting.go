package registry

// Limits of what edges count of the names that they blocked, or would have, and hand
// over: the same where it is counted, sent and kept.
const (
	// MaxSightings bounds the rows of a batch, and so those that an edge keeps; what it
	// has more of it counts as other.
	MaxSightings = 10_000
	// MaxSightedHosts bounds the hosts that a row names.
	MaxSightedHosts = 10
)
