package index_test

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/disk/powercut"
	"github.com/icpgate/icpgate/registry/index"
)

// TestPowerCut: whenever the power is cut, what lies at the path of a snapshot is
// whole, and no older than the last one that was said to be written; however it was
// written.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	path, from := filepath.Join(dir, "registry.icpidx"), filepath.Join(t.TempDir(), "from.icpidx")
	version := map[[32]byte]int{}
	var points []int // at which each version was said to be written
	rec := powercut.Record(dir)
	written := func(err error) {
		t.Helper()
		image, bad := os.ReadFile(path)
		if err != nil || bad != nil {
			t.Fatal(err, bad)
		}
		version[sha256.Sum256(image)] = len(points)
		points = append(points, rec.Points())
	}
	for round := range 6 {
		fs, blacklist := newGenerator(uint64(round), 40).registry(80+round, 2)
		written(index.WriteFile(path, build(t, testOptions, fs, blacklist...)))
		writeShared(t, path, fs[:60+round], blacklist)
		written(nil)
		x, err := index.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o := testOptions
		o.Revision.Rev += uint64(round) + 1
		written(index.Merge(context.Background(), path, x, index.Changes{Blacklist: map[registry.Domain]bool{registry.MustParseDomain("listed.test"): true}}, o))
		if err := index.WriteFile(from, build(t, o, fs[:50+round])); err != nil {
			t.Fatal(err)
		}
		_, err = index.Copy(path, from)
		written(err)
	}
	rec.Stop()
	rounds := 100
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 1000
	}
	random := rand.New(rand.NewPCG(5, 6))
	lost := func() (failed int) {
		for range rounds {
			point := random.IntN(rec.Points() + 1)
			if !leaves(t, rec, point, random, version, points) {
				failed++
			}
		}
		return failed
	}
	if n := lost(); n > 0 {
		t.Errorf("%d times a snapshot was lost", n)
	}
	for name, lie := range map[string]disk.Kind{"files": disk.Synced, "names": disk.DirSynced} {
		if rec.Lie(lie); lost() == 0 {
			t.Errorf("with a disk that does not sync %s nothing is lost: this test sees nothing", name)
		}
	}
}

// leaves reports whether a power cut leaves what it must.
func leaves(t *testing.T, rec *powercut.Recorder, point int, random *rand.Rand, version map[[32]byte]int, points []int) bool {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "cut")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := rec.Cut(point, random, dir); err != nil {
		t.Fatal(err)
	}
	least := -1
	for v, p := range points {
		if p <= point {
			least = v
		}
	}
	image, err := os.ReadFile(filepath.Join(dir, "registry.icpidx"))
	if err != nil {
		return least < 0
	}
	v, whole := version[sha256.Sum256(image)]
	if whole {
		_, err = index.Map(filepath.Join(dir, "registry.icpidx"))
	}
	return whole && err == nil && v >= least
}
