package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// recording are the flags of an import into the registry of record.
type recording struct {
	target
	why         string
	part        string
	provider    string
	source      string
	complete    bool
	remove      bool
	allowShrink bool
	dryRun      bool
	yes         bool
}

func (r *recording) flags(cmd *cobra.Command) {
	r.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.why, "why", "", "record: the reason, for the journal")
	f.BoolVar(&r.dryRun, "dry-run", false, "record: only count what would change")
	f.BoolVarP(&r.yes, "yes", "y", false, "record: publish without a question")
	f.BoolVar(&r.complete, "complete", false, "record: the files are all there is; what they do not name is cancelled")
	f.StringVar(&r.part, "part", "all", "record: what the files tell: all, filings or accesses")
	f.StringVar(&r.provider, "provider", "", "record: whose list of accesses is complete")
	f.BoolVar(&r.remove, "remove", false, "record: what complete files do not name is taken out in place of cancelled")
	f.BoolVar(&r.allowShrink, "allow-shrink", false, "record: complete files may name less than half of what is there")
	f.StringVar(&r.source, "source", "", "record: where the files are from; default: their names")
	completeWords(cmd, "part", "all", "filings", "accesses")
}

// told is the first flag given that means nothing for a snapshot; "" is none.
func (r *recording) told(cmd *cobra.Command) string {
	for _, flag := range []string{"dry-run", "complete", "part", "provider", "remove", "allow-shrink", "yes", "why", "source"} {
		if cmd.Flags().Changed(flag) {
			return flag
		}
	}
	return ""
}

// intoRecord imports files into the registry of record.
func (im *importing) intoRecord(cmd *cobra.Command, files []string) error {
	r := &im.record
	o := output{form: im.output}
	if o.form == "" {
		o.form = "table"
	}
	if err := o.check(cmd); err != nil {
		return err
	}
	for flag, wrong := range map[string]bool{"blacklist": im.blacklist != "", "keep-key": !im.keepKey, "allow-empty": im.allowEmpty} {
		if wrong {
			return usageError(cmd, fmt.Errorf("--%s goes with a snapshot (-o)", flag))
		}
	}
	if strings.TrimSpace(r.why) == "" {
		if !r.dryRun {
			return usageError(cmd, withHint(errors.New("no reason"), "say with --why what the import is, for example --why \"monthly list\"; the journal keeps it"))
		}
		r.why = "dry run"
	}
	if _, err := im.options(); err != nil {
		return usageError(cmd, err)
	}
	if err := im.checkPaths(files); err != nil {
		return usageError(cmd, err)
	}
	return r.asked(cmd, func(ctx context.Context, c *client) error {
		return im.stageAndPublish(ctx, &life{env: im.env, output: o, c: c}, files)
	})
}

func (im *importing) stageAndPublish(ctx context.Context, l *life, files []string) error {
	i, err := im.upload(ctx, l.c, files)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if err := im.fetchRefused(ctx, l.c, i); err != nil {
		return err
	}
	im.warn(i.Report)
	refused := i.Counts.Refused+i.Report.Refused > 0
	if !im.record.dryRun && i.State != store.ImportWaiting && i.State != store.ImportDone && (im.record.yes || im.agreed(i)) {
		if i, err = l.publish(ctx, i.ID); err != nil {
			return err
		}
	}
	if err := l.show(i); err != nil {
		return err
	}
	next(im.stderr, i)
	if refused || !i.DryRun && i.State != store.ImportDone {
		return &exitError{code: exitFindings}
	}
	return nil
}

// next says what is to be done with an import.
func next(w io.Writer, i api.Import) {
	switch {
	case i.DryRun:
		fmt.Fprintln(w, "nothing was changed; without --dry-run it is staged")
	case i.State == store.ImportWaiting:
		fmt.Fprintf(w, "it changes %s, so a second person must look at it:\n  icp-registry import approve %s --why …\nand then: icp-registry import publish %s\n", i.Counts.Flipped(), i.ID, i.ID)
	case i.State == store.ImportPublishing && i.Done > 0:
		fmt.Fprintf(w, "a part of it is in force; to go on: icp-registry import publish %s\nto take it back: icp-registry import undo %s --why …\n", i.ID, i.ID)
	case i.State == store.ImportStaged || i.State == store.ImportPublishing:
		fmt.Fprintf(w, "to bring it into force: icp-registry import publish %s\nto give it up: icp-registry import drop %s --why …\n", i.ID, i.ID)
	case i.State == store.ImportDone:
		if i.Counts.Skipped > 0 {
			fmt.Fprintf(w, "%d filings that others have changed since it was compared stay as they are; to take its word, import the files again\n", i.Counts.Skipped)
		}
		fmt.Fprintf(w, "it is in force; to take it back: icp-registry import undo %s --why …\n", i.ID)
	}
}

// agreed asks on a terminal whether to publish; elsewhere the answer is no.
func (im *importing) agreed(i api.Import) bool {
	in, ok := im.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false
	}
	n := i.Counts
	fmt.Fprintf(im.stderr, "%d added, %d changed, %d cancelled, %d unchanged, %d refused. Publish? [y/N] ", n.Added, n.Changed, n.Cancelled, n.Unchanged, i.Report.Refused)
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "y" || answer == "yes")
}

// warn prints the first of what is wrong in the files.
func (im *importing) warn(r *api.ImportReport) {
	if r == nil {
		return
	}
	for _, list := range []struct {
		what  string
		lines []string
		n     int
	}{{"refused", r.RefusedList, r.Refused}, {"conflict", r.ConflictList, r.Conflicts}} {
		for i, line := range list.lines {
			if i == shown {
				break
			}
			fmt.Fprintf(im.stderr, "%s: %s\n", list.what, printable(line))
		}
		if list.n > shown {
			fmt.Fprintf(im.stderr, "… and %d more\n", list.n-shown)
		}
	}
	for kind, n := range r.Warnings {
		for _, line := range r.WarningList {
			if rest, ok := strings.CutPrefix(line, kind+": "); ok {
				fmt.Fprintf(im.stderr, "warning: %s (%d times, first): %s\n", kind, n, printable(rest))
				break
			}
		}
	}
}

// query is what the service is told beside the files.
func (im *importing) query(files []string) url.Values {
	r := &im.record
	q := url.Values{"why": {r.why}, "source": {r.source}, "part": {r.part}, "format": {im.format}, "encoding": {im.encoding}}
	if r.source == "" {
		q.Set("source", strings.Join(files, " "))
	}
	if r.provider != "" {
		q.Set("provider", r.provider)
	}
	for name, set := range map[string]bool{
		"complete": r.complete, "remove": r.remove, "allow_shrink": r.allowShrink, "dry_run": r.dryRun, "strict": im.strict,
	} {
		if set {
			q.Set(name, "true")
		}
	}
	return q
}

// upload sends the files and returns what the service made of them.
func (im *importing) upload(ctx context.Context, c *client, files []string) (i api.Import, err error) {
	body, in := io.Pipe()
	parts := multipart.NewWriter(in)
	shown := newBar(im.stderr, "sending", totalSize(files), true)
	defer func() { shown.done() }()
	go func() { in.CloseWithError(im.sendFiles(parts, files, shown)) }()
	defer body.Close()
	var id [8]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	req, err := c.request(ctx, http.MethodPut, api.ImportsPath+"/"+hex.EncodeToString(id[:])+"?"+im.query(files).Encode(), body)
	if err != nil {
		return i, err
	}
	req.Header.Set("Content-Type", parts.FormDataContentType())
	req.Header.Set("Accept", api.StreamType)
	resp, err := c.send(req)
	if err != nil {
		return i, err
	}
	defer resp.Body.Close()
	shown.done()
	shown = newBar(im.stderr, "reading", -1, false)
	for d := json.NewDecoder(resp.Body); ; {
		var l api.ImportLine
		if err := d.Decode(&l); err != nil {
			return i, fmt.Errorf("the service's answer broke off: %w", err)
		}
		switch {
		case l.Progress != nil:
			shown.at(l.Progress.Step, l.Progress.Done, l.Progress.Of)
		case l.Problem != nil:
			return i, &refusal{Problem: *l.Problem}
		case l.Import != nil:
			return *l.Import, nil
		}
	}
}

// sendFiles writes the files as parts.
func (im *importing) sendFiles(parts *multipart.Writer, files []string, shown *bar) error {
	for _, name := range files {
		err := func() error {
			in, called := im.stdin, name
			if name != "-" {
				f, err := os.Open(name)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			} else {
				called = "standard input"
			}
			part, err := parts.CreateFormFile("file", called)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.MultiWriter(part, shown), in)
			return err
		}()
		if err != nil {
			return err
		}
	}
	return parts.Close()
}

// totalSize is how many bytes files have; -1 where it is not known.
func totalSize(files []string) (n int64) {
	for _, name := range files {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.Mode().IsRegular() {
			return -1
		}
		n += info.Size()
	}
	return n
}

// fetchRefused writes the refused rows to the file that was named for them.
func (im *importing) fetchRefused(ctx context.Context, c *client, i api.Import) error {
	if im.refused == "" || i.Report == nil {
		return nil
	}
	if i.Report.Refused == 0 {
		return writeWhole(im.refused, func(io.Writer) error { return nil })
	}
	resp, err := c.get(ctx, api.ImportsPath+"/"+i.ID+"/refused")
	if err != nil {
		return fmt.Errorf("the refused rows: %w", err)
	}
	defer resp.Body.Close()
	err = writeWhole(im.refused, func(w io.Writer) error { _, err := io.Copy(w, resp.Body); return err })
	if err == nil {
		fmt.Fprintf(im.stderr, "all %d refused rows are in %s\n", i.Report.Refused, im.refused)
	}
	return err
}

// life is what becomes of an import once it is staged.
type life struct {
	env
	output
	c *client
}

// Limits of the wait for an import.
const (
	// askTime is how long the answer to one question may take.
	askTime = time.Minute
)

// abandoned is how long nobody may publish an import that is not done: a service that
// begins again takes a moment until it goes on. Only tests change it.
var abandoned = 30 * time.Second

// publish publishes an import and waits until it is in force, for as long as any node
// of the service is at it. When none is any more it asks once that one goes on.
func (l *life) publish(ctx context.Context, id string) (i api.Import, err error) {
	if i, err = l.begin(ctx, id); err != nil {
		return i, err
	}
	shown := newBar(l.stderr, "publishing", int64(max(1, i.Chunks)), false)
	defer shown.done()
	tick := time.NewTicker(polling)
	defer tick.Stop()
	goesOn := "when that is mended: icp-registry import publish " + id + " goes on"
	asked := -1 // how many parts were in force when it was asked once more
	for idle := 0; i.State != store.ImportDone; {
		if i.Error != "" && !i.Running {
			return i, withHint(fmt.Errorf("import %s: %s", id, i.Error), goesOn)
		}
		if idle > int(abandoned/polling) {
			if i.Done == asked {
				return i, withHint(fmt.Errorf("import %s: nobody publishes it any more; %d of %d parts are in force", id, i.Done, i.Chunks), goesOn)
			}
			idle, asked = 0, i.Done
			fmt.Fprintf(l.stderr, "nobody publishes import %s any more; asking the service to go on at part %d of %d\n", id, i.Done+1, i.Chunks)
			if i, err = l.begin(ctx, id); err != nil {
				return i, withHint(err, goesOn)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return i, withHint(fmt.Errorf("import %s: %w", id, ctx.Err()), "a service goes on with it; \"icp-registry import show "+id+"\" says how far it is, and \"import publish\" goes on")
		case <-tick.C:
		}
		now, err := l.now(ctx, id)
		if err != nil {
			return i, err
		}
		idle++
		if now.Running || now.Done != i.Done {
			idle = 0
		}
		i = now
		shown.at("publishing", i.Done, max(1, i.Chunks))
	}
	return i, nil
}

// begin has an import published, or gone on with.
func (l *life) begin(ctx context.Context, id string) (i api.Import, err error) {
	return i, l.c.call(ctx, http.MethodPost, api.ImportsPath+"/"+id+"/publish", nil, &i)
}

// now asks how far an import is. What the service leaves out of its answer is not so:
// it must not be read into an earlier one.
func (l *life) now(ctx context.Context, id string) (i api.Import, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return i, l.c.call(ctx, http.MethodGet, api.ImportsPath+"/"+id, nil, &i)
}

// show prints imports.
func (l *life) show(list ...api.Import) error {
	out := listing{head: []string{"id", "state", "made", "by", "added", "changed", "cancelled", "unchanged", "refused", "flips", "done", "source"}}
	if out.whole = list; len(list) == 1 {
		out.whole = list[0]
	}
	for _, i := range list {
		n, refused := i.Counts, i.Counts.Refused
		if i.Report != nil {
			refused = max(refused, i.Report.Refused)
		}
		state := string(i.State)
		if i.DryRun {
			state = "counted"
		}
		out.rows = append(out.rows, []string{
			i.ID, state, moment(i.Made), i.By.Owner, strconv.Itoa(n.Added), strconv.Itoa(n.Changed), strconv.Itoa(n.Cancelled), strconv.Itoa(n.Unchanged),
			strconv.Itoa(refused), strconv.Itoa(n.Flips), fmt.Sprintf("%d/%d", i.Done, i.Chunks), i.Options.Source,
		})
	}
	return l.print(l.stdout, out)
}
