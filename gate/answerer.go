package gate

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// answerer makes the answers that are ours.
type answerer interface {
	AppendHTTP1(b []byte, n Notice) []byte
	AppendError1(b []byte, status int, cause string) []byte
	ServeNotice(w http.ResponseWriter, n Notice)
	ServeError(w http.ResponseWriter, status int, cause string)
}

// Notice is XXX
type Notice struct {
	Host             string
	Verdict          registry.Verdict
	RequestID        string
	Time             time.Time
	Accept, Language string
	Head             bool
}

// newRequestID makes what a client and an operator can name an answer by.
func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
