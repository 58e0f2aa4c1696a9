package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
)

func historyCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	var ask journalQuery
	cmd := &cobra.Command{
		Use:   "history [NAME|NUMBER]",
		Short: "Show the journal: who did what, when and why, before and after; as a whole, or of a name, a filing number or an address",
		Long: `Shows what became of a name, a filing number or an address, the oldest first. Without
one it shows all that was done, the newest first: to filings, with an entry for each
import, and to all else that is kept. Personal data is not in the journal.`,
		Example: `  icp-registry history example.com --dir /var/lib/icp-registry
  icp-registry history 京ICP备12345678号-1 -o json --server https://registry.example --token-file token.txt
  icp-registry history --since 2026-11-01 --who ann --what filing --limit 0 -o csv --dir /var/lib/icp-registry`,
		Args: atMostOne("name, number or address"),
	}
	f := cmd.Flags()
	f.StringVar(&ask.since, "since", "", "not before this `TIME`, RFC 3339 or YYYY-MM-DD")
	f.StringVar(&ask.until, "until", "", "before this `TIME`")
	f.StringVar(&ask.who, "who", "", "by this token or person, or of this `OWNER`")
	f.StringVar(&ask.what, "what", "", "of this `KIND`, for example filing or import")
	f.IntVar(&ask.limit, "limit", 100, "at most so many; 0 is all")
	a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		if len(args) == 0 {
			events, err := ask.events(ctx, cmd, c)
			if err != nil {
				return err
			}
			return a.events(events)
		}
		for _, flag := range []string{"since", "until", "who", "what", "limit"} {
			if cmd.Flags().Changed(flag) {
				return usageError(cmd, fmt.Errorf("--%s goes without a name", flag))
			}
		}
		var out api.History
		if err := c.call(ctx, "GET", path(api.HistoryPath, "of", args[0]), nil, &out); err != nil {
			return err
		}
		if len(out.Events) == 0 {
			fmt.Fprintf(a.stderr, "nothing was ever done to %s\n", args[0])
		}
		return a.events(out.Events)
	})
	completeWords(cmd, "what", "filing", "import", "exemptions", "blacklist", "entity", "networks", "bindings", "suffixes", "profiles", "tlds",
		"servers", "service-numbers", "psb", "token", "person", "sighting", "epoch", "restore", "purge")
	return cmd
}

// journalQuery is what is asked of the journal as a whole.
type journalQuery struct {
	since, until, who, what string
	limit                   int
}

// events asks for page after page until there are enough.
func (j *journalQuery) events(ctx context.Context, cmd *cobra.Command, c *client) ([]api.Event, error) {
	q := url.Values{}
	for key, text := range map[string]string{"since": j.since, "until": j.until} {
		at, err := timeOf(text)
		if err != nil {
			return nil, usageError(cmd, fmt.Errorf("--%s %w", key, err))
		}
		if !at.IsZero() {
			q.Set(key, at.UTC().Format(time.RFC3339))
		}
	}
	for key, text := range map[string]string{"who": j.who, "what": j.what} {
		if text != "" {
			q.Set(key, text)
		}
	}
	list := []api.Event{}
	more := func() {
		some := pageOf
		if j.limit > 0 {
			some = min(some, j.limit-len(list))
		}
		q.Set("limit", strconv.Itoa(some))
	}
	more()
	err := pages(ctx, c, api.JournalPath, q, func(p *api.Journal) string {
		list = append(list, p.Events...)
		if j.limit > 0 && len(list) >= j.limit {
			return ""
		}
		more()
		return p.Next
	})
	return list, err
}

// events prints entries of the journal.
func (a *asking) events(events []api.Event) error {
	l := listing{whole: events, head: []string{"at", "rev", "who", "owner", "what", "key", "change", "why", "import"}}
	for _, e := range events {
		rev := ""
		if e.Rev > 0 {
			rev = strconv.FormatUint(e.Rev, 10)
		}
		l.rows = append(l.rows, []string{moment(e.At), rev, e.Who, e.Owner, e.What, e.Key, difference(e.Was, e.Is), e.Why, e.Import})
	}
	return a.print(a.stdout, l)
}

// difference says in a line what of a state became another.
func difference(was, is any) string {
	before, there := was.(map[string]any)
	after, stays := is.(map[string]any)
	switch {
	case !there && !stays:
		return ""
	case !stays:
		return "removed"
	}
	var keys, parts []string
	for k := range after {
		keys = append(keys, k)
	}
	for k := range before {
		if _, both := after[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		a, b := short(before[k]), short(after[k])
		switch {
		case a == b:
		case !there:
			parts = append(parts, k+"="+b)
		default:
			parts = append(parts, fmt.Sprintf("%s: %s → %s", k, a, b))
		}
	}
	if !there {
		return "made: " + strings.Join(parts, " ")
	}
	return strings.Join(parts, "; ")
}

// short writes a value of JSON.
func short(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func edgesCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{
		Use:   "edges",
		Short: "Show how the edges are: where, how far behind, and whether they equal the registry",
		Long: `Shows what the edges have last reported to a running service: name, owner, program,
revision, how many revisions behind it is (or that it is on an older or a newer epoch
than the registry), how old what it knows is, and whether its digest is the
registry's. Exit code 3 if one is behind by more than --behind revisions, on another
epoch, differs, or reports an error.`,
		Example: `  icp-registry edges --server https://registry.example --token-file token.txt`,
		Args:    needNone,
	}
	var behind uint64
	cmd.Flags().Uint64Var(&behind, "behind", 100, "how many `REVISIONS` an edge may be behind")
	return a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		if c.local {
			return usageError(cmd, withHint(fmt.Errorf("edges report to a service, and the database does not hold it"), "name the service with --server"))
		}
		var out struct {
			Revision string     `json:"revision"`
			Edges    []api.Edge `json:"edges"`
		}
		if err := c.call(ctx, "GET", "/v1/edges", nil, &out); err != nil {
			return err
		}
		l := listing{whole: out, head: []string{"name", "owner", "program", "revision", "behind", "age", "equal", "reported", "error"}}
		bad := false
		for _, e := range out.Edges {
			bad = bad || e.Status.Error != "" || e.Lag > behind || e.Lag == 0 && !e.Equal
			l.rows = append(l.rows, []string{
				e.Name, e.Owner, e.Status.Program, e.Status.Revision.String(), lagText(&e), fmt.Sprintf("%vs", e.Status.Age), yes(e.Equal), moment(e.At), e.Status.Error,
			})
		}
		if err := a.print(a.stdout, l); err != nil {
			return err
		}
		if bad {
			return &exitError{code: exitFindings}
		}
		return nil
	})
}

// lagText is how far an edge is behind, for people.
func lagText(e *api.Edge) string {
	if e.Epoch == api.EpochOlder || e.Epoch == api.EpochNewer {
		return e.Epoch + " epoch"
	}
	return strconv.FormatUint(e.Lag, 10)
}

// needNone refuses arguments.
func needNone(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
	}
	return nil
}
