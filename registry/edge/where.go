package edge

import "github.com/icpgate/icpgate/registry/place"

// Where is what Locate answers: where an address is, whose it is and what
// answers there. An edge program names it from here; where the answers come from
// is no business of its.
type Where = place.Where
