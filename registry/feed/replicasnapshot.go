package feed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/index"
)

// Snapshot tells the revision of the newest snapshot, and when the registry was known
// to be there.
func (r *Replica) Snapshot() (registry.Revision, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.base.Revision, r.base.Time
}

// fileBySum returns the path of a file of a snapshot that can be served.
func (r *Replica) fileBySum(sha256 string) (string, bool) {
	bases, err := basesIn(r.dir)
	if err != nil || sha256 == "" {
		return "", false
	}
	for i := range bases {
		switch sha256 {
		case bases[i].Index.SHA256:
			return bases[i].path(indexSuffix), true
		case bases[i].Lists.SHA256:
			return bases[i].path(listsSuffix), true
		}
	}
	return "", false
}

// upstreamManifest is the signed manifest that came with the snapshot; nil where
// there is none.
func (r *Replica) upstreamManifest() []byte {
	r.mu.Lock()
	b := r.base
	r.mu.Unlock()
	text, err := os.ReadFile(b.path(manifestSuffix))
	if err != nil {
		return nil
	}
	return text
}

// Compact makes a snapshot of what is in force and drops the frames before the
// oldest snapshot that stays. It takes as long as index.Merge and holds up nobody.
func (r *Replica) Compact(ctx context.Context) error {
	r.compacting.Lock()
	defer r.compacting.Unlock()
	r.mu.Lock()
	v := r.live.View()
	if v == nil || r.log == nil {
		r.mu.Unlock()
		return ErrEmpty
	}
	d, _, _ := r.live.Digest()
	b := base{Revision: v.Revision(), Time: r.heard.UTC(), Sums: r.sums, Filed: v.Info().Filings, Brake: r.brake.upTo(v.Revision().Rev), dir: r.dir}
	lists := r.lists.Append(nil)
	same := b.Revision == r.base.Revision
	r.mu.Unlock()
	if same {
		return nil
	}
	if err := v.WriteFile(ctx, b.path(indexSuffix)); err != nil {
		return err
	}
	if err := b.finish(d, lists, r.o.Served); err != nil {
		return err
	}
	x, err := index.Map(b.path(indexSuffix))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live.View().Revision().Epoch != b.Revision.Epoch || r.base.Revision.Compare(b.Revision) > 0 {
		return fmt.Errorf("snapshot %s is written but not in force: another one came meanwhile, at %s", b.Revision, r.base.Revision)
	}
	r.live.Swap(x)
	r.base, r.left = b, time.Time{}
	return r.tidy()
}

// Manifest returns the manifest of the newest snapshot, to be signed, with the
// files that it names; false where there is none that can be served. now is the
// time of its making.
func (r *Replica) Manifest(now time.Time) (m Manifest, index, lists string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil || r.base.Index.SHA256 == "" {
		return m, "", "", false
	}
	announced := r.brake.newest()
	now = now.UTC().Truncate(time.Second)
	known := now
	if r.live.View().Revision() != r.base.Revision {
		known = notAfter(later(r.base.Time, r.left).UTC().Truncate(time.Second), now)
	}
	m = Manifest{
		Formats: [2]int{LowestFormat, HighestFormat}, Revision: r.base.Revision, Time: now, Known: known,
		Index: r.base.Index, Lists: r.base.Lists, Filed: r.base.Filed, Import: announced.Import, Flips: announced.Flips,
	}
	m.SetSums(r.base.Sums)
	return m, r.base.path(indexSuffix), r.base.path(listsSuffix), true
}

// tidy removes snapshots beyond those that stay, and frames that only they need.
// Newer ones than that in force are of an epoch that an operator has left, or could
// not be opened: the next start must not begin there.
func (r *Replica) tidy() error {
	bases, err := basesIn(r.dir)
	if err != nil {
		return err
	}
	keep := r.o.Kept
	if keep == 0 {
		keep = 2
	}
	oldest := r.base.Revision
	for i := range bases {
		if bases[i].Revision == r.base.Revision {
			continue
		}
		if keep > 0 && bases[i].Revision.Compare(r.base.Revision) < 0 {
			keep--
			if bases[i].Revision.Epoch == oldest.Epoch {
				oldest = bases[i].Revision
			}
			continue
		}
		err = errors.Join(err, bases[i].remove())
		if bases[i].Revision.Compare(r.base.Revision) > 0 {
			err = errors.Join(err, disk.SyncDir(r.dir)) // so that it does not come back
		}
	}
	return errors.Join(err, r.log.Drop(oldest.Rev), r.dropLogs())
}

// dropLogs removes the logs of other epochs.
func (r *Replica) dropLogs() error {
	files, err := os.ReadDir(r.dir)
	now := filepath.Base(logDir(r.dir, r.base.Revision.Epoch))
	for _, f := range files {
		if f.IsDir() && strings.HasSuffix(f.Name(), ".log") && f.Name() != now {
			err = errors.Join(err, disk.RemoveAll(filepath.Join(r.dir, f.Name())))
		}
	}
	return err
}
