package registry

import "time"

// AccessStatus is the state of an access order. The zero value is AccessActive,
// the usual one.
type AccessStatus uint8

// The states, in the order of favour to the site.
const (
	AccessActive    AccessStatus = iota // approved and served
	AccessReviewed                      // the provider's first review is passed (初审通过), the authority's is pending
	AccessSubmitted                     // the order was submitted, nothing is decided
	AccessCancelled                     // cancelled (取消接入): the number stays, the association is gone
)

var accessStatusWords = words{"active", "first-review-passed", "submitted", "cancelled"}

// ParseAccessStatus reads the word of an access status.
func ParseAccessStatus(s string) (AccessStatus, error) {
	i, err := accessStatusWords.parse("access status", s)
	return AccessStatus(i), err
}

// String returns the word of s.
func (s AccessStatus) String() string { return accessStatusWords.of(uint8(s)) }

// MarshalText writes the word of s.
func (s AccessStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *AccessStatus) UnmarshalText(b []byte) (err error) {
	*s, err = ParseAccessStatus(string(b))
	return err
}

// Grace is how long a filing's data is kept after the provider's first review,
// and so the longest that the policy may let a site be served while the
// authority still reviews. Source: TC, 网站访问类 (45 days).
const Grace = 45 * 24 * time.Hour

// Access is the association of a site with a provider (接入). The zero value is
// an active access with nobody, which matches no edge.
type Access struct {
	Provider ProviderID
	Status   AccessStatus
	// At is the time of the last change of Status in Unix seconds: for
	// AccessReviewed the day from which the grace runs. 0 is unknown, and grants
	// no grace.
	At int64
}

// GraceUntil returns the Unix second at which the grace of a first-review-passed
// access ends; 0 for any other access and where the day of review is unknown.
func (a Access) GraceUntil() int64 {
	if a.Status != AccessReviewed || a.At == 0 {
		return 0
	}
	return a.At + int64(Grace/time.Second)
}
