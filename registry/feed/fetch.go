package feed

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// BusyError: the service has too much to do, and says when to come again.
type BusyError struct{ After time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("the service is busy; it wants to be asked again in %v", e.After)
}

// ErrDenied: the service does not let this client in, with the token or certificate
// that it shows.
var ErrDenied = errors.New("see whether the token is right, still good, and may read the feed")

// refused makes an error of an answer that is not the wanted one, and closes it.
func (c *Client) refused(resp *http.Response) error {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	switch resp.StatusCode {
	case http.StatusGone:
		return fmt.Errorf("the service at %s: %w", c.base, ErrGone)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil || seconds < 0 || seconds > 3600 {
			seconds = 1
		}
		return &BusyError{time.Duration(seconds) * time.Second}
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the service at %s says %s; %w", c.base, resp.Status, ErrDenied)
	}
	return fmt.Errorf("the service at %s says %s: %.200q", c.base, resp.Status, text)
}

// stallTime is for how long nothing of an answer may come before it is given up: a
// network that loses packets is back within seconds, and what was fetched of a file
// stays.
const stallTime = 30 * time.Second

// get asks for an answer that has an end. Where it stalls it is given up: who follows
// would wait for ever, and a relay in between could have it so.
func (c *Client) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := c.do(ctx, http.MethodGet, path, nil, header)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	stalled := fmt.Errorf("nothing came from %s for %v, in the middle of an answer", c.base, c.stall)
	t := time.AfterFunc(c.stall, func() { cancel(stalled) })
	t.Stop()
	resp.Body = &moving{resp.Body, ctx, cancel, t, c.stall}
	return resp, nil
}

// moving is the body of an answer that is given up where nothing comes. What its
// reader does meanwhile takes no time of it.
type moving struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	wait   time.Duration
}

// Read implements io.Reader.
func (m *moving) Read(b []byte) (int, error) {
	m.timer.Reset(m.wait)
	n, err := m.ReadCloser.Read(b)
	m.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = cause(m.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (m *moving) Close() error {
	m.timer.Stop()
	err := m.ReadCloser.Close()
	m.cancel(nil)
	return err
}

// Manifest fetches the manifest of the newest snapshot, which one of keys must
// have signed, and returns it also as it came.
func (c *Client) Manifest(ctx context.Context, keys *Keys) (*Manifest, []byte, error) {
	resp, err := c.get(ctx, SnapshotPath, nil)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, c.refused(resp)
	}
	defer resp.Body.Close()
	signed, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseManifest(signed, keys)
	if err == nil {
		err = m.Readable()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the service at %s: %w", c.base, err)
	}
	return m, signed, nil
}

// Fetch puts a file of a snapshot at path. What lies there already, of a download
// that was cut off, is gone on with. The file is on disk and has its checksum when
// Fetch returns without an error.
func (c *Client) Fetch(ctx context.Context, file File, path string) error {
	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	had, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if had > file.Bytes {
		had = 0
	}
	if had < file.Bytes {
		if err = c.fetchRest(ctx, file, f, had); err != nil {
			return err
		}
	}
	if err := f.Truncate(file.Bytes); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h.Reset()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != file.SHA256 {
		disk.Remove(path)
		return fmt.Errorf("the service at %s sent a file with SHA-256 %s; the manifest says %s", c.base, got, file.SHA256)
	}
	return f.Sync()
}

// fetchRest fetches what comes after the first bytes of a file.
func (c *Client) fetchRest(ctx context.Context, file File, f *disk.File, had int64) error {
	header := http.Header{}
	if had > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", had))
		header.Set("If-Range", `"`+file.SHA256+`"`)
	}
	resp, err := c.get(ctx, SnapshotPath+"/"+file.SHA256, header)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", had)):
	case resp.StatusCode == http.StatusOK:
		had = 0
	default:
		return c.refused(resp)
	}
	defer resp.Body.Close()
	if _, err := f.Seek(had, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, file.Bytes-had))
	if err == nil && had+n < file.Bytes {
		err = fmt.Errorf("the service at %s ended a file of %d bytes after %d", c.base, file.Bytes, had+n)
	}
	return err
}

// frames asks for frames that have an end.
func (c *Client) frames(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	body, _, err := c.framed(resp)
	return body, err
}

// opened begins a stream of frames, and tells where the service says that it is; zero
// where it does not.
func (c *Client) opened(ctx context.Context, path string) (io.ReadCloser, registry.Revision, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, registry.Revision{}, err
	}
	return c.framed(resp)
}

// framed refuses what is no answer of frames.
func (c *Client) framed(resp *http.Response) (io.ReadCloser, registry.Revision, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, registry.Revision{}, c.refused(resp)
	}
	at, err := registry.ParseRevision(resp.Header.Get(RevisionHeader))
	if err != nil {
		at = registry.Revision{}
	}
	if kind := resp.Header.Get("Content-Type"); kind != contentFrames {
		resp.Body.Close()
		return nil, at, fmt.Errorf("the service at %s answers with %q; expect %q", c.base, kind, contentFrames)
	}
	return resp.Body, at, nil
}

// Feed opens the stream of frames after a revision; ErrGone where they are not
// kept any more.
func (c *Client) Feed(ctx context.Context, after registry.Revision) (io.ReadCloser, error) {
	body, _, err := c.opened(ctx, feedAfter(after))
	return body, err
}

func feedAfter(after registry.Revision) string { return FeedPath + "?from=" + after.String() }

// Digest fetches the digests of the registry and the heartbeat that goes with
// them.
func (c *Client) Digest(ctx context.Context, keys *Keys) (*Frame, *index.Digest, error) {
	body, err := c.frames(ctx, DigestPath)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	r := bufio.NewReader(body)
	b, err := ReadFrame(r, nil)
	if err != nil {
		return nil, nil, err
	}
	beat, err := ParseFrame(b, keys)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return nil, nil, err
	}
	d, err := parseDigest(text)
	if err == nil && d.Sum() != beat.Sums.Filings {
		err = errors.New("digests that do not sum up to what is signed")
	}
	return beat, d, err
}

// Limits of a repair: maxRepair buckets of 50 million filings are some 40 MiB in 50
// frames. What was signed once can be sent again and again by who stands between.
const (
	maxRepairBytes  = 4 * MaxFrame
	maxRepairFrames = 256
)

// Repair fetches all that lies in some buckets at a revision.
func (c *Client) Repair(ctx context.Context, at registry.Revision, buckets []int, keys *Keys) (frames []*Frame, err error) {
	list := make([]string, len(buckets))
	for i, n := range buckets {
		list[i] = strconv.Itoa(n)
	}
	body, err := c.frames(ctx, RepairPath+"?at="+at.String()+"&buckets="+strings.Join(list, ","))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	r := bufio.NewReader(body)
	for size := 0; ; {
		b, err := ReadFrame(r, nil)
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		f, err := ParseFrame(b, keys)
		if err != nil {
			return nil, err
		}
		if size += len(b); f.Type != FrameRepair || f.Revision != at || size > maxRepairBytes || len(frames) == maxRepairFrames {
			return nil, fmt.Errorf("the service at %s sent a repair of more than %d frames or %d bytes, or frames of something else", c.base, maxRepairFrames, maxRepairBytes)
		}
		frames = append(frames, f)
	}
}
