package extauthz

import "github.com/icpgate/icpgate/gate/authz"

var names = authz.NewNames()

// Question reads a check as it comes, for tests; it reports false where that is
// none.
func Question(b []byte) (q authz.Question, r authz.Reader, ok bool) {
	var m message
	if !m.read(b) {
		return q, r, false
	}
	q, r = m.question(names)
	return q, r, true
}
