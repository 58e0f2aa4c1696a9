package store_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// imported is how many filings the child's imports have: some revisions' worth.
const imported = 5000

// child is the process that is killed: it resumes an import that is half
// published, then edits and imports for ever. It tells of all that is acknowledged.
func child() {
	b, _ := hex.DecodeString(os.Getenv("ICP_STORE_KEY"))
	key := store.Key(b)
	s, err := store.Open(background, os.Getenv("ICP_STORE_CHILD"), store.Options{Key: &key, What: "the child"})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	if os.Getenv("ICP_STORE_LOADS") != "" {
		childLoads(s)
		return
	}
	round := os.Getenv("ICP_STORE_ROUND")
	told := make(chan string)
	go func() {
		for n := 0; ; n++ {
			f := filing(fmt.Sprintf("沪ICP备%s%05d号-1", round, n), fmt.Sprintf("k%s-%d.example.org", round, n))
			rev, err := s.Edit(background, staff, func(e *store.Edit) error { return e.PutFiling(f) })
			if err != nil {
				told <- fmt.Sprint("failed ", err)
			}
			told <- fmt.Sprint("edited ", rev, " ", store.KeyOf(&f))
		}
	}()
	go childImports(s, round, told)
	for line := range told {
		fmt.Println(line)
	}
}

func childImports(s *store.Store, round string, told chan<- string) {
	if i, err := s.Unfinished(background); err == nil {
		if _, err := s.Publish(background, i.ID, nil); err != nil {
			told <- fmt.Sprint("failed ", err)
		}
		told <- "resumed " + i.ID
	}
	for n := 0; ; n++ {
		list := many(0, imported)
		for i := range list {
			list[i].Site.Name = fmt.Sprintf("Name %s %d", round, n)
		}
		i, err := s.Stage(background, staff, store.ImportOptions{}, of(list...))
		if err == nil {
			told <- "staged " + i.ID
			i, err = s.Publish(background, i.ID, func(p store.ImportProgress) { told <- fmt.Sprintf("published %d of %d", p.Done, p.Of) })
		}
		if err != nil {
			told <- fmt.Sprint("failed ", err)
		}
		told <- fmt.Sprintf("imported %d %s", n, i.ID)
	}
}

// TestKill kills the child at random places of what it tells. Nothing that was
// acknowledged may be lost, no revision may be missing, and what the log makes must
// be what is there.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("ICP_SOAK") != "" {
		rounds = 200
	}
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		random := rand.New(rand.NewPCG(3, 4))
		for round := range rounds {
			w.s.Close()
			edits, last := m.round(round, 1+random.IntN(120))
			w.open()
			m.follow()
			for key, rev := range edits {
				got, err := w.s.Filing(background, key)
				if err != nil || got.Rev != rev {
					t.Fatalf("round %d: %s was acknowledged at %d: got %d, %v", round, key, rev, got.Rev, err)
				}
			}
			if wrong, err := w.s.Check(background); err != nil || len(wrong) > 0 {
				t.Fatalf("round %d: %q, %v", round, wrong, err)
			}
			if last != "" {
				if i, err := w.s.Import(background, last); err != nil || i.State != store.ImportDone {
					t.Fatalf("round %d: import %s was done, and is %s, %v", round, last, i.State, err)
				}
			}
		}
		if i, err := w.s.Unfinished(background); err == nil {
			w.publish(i.ID)
		}
		m.follow()
		t.Logf("%d rounds, %s, %d names", rounds, m.rev, len(m.at))
	})
}

// round starts the child and kills it after so many lines. It returns the edits
// and the last import that were acknowledged.
func (m *replica) round(round, lines int) (edits map[string]uint64, last string) {
	m.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ICP_STORE_CHILD="+m.dsn, "ICP_STORE_KEY="+hex.EncodeToString(m.key[:]), fmt.Sprintf("ICP_STORE_ROUND=%03d", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	edits = map[string]uint64{}
	for in := bufio.NewScanner(out); in.Scan(); {
		words := strings.Fields(in.Text())
		switch words[0] {
		case "failed":
			m.Error(in.Text())
		case "edited":
			rev, err := registry.ParseRevision(words[1])
			if err != nil {
				m.Error(err)
			}
			edits[words[2]] = rev.Rev
		case "imported":
			last = words[2]
		}
		if lines--; lines == 0 {
			cmd.Process.Signal(syscall.SIGKILL) // what it has told by then counts
		}
	}
	cmd.Wait()
	storetest.EndLeases(m, m.dsn)
	return edits, last
}

// replica is what an edge has: what the log makes.
type replica struct {
	*world
	rev registry.Revision
	at  map[string]string // the filings of each name
}

// follow applies what is new and compares with what is there.
func (m *replica) follow() {
	m.Helper()
	for {
		list, err := m.s.Changes(context.Background(), m.rev, 5000)
		if err != nil {
			m.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, p := range list {
			for _, c := range p.Changes {
				if m.at[c.Name.String()] = said(c.Filings); len(c.Filings) == 0 {
					delete(m.at, c.Name.String())
				}
			}
			m.rev = p.Revision
		}
	}
	under := map[string][]registry.Filing{}
	all, _, _ := m.all()
	for _, f := range all {
		for _, d := range f.Site.Domains {
			under[d.String()] = append(under[d.String()], f)
		}
	}
	if len(under) != len(m.at) {
		m.Fatalf("at %s the log makes %d names; want %d", m.rev, len(m.at), len(under))
	}
	for name, filings := range under {
		if got, want := m.at[name], said(filings); got != want {
			m.Fatalf("at %s the log says of %s %s; want %s", m.rev, name, got, want)
		}
	}
}

func said(filings []registry.Filing) string {
	var list []string
	for i := range filings {
		f := &filings[i]
		list = append(list, fmt.Sprint(store.KeyOf(f), f.Site.Name, f.Status, f.Accesses))
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}
