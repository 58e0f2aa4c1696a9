package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// What a check comes to.
const (
	stateGood    = "ok"
	stateWarn    = "warning"
	stateBad     = "failed"
	stateSkipped = "skipped"
)

// finding is what one check came to.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"` // what to do next
}

// doctor looks after a registry of record.
type doctor struct {
	asking
	key      string
	findings []finding
}

func (d *doctor) add(check, state, detail, do string) {
	d.findings = append(d.findings, finding{check, state, detail, do})
}

func doctorCommand(e env) *cobra.Command {
	d := doctor{asking: asking{target: target{opening: opening{env: e}}}}
	cmd := &cobra.Command{
		Use:   "doctor (--server URL | --dir DIRECTORY)",
		Short: "Check the registry of record, its keys, feed, clock and disk, and say what to do",
		Long: `With --dir: the directory, its keys, free disk, the database and whether it agrees
with itself; no service may run on it. With --server: whether the service is there
and ready, its certificate, its clock, the registry of record behind it (a token with
the scope admin), the feed (scope feed; with --key also its signature) and the edges
(scope read).

Nothing is changed and nothing is made. Exit code 3 if something is to be mended.`,
		Example: `  icp-registry doctor --dir /var/lib/icp-registry
  icp-registry doctor --server https://registry.example --token-file admin.txt --key signing.pub.pem -o json`,
		Args: needNone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.output.check(cmd); err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			if d.dir == "" && d.database == "" {
				if err := d.service(ctx, cmd); err != nil {
					return err
				}
			} else if err := d.directory(ctx, cmd); err != nil {
				return err
			}
			return d.report()
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&d.key, "key", "", "the public key `FILE` that edges pin, to check the feed's signature")
	d.output.flags(cmd)
	d.target.flags(cmd)
	return cmd
}

// report prints the findings.
func (d *doctor) report() error {
	l := listing{whole: d.findings, head: []string{"check", "state", "detail", "do"}}
	bad := false
	for _, f := range d.findings {
		bad = bad || f.State == stateBad || f.State == stateWarn
		l.rows = append(l.rows, []string{f.Check, f.State, f.Detail, f.Do})
	}
	if err := d.print(d.stdout, l); err != nil {
		return err
	}
	if bad {
		return &exitError{code: exitFindings}
	}
	return nil
}

// directory looks at what a service keeps.
func (d *doctor) directory(ctx context.Context, cmd *cobra.Command) error {
	if d.server != "" {
		return usageError(cmd, errors.New("--server and --dir or --db; name one of them"))
	}
	if d.dir != "" {
		if info, err := os.Stat(d.dir); err != nil || !info.IsDir() {
			d.add("directory", stateBad, fmt.Sprintf("%s is no directory that can be read", d.dir), "see whether --dir is written rightly; \"icp-registry serve\" makes a new one")
			return nil
		}
	}
	if err := d.find(cmd); err != nil {
		return err
	}
	if d.dir != "" {
		d.disk("disk", d.dir)
		d.signing()
	}
	d.disk("disk for temporary files", os.TempDir())
	if !d.personalKey() {
		return nil
	}
	d.record(ctx, cmd)
	return nil
}

// leastFree is the free space below which a disk is taken to be nearly full, whatever
// the directory holds: a snapshot of five million filings with its successor. One that
// holds more may need as much again, for a new snapshot or to be written anew.
const leastFree = 1 << 30

func (d *doctor) disk(check, dir string) {
	free, all, err := diskSpace(dir)
	held := heldBy(dir)
	has := fmt.Sprintf("%s holds %d MiB and has %d MiB free of %d", dir, held>>20, free>>20, all>>20)
	switch {
	case err != nil:
		d.add(check, stateSkipped, fmt.Sprintf("%s: %v", dir, err), "")
	case free < max(leastFree, held):
		d.add(check, stateWarn, has, "make room: where the disk is full writes are refused, and edges go on with what they have")
	default:
		d.add(check, stateGood, has, "")
	}
}

// heldBy is how many bytes the files below a directory have; what goes away meanwhile
// counts as none.
func heldBy(dir string) (n uint64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += uint64(info.Size())
		}
		return nil
	})
	return n
}

// signing looks at the key that signs, and the public one beside it.
func (d *doctor) signing() {
	path, public := filepath.Join(d.dir, signingName), filepath.Join(d.dir, publicName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		d.add("signing key", stateSkipped, path+" is not there", "\"icp-registry serve\" makes it with its first start; where it was lost edges need the new public key")
		return
	}
	k, err2 := feed.OpenSigner(path)
	if err = errors.Join(err, err2); err != nil {
		d.add("signing key", stateBad, err.Error(), "restore it from where you keep it; with a new one every edge needs the new public key")
		return
	}
	if info.Mode().Perm()&0o077 != 0 {
		d.add("signing key", stateBad, fmt.Sprintf("others may read %s (mode %s)", path, info.Mode().Perm()), "chmod 600 "+path+", and make a new key if they may have done so")
		return
	}
	text, err := k.PublicPEM()
	kept, err2 := os.ReadFile(public)
	if err = errors.Join(err, err2); err != nil || !bytes.Contains(kept, bytes.TrimSpace(text)) { // with others, while the key is changed
		d.add("signing key", stateWarn, public+" is not the public key of "+path, "edges that pin it refuse the feed: give them the right one")
		return
	}
	d.add("signing key", stateGood, path+" and "+public+" belong together", "")
}

// personalKey looks at the key of personal data, and reports whether to go on.
func (d *doctor) personalKey() bool {
	_, err := store.ReadKey(d.personal)
	if err == nil {
		d.add("key of personal data", stateGood, d.personal, "")
		return true
	}
	d.add("key of personal data", stateBad, err.Error(), "restore it from where you keep it: without it personal data in the database is lost; a new directory gets one with the first \"icp-registry serve\"")
	return false
}

// record looks at the registry of record.
func (d *doctor) record(ctx context.Context, cmd *cobra.Command) {
	if _, err := os.Stat(d.database); errors.Is(err, fs.ErrNotExist) && d.dir != "" && filepath.Dir(d.database) == filepath.Clean(d.dir) {
		d.add("database", stateBad, d.database+" is not there", "\"icp-registry restore\" makes it of a backup, \"icp-registry serve\" an empty one")
		return
	}
	c, err := d.connect(ctx, cmd)
	if errors.Is(err, store.ErrInUse) {
		d.add("database", stateSkipped, "a service is running on it", "ask that: icp-registry doctor --server URL --token-file FILE")
		return
	}
	if err != nil {
		d.add("database", stateBad, err.Error(), "see whether the database is there and lets this user in; \"icp-registry restore\" makes one of a backup")
		return
	}
	d.checked(ctx, c)
	if err := c.close(); err != nil {
		d.add("database", stateBad, "it does not close: "+err.Error(), "see the log of the database")
	}
}

// skew is how far clocks may be apart.
const skew = 5 * time.Second

// checked asks whether the registry agrees with itself.
func (d *doctor) checked(ctx context.Context, c *client) {
	var out api.Check
	asked := d.now()
	err := c.call(ctx, http.MethodGet, api.CheckPath, nil, &out)
	switch {
	case status(err) == http.StatusForbidden:
		d.add("database", stateSkipped, err.Error(), "use a token with the scope admin")
		return
	case err != nil:
		d.add("database", stateBad, err.Error(), "see the log of the service and of the database")
		return
	case len(out.Wrong) > 0:
		for _, wrong := range out.Wrong {
			d.add("database", stateBad, wrong, "make a backup of the files as they are, and \"icp-registry restore\" the last good backup")
		}
	default:
		d.add("database", stateGood, "it agrees with itself at revision "+out.Revision, "")
	}
	if out.Unfinished != "" {
		d.add("imports", stateWarn, "import "+out.Unfinished+" is only partly published", "icp-registry import publish "+out.Unfinished+" goes on, import undo takes it back")
	}
	d.waiting(&out)
	d.clock(&out, asked, d.now())
}

// waiting tells of imports that somebody may have forgotten: all of them, or the oldest.
func (d *doctor) waiting(out *api.Check) {
	for n, i := range out.Waiting {
		if n == 5 {
			d.add("imports", stateWarn, fmt.Sprintf("%d more are staged", len(out.Waiting)-n), "icp-registry import list shows all of them")
			return
		}
		what, then := "is staged since "+moment(i.Made)+", and not published", "icp-registry import publish "+i.ID+" brings it into force"
		if i.State == store.ImportWaiting {
			what, then = "waits for a second person since "+moment(i.Made), "icp-registry import approve "+i.ID+" lets it go on"
		}
		d.add("imports", stateWarn, "import "+i.ID+" "+what, then+", import drop gives it up; what others have changed since it was compared stays")
	}
}

// clock compares the clocks, and the service's with the registry's past. The service
// has told its time at some moment between the question and the answer, which is long
// in coming where there is much to look at.
func (d *doctor) clock(out *api.Check, asked, answered time.Time) {
	apart := max(asked.Sub(out.Now), out.Now.Sub(answered), 0)
	rev, err := registry.ParseRevision(out.Revision)
	switch {
	case err == nil && rev.Epoch.Made > out.Now.Add(skew).UnixMilli():
		d.add("clock", stateBad, fmt.Sprintf("the registry was begun at %s, and it is %s", moment(time.UnixMilli(rev.Epoch.Made).UTC()), moment(out.Now)), "set the clock: tokens, exemptions and the ages at edges go by it")
	case apart > skew:
		d.add("clock", stateWarn, fmt.Sprintf("the service's differs from this machine's by %s", apart.Round(time.Second)), "let both follow a time server")
	default:
		d.add("clock", stateGood, moment(out.Now), "")
	}
}
