package edge

import "github.com/icpgate/icpgate/registry"

// Held returns how many pieces of data the process holds.
func Held() int {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return len(pool.byKey)
}

// Best returns the exemption of x for d at now.
func Best(x *Exemptions, d registry.Domain, now int64) registry.Exemption {
	return x.best(registry.Exemption{}, d, now)
}
