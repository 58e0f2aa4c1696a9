package registry

// Covering is one filing as it reaches the name of a Coverage.
type Covering struct {
	// Filed is how many labels the filed name has: it is Name.Last(Filed) of the
	// name asked for. 0 for a filing by address.
	Filed  uint8
	Kind   Kind
	Status Status
	// Inherited is set under a government suffix for a filing that lies above the
	// name without covering it: it counts only where the policy inherits.
	Inherited     bool
	Restricted    bool
	AccessesKnown bool
	Accesses      []Access // shared and immutable
}

// Coverage is what the registry knows of one name or address (覆盖): the answer
// of an index to a look-up, and all that Decide needs. It is a value; the
// slices behind it are shared and must not be changed. The zero value is the
// coverage of a registry that was never loaded.
type Coverage struct {
	// Filings are all filings that reach the name, the most specific first, so
	// that which of them is the most favourable can depend on provider and profile.
	Filings []Covering
	// Revision is that of the registry that answered.
	Revision Revision
	// Cut is how many labels the shallowest name has at or above the one asked for
	// below which nothing else is known: all names below it have this coverage.
	// Caches key on it, so that a flood of sub-names is one entry.
	Cut uint8
	// Loaded tells a registry that knows nothing of the name from no registry.
	Loaded bool
	// Blacklisted: the domain, one above it, or its entity is on the authority's
	// blacklist.
	Blacklisted bool
	// GovFiled: a site's filing stands somewhere under the same government
	// registrable name (another unit's, if none covers this name).
	GovFiled bool
}
