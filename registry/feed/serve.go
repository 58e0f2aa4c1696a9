package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// The paths of a hub.
const (
	SnapshotPath = "/v1/snapshot" // the manifest; below it the files by their SHA-256
	FeedPath     = "/v1/feed"     // ?from=REVISION: the frames after it, and heartbeats
	DigestPath   = "/v1/digest"   // a heartbeat and the digests at its revision
	RepairPath   = "/v1/repair"   // ?at=REVISION&buckets=N,…: all that lies in some buckets
)

// RevisionHeader tells with a stream where the hub is as it begins. It is not signed,
// and nothing is decided by it.
const RevisionHeader = "X-ICP-Revision"

// contentFrames is the type of a stream of frames.
const contentFrames = "application/vnd.icpgate.frames"

// Refusal is why a hub does not give what it is asked for. Refuse writes it.
type Refusal struct {
	Status     int
	Detail     string
	RetryAfter time.Duration // 0 is none
}

func (r *Refusal) Error() string { return r.Detail }

// Refuser writes a refusal to a client; nil writes plain text.
type Refuser func(w http.ResponseWriter, r *http.Request, why *Refusal)

func (f Refuser) refuse(w http.ResponseWriter, r *http.Request, why *Refusal) {
	if why.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(why.RetryAfter/time.Second))))
	}
	if f != nil {
		f(w, r, why)
		return
	}
	http.Error(w, why.Detail, why.Status)
}

// Handler serves the hub at its paths. Who may ask is for a handler before it to
// say: snapshots hold the secret key of the fingerprints. Deadlines of the server
// it stands in must not end streams; each piece of one has its own.
func (h *Hub) Handler(refuse Refuser) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+SnapshotPath, func(w http.ResponseWriter, r *http.Request) { h.manifest(w, r, refuse) })
	mux.HandleFunc("GET "+SnapshotPath+"/{sha256}", func(w http.ResponseWriter, r *http.Request) { h.file(w, r, refuse) })
	mux.HandleFunc("GET "+FeedPath, func(w http.ResponseWriter, r *http.Request) { h.feed(w, r, refuse) })
	mux.HandleFunc("GET "+DigestPath, func(w http.ResponseWriter, r *http.Request) { h.digest(w, r, refuse) })
	mux.HandleFunc("GET "+RepairPath, func(w http.ResponseWriter, r *http.Request) { h.repair(w, r, refuse) })
	return mux
}

// manifest answers with the signed manifest: that of a relay is upstream's.
func (h *Hub) manifest(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	signed, err := h.signedManifest()
	if err != nil {
		refuse.refuse(w, r, &Refusal{http.StatusServiceUnavailable, "no snapshot is ready: " + err.Error(), time.Second})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"`+sumOf(signed)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(signed))
}

func (h *Hub) signedManifest() ([]byte, error) {
	if h.o.Signer == nil {
		if b := h.r.upstreamManifest(); b != nil {
			return b, nil
		}
		return nil, ErrEmpty
	}
	m, _, _, ok := h.r.Manifest(h.o.Now())
	if !ok {
		return nil, ErrEmpty
	}
	return m.Sign(h.o.Signer)
}

// file answers with a file of a snapshot that the replica still has.
func (h *Hub) file(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	sha := r.PathValue("sha256")
	path, ok := h.r.fileBySum(sha)
	if !ok {
		refuse.refuse(w, r, &Refusal{http.StatusNotFound, "no file of that checksum; fetch the manifest again", 0})
		return
	}
	select {
	case h.downloads <- struct{}{}:
		defer func() { <-h.downloads }()
	default:
		refuse.refuse(w, r, &Refusal{http.StatusTooManyRequests, fmt.Sprintf("%d downloads are under way", cap(h.downloads)), 5 * time.Second})
		return
	}
	f, err := os.Open(path)
	if err != nil {
		refuse.refuse(w, r, &Refusal{http.StatusNotFound, "no file of that checksum; fetch the manifest again", 0})
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+sha+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}

// revisionOf reads a revision from the query of a request, of which it must be the
// only one.
func revisionOf(r *http.Request, key string) (registry.Revision, *Refusal) {
	values := r.URL.Query()[key]
	if len(values) != 1 {
		return registry.Revision{}, &Refusal{http.StatusBadRequest, fmt.Sprintf("%d values of %q; give one revision, MILLISECONDS-RANDOM:NUMBER", len(values), key), 0}
	}
	rev, err := registry.ParseRevision(values[0])
	if err != nil {
		return rev, &Refusal{http.StatusBadRequest, fmt.Sprintf("%s: %v", key, err), 0}
	}
	return rev, nil
}

// feed streams the frames after a revision, and heartbeats.
func (h *Hub) feed(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	at, why := revisionOf(r, "from")
	if why != nil {
		refuse.refuse(w, r, why)
		return
	}
	if why := h.follows(at); why != nil {
		refuse.refuse(w, r, why)
		return
	}
	w.Header().Set(RevisionHeader, h.r.Revision().String())
	h.join()
	s := stream{h: h, at: at, w: w, to: http.NewResponseController(w)}
	err := s.run(r.Context())
	// A write that fails ends the context as well; another cause is whoever ended it.
	over := context.Cause(r.Context())
	h.leave(&s, errors.Is(err, os.ErrDeadlineExceeded) && (over == nil || over == context.Canceled))
}

// follows reports why nobody can follow from a revision.
func (h *Hub) follows(at registry.Revision) *Refusal {
	log, now := h.r.Log(), h.r.Revision()
	switch {
	case log == nil:
		return &Refusal{http.StatusServiceUnavailable, "no registry is loaded", time.Second}
	case at.Epoch != now.Epoch:
		return &Refusal{http.StatusGone, fmt.Sprintf("revision %s is of another epoch; the registry is at %s: fetch a snapshot", at, now), 0}
	case at.Rev > now.Rev:
		return &Refusal{http.StatusGone, fmt.Sprintf("revision %s is ahead; the registry is at %s: fetch a snapshot", at, now), 0}
	case at.Rev < log.After().Rev:
		return &Refusal{http.StatusGone, fmt.Sprintf("the changes since revision %s are not kept, only those since %s: fetch a snapshot", at, log.After()), 0}
	}
	return nil
}

// stream is one reader of the feed.
type stream struct {
	h     *Hub
	at    registry.Revision
	beats uint64
	turn  uint64 // of the hub, when all was sent
	w     io.Writer
	to    *http.ResponseController
	log   *LogReader
}

func (s *stream) run(ctx context.Context) error {
	defer func() {
		if s.log != nil {
			s.log.Close()
		}
	}()
	if w, ok := s.w.(http.ResponseWriter); ok {
		w.Header().Set("Content-Type", contentFrames)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
	}
	if err := s.send(); err != nil { // the head, so that the reader knows
		return err
	}
	for ctx.Err() == nil {
		n := s.h.news(s)
		var err error
		switch {
		case n.ended:
			return nil
		case n.fromLog:
			err = s.fromLog(n.newest)
		case len(n.frames) > 0:
			err = s.send(n.frames...)
			s.at.Rev += uint64(len(n.frames))
		case n.beat != nil:
			s.beats = n.beats
			err = s.send(n.beat)
		default:
			select {
			case <-n.wake:
			case <-ctx.Done():
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// send writes frames under one deadline.
func (s *stream) send(frames ...[]byte) error {
	if err := s.deadline(); err != nil {
		return err
	}
	for _, b := range frames {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
	}
	return s.to.Flush()
}

// deadline gives what is written next its time.
func (s *stream) deadline() error {
	err := s.to.SetWriteDeadline(time.Now().Add(s.h.o.WriteTimeout))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// fromLog sends a piece of what the ring does not have any more, frame by frame: a
// thousand edges may come at once when a service starts again. It does not go beyond
// the hub's newest revision: the log has the next one a moment before the hub.
func (s *stream) fromLog(newest uint64) error {
	if s.log == nil {
		s.log = ReadLog(s.h.r.Log().dir, s.at)
	}
	if err := s.deadline(); err != nil {
		return err
	}
	for size := 0; size < pieceSize && s.at.Rev < newest; {
		b, err := s.log.Next()
		if errors.Is(err, io.EOF) && size > 0 {
			break
		}
		if err != nil {
			return err // also io.EOF: the ring was to have it
		}
		if _, err := s.w.Write(b); err != nil {
			return err
		}
		size += len(b)
		s.at.Rev++
	}
	if n := s.h.news(s); !n.fromLog {
		s.log.Close()
		s.log = nil
	}
	return s.to.Flush()
}

// digest answers with a heartbeat and the digests at its revision.
func (h *Hub) digest(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	if h.o.Signer == nil {
		h.pass(w, r, refuse)
		return
	}
	for range 3 {
		beat, err := h.r.Heartbeat(h.o.Now(), h.o.Signer)
		d, rev, ok := h.r.Digest()
		if err != nil || !ok {
			break
		}
		if head, err := ParseHead(beat); err != nil || head.Revision != rev {
			continue // a revision came between
		}
		w.Header().Set("Content-Type", contentFrames)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(appendDigest(beat, d)) // the client has gone where it fails
		return
	}
	refuse.refuse(w, r, &Refusal{http.StatusServiceUnavailable, "the registry is changing too fast, or none is loaded", time.Second})
}

// repair answers with all that lies in some buckets, at the revision that the
// client is at.
func (h *Hub) repair(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	at, why := revisionOf(r, "at")
	if why != nil {
		refuse.refuse(w, r, why)
		return
	}
	buckets, why := bucketsOf(r)
	if why != nil {
		refuse.refuse(w, r, why)
		return
	}
	if h.o.Signer == nil {
		h.pass(w, r, refuse)
		return
	}
	if h.r.Revision() != at {
		refuse.refuse(w, r, &Refusal{http.StatusConflict, fmt.Sprintf("the registry is at %s; come again when you are", h.r.Revision()), 0})
		return
	}
	select {
	case h.downloads <- struct{}{}:
		defer func() { <-h.downloads }()
	default:
		refuse.refuse(w, r, &Refusal{http.StatusTooManyRequests, fmt.Sprintf("%d downloads are under way", cap(h.downloads)), 5 * time.Second})
		return
	}
	frames, err := h.r.RepairFrames(buckets, h.o.Signer)
	if err != nil {
		refuse.refuse(w, r, &Refusal{http.StatusInternalServerError, "the buckets cannot be sent: " + err.Error(), 0})
		return
	}
	w.Header().Set("Content-Type", contentFrames)
	w.Header().Set("Cache-Control", "no-store")
	for _, b := range frames {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// pass hands on what upstream answers to the same question.
func (h *Hub) pass(w http.ResponseWriter, r *http.Request, refuse Refuser) {
	if h.o.Upstream == nil {
		refuse.refuse(w, r, &Refusal{http.StatusNotFound, "this relay does not repair; fetch a snapshot", 0})
		return
	}
	body, err := h.o.Upstream.frames(r.Context(), r.URL.RequestURI())
	if err != nil {
		refuse.refuse(w, r, &Refusal{http.StatusServiceUnavailable, "upstream does not repair at the moment; fetch a snapshot", 5 * time.Second})
		return
	}
	defer body.Close()
	w.Header().Set("Content-Type", contentFrames)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.Copy(w, body) // what is missing the reader sees
}

// maxRepair is how many buckets may be repaired at once; beyond it a snapshot is
// cheaper.
const maxRepair = 256

func bucketsOf(r *http.Request) ([]int, *Refusal) {
	var buckets []int
	for text := range strings.SplitSeq(r.URL.Query().Get("buckets"), ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n >= index.DigestBuckets || len(buckets) == maxRepair {
			return nil, &Refusal{http.StatusBadRequest, fmt.Sprintf("buckets: %.40q; give up to %d numbers below %d between commas", text, maxRepair, index.DigestBuckets), 0}
		}
		if !slices.Contains(buckets, n) {
			buckets = append(buckets, n)
		}
	}
	return buckets, nil
}
