package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// base is a snapshot as a replica keeps it: files of one name with different ends.
// The last to be written is the mark, which makes the others count.
type base struct {
	Revision registry.Revision `json:"revision"`
	// Time is when the registry was known to be at Revision.
	Time  time.Time `json:"time"`
	Sums  Sums      `json:"sums"`
	Index File      `json:"index"` // SHA256 only where it is served
	Lists File      `json:"lists"`
	Filed int       `json:"filed"`
	// Brake is what had flipped at Revision.
	Brake counted `json:"brake"`

	dir string
}

// The ends of the names.
const (
	indexSuffix  = ".icpidx"
	listsSuffix  = ".lists"
	digestSuffix = ".digest"
	markSuffix   = ".mark"
	tempSuffix   = ".temp"
	// manifestSuffix is the manifest as it came, for a relay to hand on.
	manifestSuffix = ".manifest"
)

// fileMode: snapshots hold the secret key (group read for mirrors).
const fileMode = 0o640

// path of one of the files; names sort by revision within an epoch.
func (b *base) path(suffix string) string {
	r := b.Revision
	return filepath.Join(b.dir, fmt.Sprintf("%016x-%016x-%020d%s", r.Epoch.Made, r.Epoch.Random, r.Rev, suffix))
}

// basesIn lists the whole snapshots of a directory, the newest first. A mark that
// does not read is passed over.
func basesIn(dir string) ([]base, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []base
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), markSuffix) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			continue
		}
		b := base{dir: dir}
		if json.Unmarshal(text, &b) == nil && b.path(markSuffix) == filepath.Join(dir, f.Name()) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b base) int { return b.Revision.Compare(a.Revision) })
	return all, nil
}

// open maps the snapshot and reads what belongs to it.
func (b *base) open() (x *index.Index, d *index.Digest, l *Lists, err error) {
	if x, err = index.Map(b.path(indexSuffix)); err != nil {
		return nil, nil, nil, err
	}
	if got := x.Info().Revision; got != b.Revision {
		return nil, nil, nil, fmt.Errorf("snapshot %s is of revision %s", b.path(indexSuffix), got)
	}
	if d, err = readDigest(b.path(digestSuffix)); err != nil {
		return nil, nil, nil, err
	}
	f, err := os.Open(b.path(listsSuffix))
	if err != nil {
		return nil, nil, nil, err
	}
	defer f.Close()
	if l, _, err = ReadLists(f, x.Key()); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", b.path(listsSuffix), err)
	}
	if got := (Sums{d.Sum(), l.Digest()}); got != b.Sums {
		return nil, nil, nil, fmt.Errorf("snapshot %s has digests %x; its mark says %x", b.path(indexSuffix), got, b.Sums)
	}
	return x, d, l, nil
}

// finish writes what belongs to a snapshot whose index stands at its place, and
// then its mark. Where the snapshot is served, the index is summed up first.
func (b *base) finish(d *index.Digest, lists []byte, served bool) (err error) {
	b.Lists = File{sumOf(lists), int64(len(lists))}
	if served && b.Index.SHA256 == "" {
		if b.Index, err = fileOf(b.path(indexSuffix)); err != nil {
			return err
		}
	}
	if err := disk.WriteFile(b.path(listsSuffix), lists, fileMode); err != nil {
		return err
	}
	if err := disk.WriteFile(b.path(digestSuffix), appendDigest(nil, d), fileMode); err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return disk.WriteFile(b.path(markSuffix), append(text, '\n'), fileMode)
}

// remove takes the snapshot away, its mark first.
func (b *base) remove() error {
	var errs []error
	for _, suffix := range []string{markSuffix, manifestSuffix, digestSuffix, listsSuffix, indexSuffix} {
		if err := disk.Remove(b.path(suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// digestHead begins a file of digests.
const digestHead = "icp digest 1\n"

func appendDigest(b []byte, d *index.Digest) []byte {
	start := len(b)
	b = append(b, digestHead...)
	for _, sum := range d {
		b = binary.LittleEndian.AppendUint64(b, sum)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseDigest(b []byte) (*index.Digest, error) {
	n := len(digestHead) + 8*index.DigestBuckets
	if len(b) != n+4 || !bytes.HasPrefix(b, []byte(digestHead)) || binary.LittleEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return nil, errors.New("no digests, or damaged ones")
	}
	d := new(index.Digest)
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(b[len(digestHead)+8*i:])
	}
	return d, nil
}

func readDigest(path string) (*index.Digest, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := parseDigest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// fileOf sums up a file.
func fileOf(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{hex.EncodeToString(h.Sum(nil)), n}, err
}

// SignedBy reports whether one of keys has signed what came after the newest snapshot.
// Keys change when a program starts: of the frames since, the oldest tells.
func (r *Replica) SignedBy(keys *Keys) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil || r.live.View().Revision() == r.base.Revision {
		return true
	}
	reader := ReadLog(r.log.dir, r.base.Revision)
	defer reader.Close()
	b, err := reader.Next()
	if err == nil {
		_, err = ParseFrame(b, keys)
	}
	return err == nil
}
