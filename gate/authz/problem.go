package authz

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Problem is why a request is not answered, as RFC 9457 has it.
type Problem struct {
	Status int
	Detail string // what is wrong, and what would be right
	// Pointer is where in a body (RFC 6901), and Parameter which one of a query.
	// Optional.
	Pointer, Parameter string
	Allow              string // the methods, with status 405
}

// AppendJSON appends the body, of the type application/problem+json.
func (p *Problem) AppendJSON(b []byte) []byte {
	text, _ := json.Marshal(struct { // strings always have a form
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Pointer   string `json:"pointer,omitempty"`
		Parameter string `json:"parameter,omitempty"`
	}{http.StatusText(p.Status), p.Status, p.Detail, p.Pointer, p.Parameter})
	return append(append(b, text...), '\n')
}

// Problems that do not depend on what was asked.
var (
	ErrMethod   = &Problem{Status: http.StatusMethodNotAllowed, Detail: "expect GET with a query, or POST with JSON", Allow: "GET, HEAD, POST"}
	ErrFraming  = &Problem{Status: http.StatusBadRequest, Detail: "the body is not framed as RFC 9112 has it"}
	ErrTooSlow  = &Problem{Status: http.StatusRequestTimeout, Detail: "the body has not come to its end in time"}
	ErrTooLarge = &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes; ask about fewer hosts at a time", MaxBody)}
	ErrNoAddr   = &Problem{
		Status: http.StatusBadRequest, Parameter: "addr",
		Detail: "addr is missing: this listener does not know at which address hosts are judged; expect for example addr=203.0.113.10",
	}
)

// cut shortens what came from outside, for a message.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
