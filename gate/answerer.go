package gate

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"

	"github.com/icpgate/icpgate/registry"
)

// answerer makes the answers that are the gate's own. It is declared here for the
// engines; Notices is one.
type answerer interface {
	// AppendHTTP1 appends a whole response of HTTP/1 that tells why a request is
	// blocked, after which the connection ends.
	AppendHTTP1(b []byte, n Notice) []byte
	// RedirectURL is where a client that is blocked at a host is sent; "" is
	// nowhere.
	RedirectURL(host string, reason registry.Reason) string
	// AppendError1 appends one that tells that a request cannot be served; cause
	// is a word, or nothing.
	AppendError1(b []byte, status int, cause string) []byte
	// ServeNotice and ServeError are the same for HTTP/2.
	ServeNotice(w http.ResponseWriter, n Notice)
	ServeError(w http.ResponseWriter, status int, cause string)
}

// newRequestID makes what a client and an operator can name an answer by.
func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
