package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// answering holds the status of an answer back until the first of its bytes, so that
// what goes wrong before can still be answered, and notes it. It keeps what the writer
// beneath can do: deadlines by Unwrap, sendfile by ReadFrom.
type answering struct {
	http.ResponseWriter
	begun  func(status int)
	status int // to be sent; 0 until somebody says it
	sent   bool
}

// Unwrap is for http.ResponseController.
func (w *answering) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *answering) WriteHeader(status int) {
	switch {
	case status < 200: // others come before the answer
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *answering) Write(b []byte) (int, error) {
	w.send()
	return w.ResponseWriter.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (w *answering) ReadFrom(r io.Reader) (int64, error) {
	w.send()
	return io.Copy(w.ResponseWriter, r)
}

// FlushError is for http.ResponseController.
func (w *answering) FlushError() error {
	w.send()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *answering) Flush() { _ = w.FlushError() } // where it is not supported the answer comes at its end

// send sends the status.
func (w *answering) send() {
	if w.sent {
		return
	}
	w.sent = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.begun(w.status)
	w.ResponseWriter.WriteHeader(w.status)
}

// Panic is a defect of the service that a request has met. It is an error of
// Config.Failed.
type Panic struct {
	Where string // the method and path of the request, or what else was done
	Value any    // of the panic
	Stack []byte // of the goroutine
}

// Error tells what was met where.
func (p *Panic) Error() string { return fmt.Sprintf("%s: panic: %v", p.Where, p.Value) }

// survive answers a request that a defect has ended, and has it logged. An answer that
// has begun is cut off, so that nobody takes it for whole. It is to be deferred.
func (s *Service) survive(w *answering, r *http.Request) {
	v := recover()
	switch v {
	case nil:
		return
	case http.ErrAbortHandler: // meant, and told of
		panic(v)
	}
	s.cfg.Failed(&Panic{r.Method + " " + r.URL.Path, v, debug.Stack()})
	if w.sent {
		panic(http.ErrAbortHandler)
	}
	clear(w.Header())
	w.status = 0
	writeProblem(w, http.StatusInternalServerError, "it could not be done; the log of the service says why")
}

// plain is how huma writes values. Where that cannot be done huma says so in the midst
// of an answer of status 200; here nothing has gone out by then.
var plain = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(fmt.Errorf("the answer cannot be written: %w", err)) // for survive
		}
		_, _ = w.Write(b.Bytes()) // the client has gone where it fails
		return nil
	},
	Unmarshal: func(b []byte, v any) error {
		if !utf8.Valid(b) { // encoding/json would take it, and put something else there
			return errors.New("it is no UTF-8")
		}
		if err := keysOnce(b); err != nil {
			return err
		}
		return json.Unmarshal(b, v)
	},
}

func init() { huma.ValidateStrictCasing = true } // the description says which keys there are

// keysOnce refuses JSON in which an object has a key twice, or in two spellings of case:
// encoding/json takes the last, others the first, and one change may be read as two.
// What is no JSON is left to who decodes it.
func keysOnce(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // one beyond float64 ends no look
	type object struct {
		keys  map[string]bool // nil: an array
		value bool            // a value comes next
	}
	var open []object
	for {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		if t := len(open) - 1; t >= 0 && open[t].keys != nil {
			if key, ok := token.(string); ok && !open[t].value {
				folded := foldKey(key)
				if open[t].keys[folded] {
					return fmt.Errorf("key %q is given twice", key)
				}
				open[t].keys[folded], open[t].value = true, true
				continue
			}
			open[t].value = false
		}
		switch token {
		case json.Delim('{'):
			open = append(open, object{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, object{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
}

// foldKey is what keys have in common that encoding/json takes for one: ſ is an s to
// it, and the Kelvin sign a k, which lower case alone does not make the same.
func foldKey(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}

// sound returns a panic of do as an error.
func sound(what string, do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Panic{what, v, debug.Stack()}
		}
	}()
	return do()
}

// measured serves what the guard lets through, and counts it. stream is the route
// whose requests have no end.
func (s *Service) measured(stream string) http.Handler {
	m := s.metrics
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		pattern := s.guard.pattern(r)
		route := "other"
		if _, path, ok := strings.Cut(pattern, " "); ok {
			route = path
		}
		a := &answering{ResponseWriter: w, begun: func(status int) {
			m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
		}}
		defer func() {
			if route != stream {
				m.duration.WithLabelValues(route).Observe(time.Since(begun).Seconds())
			}
		}()
		defer s.survive(a, r)
		s.guard.serve(a, r, pattern)
		a.send()
	})
}
