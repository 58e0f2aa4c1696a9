package gate

import (
	"net/http"
	"strconv"
	"time"
)

// allowedMethods is what stands in the Allow header of 405 (RFC 9110 §15.5.6): all but
// CONNECT are passed on.
const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// noticeErrorFields are the header fields of an error.
var noticeErrorFields = [][2]string{
	{"Content-Type", noticeTypes[noticeText]},
	{"Cache-Control", "no-store"},
	{"X-Content-Type-Options", "nosniff"},
}

// noticeError makes the text of an error; a number that is no error of HTTP is
// a mistake of ours.
func noticeError(status int, cause string) (int, string) {
	if status < 400 || http.StatusText(status) == "" {
		status = http.StatusInternalServerError
	}
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	if cause != "" {
		text += ": " + showable(cause)
	}
	return status, text + "\n"
}

// AppendError1 appends a whole HTTP/1.1 response that says in one line why a
// request cannot be read or served, and ends its connection. Status is one of 400
// to 599; cause is a few words, "" for none.
func (s *Notices) AppendError1(b []byte, status int, cause string) []byte {
	status, text := noticeError(status, cause)
	b = append(append(append(b, statusLine(status)...), closeLine...), fieldLines(noticeErrorFields)...)
	if status == http.StatusMethodNotAllowed {
		b = appendField(b, "Allow: ", allowedMethods)
	}
	b = appendDate(b, time.Now())
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, text...)
}

// ServeError writes the same to w, as ServeNotice does.
func (s *Notices) ServeError(w http.ResponseWriter, status int, cause string) {
	status, text := noticeError(status, cause)
	h := w.Header()
	for _, f := range noticeErrorFields {
		h.Set(f[0], f[1])
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", allowedMethods)
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
