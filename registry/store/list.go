package store

import "github.com/icpgate/icpgate/registry"

// List and Entry are those of the registry: the small tables that edges follow.
type (
	List  = registry.List
	Entry = registry.Entry
)

// The lists.
const (
	ListExemptions = registry.ListExemptions
	ListNetworks   = registry.ListNetworks
	ListServers    = registry.ListServers
	ListBindings   = registry.ListBindings
	ListSuffixes   = registry.ListSuffixes
	ListProfiles   = registry.ListProfiles
	ListTLDs       = registry.ListTLDs

	listEnd = ListTLDs + 1
)
